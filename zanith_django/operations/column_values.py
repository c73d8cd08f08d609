"""The values of a column that an insert omits: NULL, a default, an identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from zanith_django.operations.base import (
    Context,
    Default,
    OnTable,
    Operation,
    Statement,
    alter_table,
    must_have,
    own_name,
)
from zanith_django.operations.column_clauses import (
    alter,
)
from zanith_django.operations.column_sql import (
    default_in_batches,
    drop_default,
    set_default,
    update_in_batches,
)
from zanith_django.operations.not_null import NotNull, set_not_null
from zanith_django.operations.online.scaffold import remove_scaffold
from zanith_django.operations.sequences import drop_serial, make_serial, reseed
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.triggers import (
    keep_no_longer,
    keep_right,
    of_new_row,
    own_trigger,
    trigger_state,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph

_COLUMN_STATE = """\
SELECT 'done' FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass({table}) AND attname = {column} AND NOT attisdropped"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnNullable(OnTable):
    """Sets NOT NULL with a validated check, or drops it. With `fill`, an SQL expression, rows that
    are NULL get that value first, including rows that running code writes until the column is NOT
    NULL. With `default`, they get the value that a Python callable returns when the step runs. Rows
    that running code wrote meanwhile get it after new rows can no longer be NULL.
    """

    kind = "alterColumnNullable"
    table: TableName
    column: str
    nullable: bool
    fill: str = ""
    default: Default | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        filled = f", NULLs filled with {self.default}" if self.default else ""
        if self.nullable:
            return f"allow NULL in {self.target}"
        return f"forbid NULL in {self.target}{filled}"

    @property
    def own_sql(self) -> bool:
        return self.nullable or self.default is None

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column,) if not self.nullable and (self.fill or self.default) else ()

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if not self.nullable and self.default:
            where = sql.clause("{column} IS NULL", column=sql.ident(self.column))
            fill = default_in_batches(self.table, self.column, self.default, where, context)
            stages = NotNull.of(self.table, self.column, context)
            late = (fill,) if stages.claim else ()
            return (fill, *stages.claim, *late, *stages.check, *stages.end)
        if not self.nullable and self.fill:
            return tuple(self._filled(context))
        if not self.nullable:
            return tuple(set_not_null(self.table, self.column, context))
        column = sql.ident(self.column)
        text = alter_table(
            context, self.table, "ALTER COLUMN {column} DROP NOT NULL", column=column
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def _filled(self, context: Context) -> Iterator[Statement]:
        column, value = sql.ident(self.column), sql.catalog_text(self.fill)
        where = sql.clause("{column} IS NULL", column=column)
        assignment = sql.clause("{column} = {value}", column=column, value=value)
        fill = update_in_batches(self.table, assignment, where, context)
        if context.quiet(self.table):
            yield fill
            yield from set_not_null(self.table, self.column, context)
            return
        name = own_name("fill", f"{self.table}.{self.column}")
        value = of_new_row(self.fill, self.table)
        body = sql.clause("NEW.{column} := {value};", column=column, value=value)
        when = sql.clause("NEW.{column} IS NULL", column=column)
        *made, last = keep_right(self.table, name, body, context, when=when)
        yield from made
        (gone,) = remove_scaffold([*made, last], self.tables, context)
        yield dataclasses.replace(
            last,
            probe=trigger_state(self.table, name, context),
            cleanup=gone.sql,
            disruptive=f"trigger {own_trigger(name)} of {self.table}",
        )
        yield fill
        yield from set_not_null(self.table, self.column, context)
        yield from keep_no_longer(self.table, name, context)

    def as_found(self, graph: SchemaGraph) -> Operation | None:
        live = _column(graph, self.table, self.column)
        return None if live and live.nullable == self.nullable else self

    def inverse(self) -> Operation | None:
        """None if `default` wrote values: it is not recorded which rows were NULL."""
        if self.default and not self.nullable:
            return None
        return dataclasses.replace(self, nullable=not self.nullable)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Drops the proof; on PostgreSQL 18 that is the constraint itself, which is not valid
        yet."""
        staged = remove_scaffold(self.statements(context), self.tables, context)
        back = dataclasses.replace(self, nullable=True, default=None)
        return (*staged, *back.statements(context))

    @property
    def filled_by(self) -> Default | str:
        return self.default or ""

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, nullable=self.nullable)

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self.nullable:
            return ()
        filled = ("requires_backfill",) if self.default else ()
        return ("changes_column_nullable_to_not_null", "scans_table", *filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnDefault(OnTable):
    """Sets or drops the default of a column; existing rows stay as they are."""

    kind = "alterColumnDefault"
    table: TableName
    column: str
    old: str | None = None
    new: str | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        if self.new is None:
            return f"drop default of {self.target} (was {self.old})"
        return f"set default of {self.target} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self.new is None:
            return (drop_default(self.table, self.column, context),)
        return (set_default(self.table, Column(self.column, "", default=self.new), context),)

    def as_found(self, graph: SchemaGraph) -> Operation:
        live = _column(graph, self.table, self.column)
        return dataclasses.replace(self, old=live.default) if live else self

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, default=self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        """Without a default, an insert of running code that omits the column may fail."""
        column = must_have(context.graph, self.table).column(self.column)
        if self.new is None and column and not column.nullable and not context.quiet(self.table):
            return ("breaks_running_code",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnIdentity(OnTable):
    """Gives a column an identity, removes it, or changes its kind."""

    kind = "alterColumnIdentity"
    table: TableName
    column: str
    old: str = ""
    new: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        return f"change identity of {self.target} from {self.old or 'none'} to {self.new or 'none'}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if {self.old, self.new} <= _IDENTITIES:
            return (self._altered("SET GENERATED", context),)
        steps: list[Statement] = []
        if self.old == "serial":
            steps += drop_serial(self.table, self.column, context)
        elif self.old:
            steps.append(self._altered("DROP IDENTITY", context))
        if self.new == "serial":
            column = must_have(context.graph, self.table).column(self.column)
            kind = column.type if column else "bigint"
            steps += make_serial(self.table, self.column, kind, context)
        elif self.new:
            steps.append(self._altered("ADD GENERATED", context))
        return (*steps, *([reseed(self.table, self.column, context)] if self.new else []))

    def _altered(self, change: LiteralString, context: Context) -> Statement:
        mode = sql.keyword("ALWAYS" if self.new == "always" else "BY DEFAULT")
        suffix = {
            "SET GENERATED": sql.clause(" {mode}", mode=mode),
            "ADD GENERATED": sql.clause(" {mode} AS IDENTITY", mode=mode),
        }
        text = alter_table(
            context,
            self.table,
            "ALTER COLUMN {column} {change}{suffix}",
            column=sql.ident(self.column),
            change=sql.keyword(change),
            suffix=suffix.get(change, sql.EMPTY),
        )
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, identity=self.new)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if {self.old, self.new} <= _IDENTITIES or not self.old:
            return ()
        return (Touch(Effect.DROP_SEQUENCE, self.table, (self.column,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.new else ("breaks_running_code",)


_IDENTITIES = {"always", "by default"}


def _column(graph: SchemaGraph, table: TableName, name: str) -> Column | None:
    found = graph.table(table)
    return found.column(name) if found else None


def column_state(table: TableName, column: str, context: Context) -> str:
    """The probe of a column: done when it exists."""
    return sql.compose(
        _COLUMN_STATE, table=sql.regclass(table, context.schema), column=sql.literal(column)
    )

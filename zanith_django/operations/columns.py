"""Columns: add, alter, rename, drop."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from zanith_django.operations.base import (
    Batches,
    Context,
    Default,
    OnTable,
    Operation,
    Statement,
    WithDefault,
    alter_table,
    must_have,
    own_name,
)
from zanith_django.operations.column_clauses import (
    alter,
    column_clause,
    column_settings,
    comment_on_column,
    spell_column,
)
from zanith_django.operations.dependents import rename_column, without_column
from zanith_django.operations.keep.restored import is_restored
from zanith_django.operations.not_null import NotNull, set_not_null
from zanith_django.operations.online.rewrites import volatile
from zanith_django.operations.online.scaffold import drop_column_if_there, take_away
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
class AddColumn(OnTable):
    """Adds a column without a rewrite: a constant default is stored in the catalog, a volatile
    one is filled in by batches.

    With `default`, existing rows get the value that a Python callable returns when the step runs;
    the column keeps no default.
    """

    kind = "addColumn"
    table: TableName
    column: Column
    default: Default | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        filled = f", filled with {self.default}" if self.default else ""
        return f"add column {self.target} ({spell_column(self.column)}){filled}"

    @property
    def own_sql(self) -> bool:
        return self.default is None

    def adopts(self, graph: SchemaGraph) -> bool:
        """The column is in this schema, as zanith_recover brought it back."""
        return self._restored(graph) is not None

    def _there(self, context: Context) -> Column | None:
        return self._restored(context.graph)

    def _restored(self, graph: SchemaGraph) -> Column | None:
        """The column that zanith_recover brought back before a model had it again."""
        column = must_have(graph, self.table).column(self.column.name)
        return (
            column if column and is_restored(column) and column.type == self.column.type else None
        )

    def _adopt(self, there: Column, context: Context) -> Iterator[Statement]:
        """What the column lacks. Its values stay; rows without one get the default."""
        name, default = sql.ident(self.column.name), self.column.default
        if default is not None:
            yield set_default(self.table, self.column, context)
        elif there.default is not None:
            text = alter_table(context, self.table, "ALTER COLUMN {it} DROP DEFAULT", it=name)
            yield Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))
        if not self.column.nullable:
            if self.default:
                where = sql.clause("{column} IS NULL", column=name)
                yield default_in_batches(self.table, self.column.name, self.default, where, context)
            elif default is not None:
                yield self._fill(context)
            yield from set_not_null(self.table, self.column.name, context)
        yield comment_on_column(self.table, self.column.name, self.column.comment, context)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        there = self._there(context)
        if there:
            return tuple(self._adopt(there, context))
        settings = column_settings(self.table, self.column, context)
        if self.default:
            no_default = drop_default(self.table, self.column.name, context)
            return (self._with(self.default, context), no_default, *settings)
        if context.quiet(self.table) or not volatile(self.column.default):
            return (add_column(self.table, self.column, context), *settings)
        bare = dataclasses.replace(self.column, nullable=True, default=None)
        add = dataclasses.replace(
            add_column(self.table, bare, context),
            probe=column_state(self.table, self.column.name, context),
        )
        steps = [add, set_default(self.table, self.column, context), *settings]
        steps.append(self._fill(context))
        if not self.column.nullable:
            steps += set_not_null(self.table, self.column.name, context)
        return tuple(steps)

    def _with(self, default: Default, context: Context) -> Statement:
        """The value is a constant by then, so that PostgreSQL stores it in the catalog."""

        def given(value: str) -> str:
            column = dataclasses.replace(self.column, default=value)
            return add_column(self.table, column, context).sql

        return WithDefault(
            given(spell_default(default)), tables=(self.table,), default=default, given=given
        )

    def _fill(self, context: Context) -> Statement:
        column = sql.ident(self.column.name)
        return update_in_batches(
            self.table,
            sql.clause("{column} = DEFAULT", column=column),
            sql.clause("{column} IS NULL", column=column),
            context,
        )

    def inverse(self) -> Operation:
        return DropColumn(table=self.table, column=self.column, model=self.model)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return (drop_column_if_there(self.table, self.column.name, context),)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("columns", self.column))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        at_once = volatile(self.column.default) and context.quiet(self.table)
        return (Touch(Effect.REWRITE, self.table),) if self.column.identity or at_once else ()

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self._there(context) and not self.column.nullable:
            filled = ("requires_backfill",) if self.column.default is not None else ()
            return (*filled, "changes_column_nullable_to_not_null", "scans_table")
        filled = ("requires_backfill",) if volatile(self.column.default) else ()
        rewritten = ("rewrites_table",) if self.column.identity else ()
        if self.default and not self.column.nullable:
            return ("adds_nullable_column", "breaks_running_code")
        if self.column.nullable or self.column.default is not None or self.column.identity:
            return ("adds_nullable_column", *filled, *rewritten)
        return ("adds_required_column_without_default", "breaks_running_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddGeneratedColumn(OnTable):
    """Adds a generated column; a stored one makes PostgreSQL write the table anew."""

    kind = "addGeneratedColumn"
    table: TableName
    column: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        return f"add column {self.target} ({spell_column(self.column)})"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        added = add_column(self.table, self.column, context)
        settings = column_settings(self.table, self.column, context)
        return (dataclasses.replace(added, rewrites=not self.column.virtual), *settings)

    def inverse(self) -> Operation:
        return DropColumn(table=self.table, column=self.column, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("columns", self.column))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return () if self.column.virtual else (Touch(Effect.REWRITE, self.table),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        rewritten = () if self.column.virtual else ("rewrites_table",)
        return ("adds_nullable_column", *rewritten)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropColumn(OnTable):
    """Drops a column for good, with the plain indexes and constraints of its own table."""

    kind = "dropColumn"
    table: TableName
    column: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        return f"drop column {self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(
            context, self.table, "DROP COLUMN {column}", column=sql.ident(self.column.name)
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        kind = AddGeneratedColumn if self.column.generated else AddColumn
        return kind(table=self.table, column=self.column, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.DROP_COLUMN, self.table, (self.column.name,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self.column.generated:
            return ("drops_column_with_data", "breaks_running_code")
        return ("drops_column_with_data", "breaks_running_code", "irreversible")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnNullable(OnTable):
    """SET NOT NULL by way of a validated check, or DROP NOT NULL.

    With `fill`, an SQL expression, rows that are NULL get that value first, those too that running
    code writes until the column is NOT NULL. With `default`, they get the value that a Python
    callable returns when the step runs; from the moment when NULL is refused to new rows, the rows
    that running code wrote meanwhile get it as well.
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
        (gone,) = take_away([*made, last], self.tables, context)
        yield dataclasses.replace(
            last,
            probe=trigger_state(self.table, name, context),
            cleanup=gone.sql,
            felt=f"trigger {own_trigger(name)} of {self.table}",
        )
        yield fill
        yield from set_not_null(self.table, self.column, context)
        yield from keep_no_longer(self.table, name, context)

    def inverse(self) -> Operation | None:
        """Of values that `default` wrote nothing shows which rows were NULL."""
        if self.default and not self.nullable:
            return None
        return dataclasses.replace(self, nullable=not self.nullable)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Of PostgreSQL 18 it is the constraint itself that is there, and not valid yet."""
        staged = take_away(self.statements(context), self.tables, context)
        back = dataclasses.replace(self, nullable=True, default=None)
        return (*staged, *back.statements(context))

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

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, default=self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        """Without its default, an insert of running code that leaves the column out may fail."""
        column = must_have(context.graph, self.table).column(self.column)
        if self.new is None and column and not column.nullable and not context.quiet(self.table):
            return ("breaks_running_code",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnIdentity(OnTable):
    """Gives a column an identity, takes it away, or changes its kind."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn(OnTable):
    """Renames a column in place."""

    kind = "renameColumn"
    table: TableName
    old: str
    new: str
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.old}"

    def describe(self) -> str:
        return f"rename column {self.target} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(
            context,
            self.table,
            "RENAME COLUMN {old} TO {new}",
            old=sql.ident(self.old),
            new=sql.ident(self.new),
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return RenameColumn(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return rename_column(graph, self.table, self.old, self.new)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.RENAME_COLUMN, self.table, (self.old,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rename_column", "breaks_running_code")


_IDENTITIES = {"always", "by default"}
# --- the SQL of columns ------------------------------------------------------------------------


def add_column(table: TableName, column: Column, context: Context) -> Statement:
    text = alter_table(context, table, "ADD COLUMN {definition}", definition=column_clause(column))
    rewrites = bool(column.identity) or volatile(column.default)
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,), rewrites=rewrites)


def set_default(table: TableName, column: Column, context: Context) -> Statement:
    text = alter_table(
        context,
        table,
        "ALTER COLUMN {column} SET DEFAULT {default}",
        column=sql.ident(column.name),
        default=sql.catalog_text(column.default or "NULL"),
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def drop_default(table: TableName, column: str, context: Context) -> Statement:
    text = alter_table(
        context, table, "ALTER COLUMN {column} DROP DEFAULT", column=sql.ident(column)
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def spell_default(default: Default) -> str:
    """What stands for the value where a statement is shown."""
    return f"{default} /* Python, called when the step runs */"


def column_state(table: TableName, column: str, context: Context) -> str:
    """The probe of a column: done when it exists."""
    return sql.compose(
        _COLUMN_STATE, table=sql.regclass(table, context.schema), column=sql.literal(column)
    )


def update_in_batches(
    table: TableName, assignments: sql.Composable, where: sql.Composable, context: Context
) -> Batches:
    """Writes the rows that `where` selects; `where` must be false once a row is written."""
    text = sql.compose(
        "UPDATE {table} SET {assignments} WHERE {where}",
        table=context.table(table),
        assignments=assignments,
        where=where,
    )
    return Batches(
        text,
        Lock.ROW_EXCLUSIVE,
        (table,),
        transactional=False,
        scans=True,
        table=table,
        assignments=str(assignments),
        where=str(where),
    )


def default_in_batches(
    table: TableName, column: str, default: Default, where: sql.Composable, context: Context
) -> Batches:
    """Writes the value of a Django field's default to the rows that `where` selects."""
    shown = sql.catalog_text(spell_default(default))
    assignment = sql.clause("{column} = {value}", column=sql.ident(column), value=shown)
    fill = update_in_batches(table, assignment, where, context)
    return dataclasses.replace(fill, assignments="", column=column, default=default)

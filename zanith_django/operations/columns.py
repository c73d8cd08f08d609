"""Columns: add, alter, rename, drop."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from zanith_django.operations.answers import ColumnRename, Loss
from zanith_django.operations.base import (
    KINDS,
    Context,
    Default,
    OnTable,
    Operation,
    Statement,
    WithDefault,
    alter_table,
    must_have,
)
from zanith_django.operations.column_clauses import (
    column_settings,
    comment_on_column,
    spell_column,
)
from zanith_django.operations.column_sql import (
    add_column,
    default_in_batches,
    drop_default,
    set_default,
    spell_default,
    update_in_batches,
)
from zanith_django.operations.column_values import column_state
from zanith_django.operations.dependents import rename_column, without_column
from zanith_django.operations.keep.kept import refuse_dropping
from zanith_django.operations.keep.restored import is_restored
from zanith_django.operations.not_null import set_not_null
from zanith_django.operations.online.rewrites import volatile
from zanith_django.operations.online.scaffold import drop_column_if_exists
from zanith_django.operations.parts import OnItem
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph
from zanith_django.schema.parts import COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn(OnItem):
    """Adds a column without a rewrite: a constant default is stored in the catalog, a volatile
    one is filled in by batches.

    With `default`, existing rows get the value that a Python callable returns when the step runs;
    the column keeps no default.
    """

    kind = "addColumn"
    adds = COLUMNS
    table: TableName
    column: Column
    default: Default | None = None
    model: str = ""

    def describe(self) -> str:
        filled = f", filled with {self.default}" if self.default else ""
        return f"add column {self.target} ({spell_column(self.column)}){filled}"

    @property
    def own_sql(self) -> bool:
        return self.default is None

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column.name,) if self.default else ()

    def adopts(self, graph: SchemaGraph) -> bool:
        """Does this schema have the column as zanith_recover restored it?"""
        return self._restored(graph) is not None

    def _there(self, context: Context) -> Column | None:
        return self._restored(context.graph)

    def _restored(self, graph: SchemaGraph) -> Column | None:
        """The column that zanith_recover restored before a model had it again."""
        column = must_have(graph, self.table).column(self.column.name)
        return (
            column if column and is_restored(column) and column.type == self.column.type else None
        )

    def _adopt(self, there: Column, context: Context) -> Iterator[Statement]:
        """Adds its missing properties. Its values stay; rows without one get the default."""
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
        """Adds the column with a value that is a constant by then, which PostgreSQL stores in the
        catalog."""

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
        return (drop_column_if_exists(self.table, self.column.name, context),)

    @property
    def filled_by(self) -> Default | str:
        return self.default or ""

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
class AddGeneratedColumn(OnItem):
    """Adds a generated column; a stored one makes PostgreSQL rewrite the table."""

    kind = "addGeneratedColumn"
    adds = COLUMNS
    table: TableName
    column: Column
    model: str = ""

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
class DropColumn(OnItem):
    """Drops a column permanently, with the plain indexes and constraints of its own table."""

    kind = "dropColumn"
    drops = COLUMNS
    table: TableName
    column: Column
    model: str = ""

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

    @property
    def loses(self) -> Loss:
        return Loss(self.table, self.column)

    def keeping(self, graph: SchemaGraph) -> Operation | None:
        """A generated column needs no keeping. The kind is found by name, because its module
        imports this one."""
        live = graph.table(self.table)
        column = live.column(self.column.name) if live else None
        if live is None or column is None or self.column.generated:
            return None
        refuse_dropping(live, column)
        kept = KINDS["softDropColumn"](table=self.table, column=column, model=self.model)  # type: ignore[call-arg]
        return kept.in_names_of(graph)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.DROP_COLUMN, self.table, (self.column.name,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self.column.generated:
            return ("drops_column_with_data", "breaks_running_code")
        return ("drops_column_with_data", "breaks_running_code", "irreversible")


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

    @property
    def renames_only(self) -> bool:
        return True

    @property
    def renamed_column(self) -> ColumnRename:
        return ColumnRename(self.table, self.old, self.new)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return rename_column(graph, self.table, self.old, self.new)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.RENAME_COLUMN, self.table, (self.old,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rename_column", "breaks_running_code")

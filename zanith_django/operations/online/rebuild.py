"""Rewrites a table while it is in use: a copy, synchronized by a journal of changed keys, replaces
the table in one short transaction."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.answers import Piece
from zanith_django.operations.base import (
    Artifact,
    Context,
    OnTable,
    Operation,
    Statement,
    must_have,
)
from zanith_django.operations.dependents import without_column
from zanith_django.operations.online.rebuild_swap import Rebuild
from zanith_django.operations.online.scaffold import remove_scaffold
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.triggers import (
    triggers_on,
)
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Column,
    SchemaGraph,
    Table,
)
from zanith_django.schema.parts import COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildTable(OnTable):
    """Rewrites a table without blocking readers and writers; the old one is kept.

    Without `new` it only removes dead rows. With it, `old` and `new` are all columns before and
    after, in their order; `values` are (column, SQL expression) of those whose value is not that of
    the old column. Dependent objects of a removed column are removed with it. `undo`: it reverses
    an earlier rebuild.
    """

    kind = "rebuildTable"
    derived = False
    table: TableName
    old: tuple[Column, ...] = ()
    new: tuple[Column, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    undo: bool = False
    model: str = ""

    def describe(self) -> str:
        was, will = {c.name for c in self.old}, {c.name for c in self.new}
        changed = sorted(c.name for c in self.new if c.name in was and c not in self.old)
        parts = (("without", sorted(was - will)), ("with", sorted(will - was)), ("other", changed))
        changes = [f"{word} {', '.join(names)}" for word, names in parts if names]
        return f"rebuild table {self.table}" + (f" ({'; '.join(changes)})" if changes else "")

    def statements(self, context: Context) -> tuple[Statement, ...]:
        table = context.graph.table(self.table)
        if table is None:  # nothing is known of it: a plan without a database
            return (Statement(f"-- {self.describe()}", Lock.ACCESS_EXCLUSIVE, (self.table,)),)
        return self.statements_of(self.after(table), context)

    def statements_of(self, after: Table, context: Context) -> tuple[Statement, ...]:
        """The statements for another resulting table with the same columns."""
        table = must_have(context.graph, self.table)
        return tuple(Rebuild(self.undo, self.values, table, after, context).statements())

    def after(self, table: Table) -> Table:
        """The table with its new columns."""
        if not self.new:
            return table
        kept = {column.name for column in self.new}
        for name in set(table.column_names) - kept:
            for trigger in triggers_on(table, name):
                table = table.without_item("triggers", trigger.name)
            table = without_column(table, name)
        return dataclasses.replace(table, columns=self.new)

    def inverse(self) -> Operation | None:
        """None if a column was removed: its values are only in the kept table."""
        if not self.undo and {c.name for c in self.old} - {c.name for c in self.new}:
            return None
        return dataclasses.replace(self, old=self.new, new=self.old, undo=not self.undo)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Possible until the swap; afterwards the rows are in the new table."""
        return remove_scaffold(self.statements(context), self.tables, context)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        known = {column.name for column in self.old}
        made = (column for column in self.new if column.name not in known)
        return tuple(Piece(self.table, COLUMNS, column) for column in made)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, self.after)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.REBUILD, self.table),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        gone = not self.undo and {c.name for c in self.old} - {c.name for c in self.new}
        lost = ("drops_column_with_data", "breaks_running_code", "irreversible") if gone else ()
        return ("rebuilds_table", *lost)

    @property
    def own_sql(self) -> bool:
        return False  # it keeps its journal in a schema that the whole database shares

    def artifact(self, context: Context) -> Artifact | None:
        if self.undo:
            return None
        table = must_have(context.graph, self.table)
        return Rebuild(self.undo, self.values, table, self.after(table), context).artifact()

    @property
    def recoverable(self) -> bool:
        return not self.undo

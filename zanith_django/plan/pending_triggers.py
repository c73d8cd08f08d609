"""The triggers of deferred foreign keys that wait for the end of a transaction: until they ran,
PostgreSQL refuses to change their table.
https://www.postgresql.org/docs/current/sql-set-constraints.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from zanith_django.operations.base import Context
from zanith_django.plan.effects.values import ALL, DELETE, INSERT, UPDATE, Effect, RowWrite
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey, SchemaGraph

Waiting = set[tuple[TableName, str]]
"""The tables whose rows were written, each with the name of a foreign key that checks them."""


@dataclass(slots=True)
class PendingTriggers:
    """The state of one transaction between its statements.

    `later` are the tables that Django changes at its end, and `before` is the schema at its
    beginning: a foreign key that Django adds at the end has no triggers yet, so `written` is what
    waits without such keys. `origins` are the earlier names of tables that it renamed.
    """

    waiting: Waiting = field(default_factory=set)
    written: Waiting = field(default_factory=set)
    later: set[TableName] = field(default_factory=set)
    origins: dict[TableName, TableName] = field(default_factory=dict)
    before: SchemaGraph | None = None

    def end(self) -> None:
        self.waiting.clear()

    def refuse(self, effect: Effect, context: Context) -> bool:
        """Does PostgreSQL refuse the statement? It changes a table with waiting triggers, or writes
        rows of one that Django changes at the end."""
        self.before = self.before or context.graph
        if not effect.transactional:
            return False
        for waiting in (self.waiting, self.written):
            if ALL in effect.settles:
                waiting.clear()
            waiting -= {each for each in waiting if each[1] in effect.settles}
        refused = not _tables(self.waiting).isdisjoint(effect.alters)
        self._rename(effect)
        self.waiting.update(self._begun(effect, context, context.graph))
        known = _tables(self.written) & self.later
        self.written.update(self._begun(effect, context, self.before))
        self.later.update(effect.alters if effect.deferred else ())
        return refused or _tables(self.written) & self.later != known

    def _rename(self, effect: Effect) -> None:
        for move in effect.moves:
            if move.old and move.new:
                self.origins[move.new] = self.origins.pop(move.old, move.old)
                self.waiting |= {(move.new, key) for name, key in self.waiting if name == move.old}

    def _begun(
        self, effect: Effect, context: Context, graph: SchemaGraph
    ) -> Iterator[tuple[TableName, str]]:
        """What waits from now on. TRUNCATE writes no rows."""
        for write in effect.writes:
            if write.table not in effect.alters and write.table not in context.empty:
                keys = self._checking(write, graph)
                yield from ((write.table, k.name) for k in keys if k.deferrable == "deferred")

    def _checking(self, write: RowWrite, graph: SchemaGraph) -> Iterator[ForeignKey]:
        """The foreign keys that check the rows."""
        for key in self._own(write.table, graph):
            if write.how == INSERT or (write.how == UPDATE and _is_set(key.columns, write)):
                yield key
        for key in self._others(write.table, graph):
            if write.how == DELETE or (
                write.how == UPDATE and _is_set(key.referenced_columns, write)
            ):
                yield key

    def _own(self, name: TableName, graph: SchemaGraph) -> Iterable[ForeignKey]:
        known = filter(None, map(graph.table, self._names(name)))
        return (key for table in known for key in table.foreign_keys)

    def _others(self, name: TableName, graph: SchemaGraph) -> Iterable[ForeignKey]:
        names = self._names(name)
        every = (key for table in graph.tables for key in table.foreign_keys)
        return (key for key in every if key.references in names)

    def _names(self, name: TableName) -> tuple[TableName, TableName]:
        return name, self.origins.get(name, name)


def _is_set(columns: Iterable[str], write: RowWrite) -> bool:
    return ALL in write.columns or not set(columns).isdisjoint(write.columns)


def _tables(waiting: Waiting) -> set[TableName]:
    return {table for table, _ in waiting}

"""The state of a difference while it is computed, and the hints that no graph contains."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zanith_django.diff.pairs import (
    Pair,
    relation_names,
)
from zanith_django.operations.base import Default, Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

SOFT, ARCHIVE, HARD = "soft", "archive", "hard"
ColumnName = tuple[TableName, str]


@dataclass(frozen=True, slots=True)
class Fill:
    """The value that existing rows of a column get: SQL (if volatile, one value per row), or the
    default of a Django field, which is called when the step runs, or the default of the column in
    the database."""

    expression: str = ""
    default: Default | None = None
    by_database: bool = False

    def value(self, column: Column) -> str:
        """The default as SQL; "" if Python computes it."""
        return (column.default or "") if self.by_database else self.expression


@dataclass(frozen=True, slots=True)
class Hints:
    """Facts of Django's migrations that no graph contains: renames, objects that end although
    another object may get their name, and values for existing rows. Tables of columns are named as
    after their renames."""

    tables: Mapping[TableName, TableName] = field(default_factory=dict)
    columns: Mapping[ColumnName, str] = field(default_factory=dict)
    ended_tables: Collection[TableName] = ()
    ended_columns: Collection[ColumnName] = ()
    fills: Mapping[ColumnName, Fill] = field(default_factory=dict)
    labels: Mapping[TableName, str] = field(default_factory=dict)


Phase = Callable[["Differ"], Iterator[Operation]]


class Differ:
    """The graph after the operations found so far, and the wanted graph."""

    def __init__(
        self,
        before: SchemaGraph,
        after: SchemaGraph,
        hints: Hints,
        drop: str,
        *,
        overlapping: bool,
        phases: Sequence[Phase],
    ) -> None:
        self.now, self.after, self.hints, self.drop = before, after, hints, drop
        self.overlapping, self.phases = overlapping, phases
        self.operations: list[Operation] = []
        self._differing: set[TableName] | None = None
        self._pairs: dict[TableName, Pair] = {}

    @functools.cached_property
    def names_to_be(self) -> set[TableName]:
        """The wanted names of tables and indexes."""
        return relation_names(self.after)

    @functools.cached_property
    def ends(self) -> Mapping[TableName, set[tuple[str, ...]]]:
        """{table: the columns that wanted foreign keys reference}."""
        ends: defaultdict[TableName, set[tuple[str, ...]]] = defaultdict(set)
        for table in self.after.tables:
            for key in table.foreign_keys:
                ends[key.references].add(key.referenced_columns)
        return ends

    def run(self) -> tuple[Operation, ...]:
        """The operations of all phases, each for the graph after the operations before it."""
        for phase in self.phases:
            for operation in phase(self):
                self.take(operation)
        return tuple(self.operations)

    def towards(self, graph: SchemaGraph) -> tuple[Operation, ...]:
        """The operations from the current graph to another one, without hints."""
        labels = Hints(labels=self.hints.labels)
        overlapping, phases = self.overlapping, self.phases
        return Differ(
            self.now, graph, labels, self.drop, overlapping=overlapping, phases=phases
        ).run()

    def take(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.now = operation.apply_to(self.now)
        if self._differing is not None:
            self._differing.update(operation.tables)

    def label(self, name: TableName) -> str:
        return self.hints.labels.get(name, "")

    def pairs(self) -> Iterator[Pair]:
        """The tables of both graphs that differ. All are compared once, after the renames; later
        only those that differed or that an operation touched.
        """
        if self._differing is None:
            self._differing = {table.name for table in self.after.tables if self._differs(table)}
        for wanted in [table for table in self.after.tables if table.name in self._differing]:
            if self._differs(wanted):
                yield self._pair(wanted)

    def _pair(self, wanted: Table) -> Pair:
        """The current pair of a table; the same one until an operation touches it."""
        current, known = self.current(wanted.name), self._pairs.get(wanted.name)
        if known is None or known.current is not current:
            known = self._pairs[wanted.name] = Pair(current, wanted, soft=self.drop != HARD)
        return known

    def _differs(self, wanted: Table) -> bool:
        current = self.now.table(wanted.name)
        return current is not None and current is not wanted and current != wanted

    def current(self, name: TableName) -> Table:
        return self.now.table(name) or Table(name)

    def gone_tables(self) -> list[Table]:
        return [table for table in self.now.tables if table.name not in self.after]

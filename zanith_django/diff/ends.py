"""Objects that end although another object is to have their name."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator

from zanith_django.diff.differ import Differ
from zanith_django.operations.base import Operation
from zanith_django.operations.dependents import (
    generated_from,
    referrers_of,
    referrers_to,
    without_column,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey, SchemaGraph


def ended_tables(d: Differ) -> Iterator[Operation]:
    """Drops of all ending tables together, because they may reference each other."""
    ended = [name for name in d.hints.ended_tables if name in d.now]
    if any(name in d.after for name in ended):
        graph = d.now
        for name in ended:
            graph = _without_keys(graph, referrers_to(graph, name)).without_table(name)
        yield from d.towards(graph)


def ended_columns(d: Differ) -> Iterator[Operation]:
    graph = d.now
    for table, column in sorted(d.hints.ended_columns):
        wanted = d.after.table(table)
        if wanted and wanted.column(column):
            graph = _without_column(graph, table, column)
    if graph is not d.now:
        yield from d.towards(graph)


def _without_column(graph: SchemaGraph, name: TableName, column: str) -> SchemaGraph:
    """`graph` without a column and the parts that contain it."""
    table = graph.table(name)
    if table is None or table.column(column) is None:
        return graph
    for generated in generated_from(table, column):
        graph = _without_column(graph, name, generated.name)
    graph = _without_keys(graph, referrers_of(graph, name, column))
    return graph.changed(name, lambda known: without_column(known, column))


def _without_keys(graph: SchemaGraph, keys: Iterable[tuple[TableName, ForeignKey]]) -> SchemaGraph:
    for table, key in keys:
        without = operator.methodcaller("without_item", "foreign_keys", key.name)
        graph = graph.changed(table, without)
    return graph

"""Objects that depend on tables and that no model declares, read for the tables that a plan
changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import query_rows, query_text
from zanith_django.schema.dependents import Dependent
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.values import replaced


def with_dependents(cursor: Any, graph: SchemaGraph, names: Collection[TableName]) -> SchemaGraph:
    """The graph with the objects that depend on these tables in the database.

    `cursor` is as for `from_catalog`. An operation that is folded over the graph takes the
    dependents of a renamed table or column along.
    """
    asked = [name for name in names if name in graph]
    if not asked:
        return graph
    schema = graph.default_schema
    wanted = (schema, None, [name.schema for name in asked], [name.name for name in asked])
    with cursor.connection.transaction(force_rollback=True):
        cursor.execute(query_text("settings"), wanted)
        tables = {row[0]: _name(row[1:3], schema) for row in query_rows(cursor, "tables")}
        rows = query_rows(cursor, "dependents")
    found: defaultdict[TableName, list[Dependent]] = defaultdict(list)
    for table, *row in rows:
        found[tables[table]].append(_dependent(row, graph))
    for name in tables.values():
        graph = graph.changed(name, lambda t: replaced(t, dependents=tuple(found[t.name])))
    return graph


def _dependent(row: list[Any], graph: SchemaGraph) -> Dependent:
    kind, name, via, through, columns, own, place, more = row
    holder = _name(place, graph.default_schema) if place else None
    return Dependent(
        kind,
        name,
        via,
        through,
        tuple(sorted(columns)),
        own,
        holder if holder and graph.table(holder) else None,
        tuple(more),
    )


def _name(parts: Any, schema: str) -> TableName:
    return TableName("" if parts[0] == schema else parts[0], parts[1])

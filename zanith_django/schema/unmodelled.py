"""Objects that depend on tables and that no model declares, read for the tables that a plan
changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.rows import several_rows
from zanith_django.schema.catalog import QUERIES, graph_of, query_text, settled, type_of_row
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
    wanted = (graph.default_schema, None, *_sides(asked))
    with settled(cursor, wanted):
        tables, rows = several_rows(cursor, [*map(query_text, _QUERIES)])
    return _added(graph, tables, rows)


def graph_with_dependents(
    cursor: Any, names: Collection[TableName] | None, *, schema: str | None = None
) -> SchemaGraph:
    """The whole schema, read as by `from_catalog`, with what depends on these tables (None: on
    all). `schema` is all that is read. It takes two round trips."""
    wanted = (schema, schema and [schema], None, None)
    with settled(cursor, wanted) as default:
        narrowed = [] if names is None else [_narrowed(default, names)]
        more = (*narrowed, *map(query_text, _QUERIES)) if names is None or names else ()
        found = several_rows(cursor, [*map(query_text, QUERIES), *more])
    graph = graph_of(default, found[: len(QUERIES)])
    return _added(graph, *found[-2:]) if more else graph


_QUERIES = ("tables", "dependents")


def _narrowed(default: str, names: Collection[TableName]) -> str:
    """What `queries/settings.sql` does with the names of the tables to read."""
    schemas, tables = _sides(names)
    return str(
        sql.compose(
            "SELECT set_config('zanith.tables', coalesce(array_agg(format("
            "'%I.%I', coalesce(nullif(s, ''), {default}), t))::text, ''), true) "
            "FROM unnest({schemas}::text[], {tables}::text[]) AS wanted(s, t)",
            default=sql.literal(default),
            schemas=sql.literal(schemas),
            tables=sql.literal(tables),
        )
    )


def _sides(names: Collection[TableName]) -> tuple[list[str], list[str]]:
    return [name.schema for name in names], [name.name for name in names]


def _added(
    graph: SchemaGraph, read: Sequence[type_of_row], rows: Sequence[type_of_row]
) -> SchemaGraph:
    tables = {row[0]: _name(row[1:3], graph.default_schema) for row in read}
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

"""What is known of the database that a plan is for: live, or of a file of sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations import Operation
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan.search_path import found_elsewhere
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import server_version
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.unmodelled import with_dependents
from zanith_django.timeline.timeline import Timeline

# --- what is known of the live database ----------------------------------------------------------

_FACTS = """\
SELECT n.nspname, c.relname, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid),
       coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%'"""


_RELATIONS = """\
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%'"""

_DOMAINS = """\
SELECT t.typname
FROM pg_catalog.pg_type t
WHERE t.typtype = 'd' AND (t.typnotnull OR EXISTS (
    SELECT FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid))
    AND t.typnamespace <> 'information_schema'::regnamespace"""


def live_context(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, timeline: Timeline | None = None
) -> Context:
    """What is known of a live database: its schema, version, sizes, which tables are empty, and
    what depends on the tables that pending steps of the timeline change."""
    pending = timeline.pending if timeline else ()
    steps = (step for entry in pending if entry.migration for step in entry.migration.operations)
    graph = with_known_dependents(connection, graph, steps)
    with connection.cursor() as cursor:
        cursor.execute(_FACTS)
        rows = cursor.fetchall()
        cursor.execute(_RELATIONS)
        names = cursor.fetchall()
        cursor.execute(_DOMAINS)
        domains = [name for (name,) in cursor.fetchall()]
    schema = graph.default_schema
    relations = [TableName("" if place == schema else place, name) for place, name in names]
    facts = {
        TableName("" if row[0] == schema else row[0], row[1]): TableFacts(*row[2:]) for row in rows
    }
    return dataclasses.replace(
        step_context(connection, graph),
        facts=facts,
        empty=empty_tables(connection, schema, [n for n in graph.table_names if n in facts]),
        elsewhere=found_elsewhere(connection),
        relations=frozenset(relations),
        domains=frozenset(domains),
    )


def step_context(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, migration_id: str = ""
) -> Context:
    """What a step of a migration knows of the server. `graph` is the schema before it."""
    return Context(
        server_version=server_version(connection),
        schema=graph.default_schema,
        graph=graph,
        migration_id=migration_id,
    )


def with_known_dependents(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, operations: Iterable[Operation]
) -> SchemaGraph:
    """`graph` with what depends on the tables of those operations that something could be in the
    way of."""
    names = {
        name
        for operation in operations
        if type(operation).touches is not Operation.touches
        for name in operation.tables
    }
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return with_dependents(cursor, graph, sorted(names))


def empty_tables(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> frozenset[TableName]:
    """Those of these tables that exist and hold no row; asks all in one query."""
    names = _existing(connection, schema, names)
    asked = [
        sql.compose("NOT EXISTS (SELECT FROM {table})", table=sql.table(name, schema))
        for name in names
    ]
    found: list[bool] = []
    with connection.cursor() as cursor:
        for chunk in range(0, len(asked), 400):
            cursor.execute("SELECT ARRAY[" + ", ".join(asked[chunk : chunk + 400]) + "]")
            found += cursor.fetchone()[0]
    return frozenset(name for name, empty in zip(names, found, strict=True) if empty)


def _existing(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> list[TableName]:
    if not names:
        return []
    spelled = [str(sql.table(name, schema)) for name in names]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(name) IS NOT NULL "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS given(name, place) ORDER BY place",
            [spelled],
        )
        return [name for name, (there,) in zip(names, cursor.fetchall(), strict=True) if there]


def offline_context(sizes: Mapping[str, object] | None = None) -> Context:
    """What is known without a database: nothing, or a graph with row estimates from production."""
    if sizes is None:
        return Context()
    graph = SchemaGraph.from_json(sizes)
    rows = sizes.get("rows")
    known = rows if isinstance(rows, Mapping) else {}
    facts = {
        TableName("", name.name) if name.schema == graph.default_schema else name: TableFacts(
            int(value.get("rows", 0)), int(value.get("bytes", 0))
        )
        for name, value in ((TableName.of(key), value) for key, value in known.items())
    }
    empty = frozenset(name for name, fact in facts.items() if fact.rows == 0)
    return Context(graph=graph, schema=graph.default_schema, facts=facts, empty=empty)

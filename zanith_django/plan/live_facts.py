"""What is known of the database that a plan is for: live, or of a file of sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from zanith_django.operations import Operation
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan.search_path import found_elsewhere
from zanith_django.plan.sizes import live_sizes
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import (
    LOCK_NOT_AVAILABLE,
    milliseconds,
    server_version,
    sqlstate,
)
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.unmodelled import with_dependents
from zanith_django.timeline.timeline import Entry, Timeline

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
    graph = _with_dependents(connection, graph, timeline.pending if timeline else ())
    with connection.cursor() as cursor:
        cursor.execute(_RELATIONS)
        names = cursor.fetchall()
        cursor.execute(_DOMAINS)
        domains = [name for (name,) in cursor.fetchall()]
    schema = graph.default_schema
    relations = [TableName("" if place == schema else place, name) for place, name in names]
    facts = live_sizes(connection, schema)
    empty, locked = looked_into(connection, schema, [n for n in graph.table_names if n in facts])
    return dataclasses.replace(
        step_context(connection, graph),
        facts=facts,
        empty=empty,
        elsewhere=found_elsewhere(connection),
        relations=frozenset(relations),
        domains=frozenset(domains),
        unseen=locked,
    )


def _with_dependents(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, pending: Iterable[Entry]
) -> SchemaGraph:
    """Code of an author, and of Django, may change any table."""
    entries = list(pending)
    steps = [step for each in entries if each.migration for step in each.migration.operations]
    if all(each.migration for each in entries) and not any(step.authored for step in steps):
        return with_known_dependents(connection, graph, steps)
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return with_dependents(cursor, graph, sorted(graph.table_names))


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


# How long a plan waits for a lock that another session takes while it looks, in seconds.
_PATIENCE = 0.2

_LOCKED = """\
SELECT ARRAY(
    SELECT name FROM unnest(%s::text[]) AS given(name)
    JOIN pg_catalog.pg_locks ON relation = to_regclass(name)
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid())"""


def empty_tables(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> frozenset[TableName]:
    """Those of these tables that exist and hold no row."""
    return looked_into(connection, schema, names)[0]


def looked_into(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> tuple[frozenset[TableName], frozenset[TableName]]:
    """(Those that exist and hold no row, those that another session locks). Asks for 400 in a
    query and waits for no lock."""
    names = _existing(connection, schema, names)
    locked = _locked(connection, schema, names)
    free = [name for name in names if name not in locked]
    empty: set[TableName] = set()
    for place in range(0, len(free), 400):
        chunk = free[place : place + 400]
        found = _empty_of(connection, schema, chunk)
        if found is None:  # a lock came in between
            locked |= set(chunk)
        else:
            empty |= found
    return frozenset(empty), frozenset(locked)


# A heap without a page has no row, unless tables inherit from it. Not materialized, each name would
# be looked up again for each row of pg_class.
_PAGELESS = """\
WITH given AS MATERIALIZED (
    SELECT name, to_regclass(name)::oid AS oid FROM unnest(%s::text[]) AS name
)
SELECT given.name
FROM given
JOIN pg_catalog.pg_class c ON c.oid = given.oid
JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.amname = 'heap'
WHERE c.relkind = 'r' AND NOT c.relhassubclass AND pg_relation_size(c.oid) = 0"""


def _empty_of(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> set[TableName] | None:
    """The empty ones of these. Those without a page are not planned for: 1,000 of them take 0.14 s
    in a new session instead of 1.6."""
    spelled = {str(sql.table(name, schema)): name for name in names}
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            wait = milliseconds(_PATIENCE)
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [wait])
            cursor.execute(_PAGELESS, [list(spelled)])
            empty = {spelled.pop(text) for (text,) in cursor.fetchall()}
            asked = [f"NOT EXISTS (SELECT FROM {text})" for text in spelled]
            cursor.execute("SELECT ARRAY[" + ", ".join(asked) + "]::bool[]")
            pairs = zip(spelled.values(), cursor.fetchone()[0], strict=True)
            return empty | {name for name, answer in pairs if answer}
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return None


def _locked(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> set[TableName]:
    spelled = {str(sql.table(name, schema)): name for name in names}
    with connection.cursor() as cursor:
        cursor.execute(_LOCKED, [list(spelled)])
        return {spelled[text] for text in cursor.fetchone()[0]}


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

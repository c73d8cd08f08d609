"""The facts about the database of a plan, from the live database or a file of sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from zanith_django.operations import Operation
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan.search_path import ELSEWHERE, elsewhere_of
from zanith_django.plan.sizes import SIZES, sizes_of
from zanith_django.postgres import sql
from zanith_django.postgres.locks import LOCKED_BY_OTHERS
from zanith_django.postgres.names import TableName
from zanith_django.postgres.rows import several_rows
from zanith_django.postgres.session import (
    LOCK_NOT_AVAILABLE,
    milliseconds,
    server_version,
    sqlstate,
)
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.unmodelled import graph_with_dependents, with_dependents
from zanith_django.timeline.project import ONLY_SCHEMA
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


def pending_context(connection: BaseDatabaseWrapper, timeline: Timeline) -> Context:
    """As `live_context`, of the live schema, which is read in the same round trips."""
    only = connection.settings_dict.get(ONLY_SCHEMA)
    names = _asked(timeline.pending)
    with connection.wrap_database_errors, connection.cursor() as cursor:
        graph = graph_with_dependents(cursor, names, schema=only)
    return _context(connection, graph)


def live_context(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, timeline: Timeline | None = None
) -> Context:
    """The facts about a live database: its schema, version, sizes, empty tables, and the dependents
    of the tables that pending steps of the timeline change."""
    names = _asked(timeline.pending if timeline else ())
    return _context(connection, _with_dependents(connection, graph, names))


def _context(connection: BaseDatabaseWrapper, graph: SchemaGraph) -> Context:
    """Its catalog is asked in one round trip, and whether its tables hold rows in another."""
    with connection.cursor() as cursor:
        names, domains, sizes, pageless, hidden, elsewhere = several_rows(
            cursor, (_RELATIONS, _DOMAINS, SIZES, _PAGELESS, _HIDDEN, ELSEWHERE)
        )
    schema = graph.default_schema
    without_page = _named(pageless, schema)
    facts, locked = sizes_of(sizes, schema)
    known = [name for name in graph.table_names if name in facts]
    opened = [name for name in known if name not in without_page]
    looked = _Looked(locked.intersection(known), _named(hidden, schema))
    empty, unseen = _looked_into(connection, schema, opened, looked)
    return dataclasses.replace(
        step_context(connection, graph),
        facts=facts,
        empty=empty | without_page.intersection(known),
        elsewhere=elsewhere_of(elsewhere),
        relations=frozenset(_named(names, schema)),
        domains=frozenset(name for (name,) in domains),
        unseen=unseen,
    )


def _named(rows: Iterable[tuple[str, str]], schema: str) -> set[TableName]:
    return {TableName("" if place == schema else place, name) for place, name in rows}


def _asked(pending: Iterable[Entry]) -> list[TableName] | None:
    """The tables whose dependents a plan needs. None, for all: code of an author, and of Django,
    may change any table."""
    entries = list(pending)
    steps = [step for each in entries if each.migration for step in each.migration.operations]
    if all(each.migration for each in entries) and not any(step.authored for step in steps):
        return _touched(steps)
    return None


def _with_dependents(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, names: Iterable[TableName] | None
) -> SchemaGraph:
    found = sorted(graph.table_names if names is None else names)
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return with_dependents(cursor, graph, found)


def step_context(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, migration_id: str = ""
) -> Context:
    """The context of a step of a migration. `graph` is the schema before it."""
    return Context(
        server_version=server_version(connection),
        schema=graph.default_schema,
        graph=graph,
        migration_id=migration_id,
    )


def with_known_dependents(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, operations: Iterable[Operation]
) -> SchemaGraph:
    """`graph` with the dependents of the tables of operations that a dependent could block."""
    return _with_dependents(connection, graph, _touched(operations))


def _touched(operations: Iterable[Operation]) -> list[TableName]:
    names = {
        name
        for operation in operations
        if type(operation).touches is not Operation.touches
        for name in operation.tables
    }
    return sorted(names)


# How long a plan waits for a lock of another session, in seconds.
_PATIENCE = 0.2
# Bytes that a server reads in an instant.
_INSTANT = 8_000_000

# Of each name, in order: it exists, another session locks it, policies hide rows from this role.
_THERE = f"""\
WITH locked AS MATERIALIZED ({LOCKED_BY_OTHERS})
SELECT to_regclass(name) IS NOT NULL, coalesce(to_regclass(name) IN (TABLE locked), false),
       coalesce(row_security_active(to_regclass(name)), false)
FROM unnest(%s::text[]) WITH ORDINALITY AS given(name, place) ORDER BY place"""

_HIDDEN = """\
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND row_security_active(c.oid)"""

# A heap without a page has no row, unless tables inherit from it. 1,000 such tables take 0.14 s in
# a new session; opening them, 1.6 s. The size of one that another session locks cannot be read.
_HEAP = """\
c.relkind = 'r' AND NOT c.relhassubclass
  AND c.relam = (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'heap')"""

_PAGELESS = f"""\
WITH locked AS MATERIALIZED ({LOCKED_BY_OTHERS})
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE {_HEAP}
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND c.oid NOT IN (TABLE locked)
  AND pg_relation_size(c.oid) = 0"""

_HAS_NO_PAGE = f"""\
(SELECT {_HEAP} AND pg_relation_size(c.oid) = 0
 FROM pg_catalog.pg_class c WHERE c.oid = {{table}}::regclass)"""


class _Looked(NamedTuple):
    """Tables whose rows cannot be read: another session locks them, or policies hide rows."""

    locked: set[TableName]
    hidden: set[TableName]


def empty_tables(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> frozenset[TableName]:
    """Those of these tables that exist and hold no row. One with many pages of deleted rows does
    not count: to read them takes time."""
    return looked_into(connection, schema, names)[0]


def looked_into(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> tuple[frozenset[TableName], frozenset[TableName]]:
    """(the existing tables without rows, those that another session locks). It queries 400 tables
    at once and waits for no lock."""
    there, looked = _there(connection, schema, names)
    return _looked_into(connection, schema, there, looked)


def _looked_into(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName], looked: _Looked
) -> tuple[frozenset[TableName], frozenset[TableName]]:
    locked = looked.locked
    free = [name for name in names if name not in locked]
    empty: set[TableName] = set()
    for place in range(0, len(free), 400):
        chunk = free[place : place + 400]
        found = _empty_of(connection, schema, chunk, looked.hidden)
        if found is None:  # a lock came in between
            locked = locked | set(chunk)
        else:
            empty |= found
    return frozenset(empty), frozenset(locked)


def _empty_of(
    connection: BaseDatabaseWrapper,
    schema: str,
    names: Sequence[TableName],
    hidden: Collection[TableName],
) -> set[TableName] | None:
    """The empty ones of these; None if a lock was in the way. Statements that are sent at once are
    one transaction, which ends the timeout; inside a transaction of the caller's, a savepoint
    does."""
    wait = sql.compose(
        "SELECT set_config('lock_timeout', {wait}, true)",
        wait=sql.literal(milliseconds(_PATIENCE)),
    )
    asked = [_question(name, schema, hidden=name in hidden) for name in names]
    inside = connection.in_atomic_block or not connection.get_autocommit()
    around = transaction.atomic(using=connection.alias) if inside else nullcontext()
    try:
        with around, connection.cursor() as cursor:
            _, ((answers,),) = several_rows(cursor, [wait, f"SELECT ARRAY[{', '.join(asked)}]"])
            return {name for name, is_empty in zip(names, answers, strict=True) if is_empty}
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return None


def _question(name: TableName, schema: str, *, hidden: bool) -> str:
    """Whether a table is empty. A policy may hide its rows, and refuse a query without settings of
    the application: then it is empty only if it has no page."""
    if hidden:
        return sql.compose(_HAS_NO_PAGE, table=sql.regclass(name, schema))
    return sql.compose(
        "CASE WHEN pg_relation_size({name}) > {most} THEN false "
        "ELSE NOT EXISTS (SELECT FROM {table}) END",
        name=sql.regclass(name, schema),
        most=sql.literal(_INSTANT),
        table=sql.table(name, schema),
    )


def _there(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> tuple[list[TableName], _Looked]:
    """Those that exist, and those of them whose rows cannot be read."""
    looked = _Looked(set(), set())
    if not names:
        return [], looked
    with connection.cursor() as cursor:
        cursor.execute(_THERE, [[str(sql.table(name, schema)) for name in names]])
        rows = [(name, *row) for name, row in zip(names, cursor.fetchall(), strict=True)]
    looked.locked.update(name for name, there, locked, _ in rows if there and locked)
    looked.hidden.update(name for name, there, _, hidden in rows if there and hidden)
    return [name for name, there, *_ in rows if there], looked


def offline_context(sizes: Mapping[str, object] | None = None) -> Context:
    """The facts without a database: none, or a graph with row estimates from production."""
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

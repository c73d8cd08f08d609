"""What must hold after a run that was cut off, and one more run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.graphs import differences
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph

ROWS = """
SELECT format('SELECT %%L, x.*::text FROM %%s x', c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (n.nspname = '_zanith_kept' OR NOT starts_with(c.relname, '_zanith_'))
  AND c.relname <> 'django_migrations' ORDER BY c.oid::regclass::text"""

INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready"
LOCKS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

STEPS = """
SELECT migration_id || '::' || split_part(right(id, -strpos(id, '::') - 1), '.', 1), status, id
FROM _zanith_migration_steps
ORDER BY id COLLATE "C" """


@dataclass(frozen=True, slots=True)
class Outcome:
    """A database after a run that nothing cut: its schema, rows and ledger."""

    graph: SchemaGraph
    rows: tuple[Any, ...]
    artifacts: tuple[Any, ...]
    migrations: tuple[Any, ...]
    steps: tuple[Any, ...]


def outcome(connection: psycopg.Connection[Any]) -> Outcome:
    artifacts = "SELECT id, row_count, expires_at IS NULL FROM _zanith_migration_artifacts"
    migrations = "SELECT id FROM _zanith_migrations"
    return Outcome(
        from_catalog(connection.cursor()),
        tuple(_rows(connection)),
        tuple(connection.execute(f"{artifacts} ORDER BY id".encode()).fetchall()),
        tuple(connection.execute(f"{migrations} ORDER BY id".encode()).fetchall()),
        tuple((step, statuses[-1]) for step, statuses in _steps(connection).items()),
    )


def _steps(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """{step: the status of each attempt}."""
    steps: dict[str, list[str]] = {}
    for step, status, _ in connection.execute(STEPS).fetchall():
        steps.setdefault(step, []).append(status)
    return steps


def _rows(connection: psycopg.Connection[Any]) -> Iterator[Any]:
    for (text,) in connection.execute(ROWS.replace("%%", "%").encode()).fetchall():
        yield sorted(connection.execute(text.encode()).fetchall())


def problems(connection: psycopg.Connection[Any], wanted: Outcome) -> list[str]:
    """Everything that does not hold; empty where all is well."""
    found = outcome(connection)
    told = [f"schema: {line}" for line in differences(wanted.graph, found.graph)]
    if found.rows != wanted.rows:
        pairs = zip(found.rows, wanted.rows, strict=False)
        tables = {row[0] for pair in pairs if pair[0] != pair[1] for row in pair[0] + pair[1]}
        told.append(f"rows differ in {', '.join(sorted(tables)) or 'number of tables'}")
    if found.artifacts != wanted.artifacts:
        told.append(f"artifacts: {found.artifacts}")
    if found.migrations != wanted.migrations:
        told.append(f"migrations: {found.migrations}")
    if found.steps != wanted.steps:
        told.append(f"steps: {found.steps}")
    told += [f"invalid index {name}" for (name,) in connection.execute(INVALID).fetchall()]
    if not _gone(connection):
        told.append("an advisory lock is left")
    return told + list(_ledger(connection))


def _gone(connection: psycopg.Connection[Any]) -> bool:
    """The lock goes with its session, which may take a moment to end."""
    end = time.monotonic() + 5
    while connection.execute(LOCKS).fetchall():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _ledger(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Every step is done, or undone, once; an attempt before that failed. Only `reseed` may be
    done again: each time it fills what is NULL by then."""
    reseeds = "SELECT FROM _zanith_migration_steps WHERE operation_kind = 'reseed'"
    earlier = {"failed", "done"} if connection.execute(reseeds).fetchall() else {"failed"}
    for step, statuses in _steps(connection).items():
        # What is undone was done before, and says that it is so no more.
        before = statuses[:-1]
        if statuses[-1] == "rolled_back" and "rolled_back" in before:
            before.remove("rolled_back")
        if statuses[-1] not in ("done", "rolled_back") or set(before) - earlier:
            yield f"step {step}: {', '.join(statuses)}"
    checkpoints = "SELECT id, status FROM _zanith_migration_checkpoints WHERE status <> 'done'"
    yield from (f"checkpoint {row}" for row in connection.execute(checkpoints).fetchall())

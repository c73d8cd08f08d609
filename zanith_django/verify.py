"""Verify: a throwaway shadow takes the hit first, and what comes of it must equal the models."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django import gates, shadow_run, sql
from zanith_django.conf import conf
from zanith_django.diff import Hints, diff
from zanith_django.exceptions import (
    EnvironmentProblem,
    FileMissing,
    ShadowUnreachable,
    ShadowUnsuited,
)
from zanith_django.files import managed_apps
from zanith_django.ignored import compared
from zanith_django.ledger import Ledger
from zanith_django.live_names import as_live
from zanith_django.operations.base import Context
from zanith_django.plan import Plan, live_context, plan
from zanith_django.project import declared, live_graph, read_timeline
from zanith_django.schema.equality import as_declared
from zanith_django.schema.from_catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph
from zanith_django.session import server_version
from zanith_django.shadow import (
    MARKER,
    Shadow,
    copy_rows,
    creation,
    database,
    ephemeral,
    load_snapshot,
    load_structure,
    read_snapshot_file,
)

OK, DRIFT, APPLY_FAILED = "ok", "drift", "apply-failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the run on the shadow. `operations` are what is still missing afterwards."""

    verdict: str
    shadow: str
    seconds: float = 0.0
    operations: tuple[dict[str, str], ...] = ()
    extra: tuple[str, ...] = ()
    error: str = ""
    step: str = ""
    fingerprint: str = ""
    loaded: str = field(default="")


def verify(
    connection: BaseDatabaseWrapper, *, shape: str = "", source: str = "", keep: bool = False
) -> Verdict:
    """Run the pending plan on a shadow and compare the result with the models.

    `shape` is auto, ephemeral, schema, a URL or an alias; `source` is "" for the live structure,
    "empty", or a snapshot file. Raises `ShadowUnreachable` and `ShadowUnsuited`; the live database
    is read, never written, but for the shadow itself.
    """
    started = time.monotonic()
    wanted = shape or conf.shadow
    timeline, ledger = read_timeline(connection), Ledger(connection)
    for name, words in gates.missing_files(ledger, timeline).items():
        raise FileMissing(name, words)
    graph = live_graph(connection)
    planned = plan(
        timeline,
        database=connection.alias,
        context=live_context(connection, graph),
        ledger=ledger,
    )
    if wanted == "auto":
        wanted = "schema" if not source and _fits_schema(planned, graph) else "ephemeral"
    if wanted == "schema":
        if source:
            raise ShadowUnsuited(f"--from {source}")
        result = _in_schema(connection, planned, graph, keep=keep)
    else:
        with _database_shadow(connection, wanted, keep=keep) as shadow:
            loaded = _load(connection, graph, shadow, source)
            result = {**_in_child(connection, shadow), "loaded": loaded}
    mark = fingerprint(connection, planned, graph) if result["verdict"] == OK else ""
    return Verdict(
        verdict=result["verdict"],
        shadow=wanted,
        seconds=time.monotonic() - started,
        operations=tuple(result.get("operations", ())),
        extra=tuple(result.get("extra", ())),
        error=result.get("error", ""),
        step=result.get("step", ""),
        fingerprint=mark,
        loaded=result.get("loaded", ""),
    )


def fingerprint(connection: BaseDatabaseWrapper, planned: Plan, graph: SchemaGraph) -> str:
    """Of the files, of what the models ask for, and of the touched tables as they are before."""
    touched = {name for _, step in planned.steps for name in step.operation.tables}
    parts = [
        *(m.entry.migration.checksum if m.entry.migration else m.id for m in planned.migrations),
        declared(connection).graph.fingerprint(),
        graph.only(sorted(name for name in touched if name in graph)).fingerprint(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


# --- a database as the shadow --------------------------------------------------------------------


def _database_shadow(
    connection: BaseDatabaseWrapper, wanted: str, *, keep: bool
) -> AbstractContextManager[Shadow]:
    if wanted == "ephemeral":
        return ephemeral(connection, keep=keep)
    return database(connection, wanted)


def _load(connection: BaseDatabaseWrapper, graph: SchemaGraph, shadow: Shadow, source: str) -> str:
    """Fill the shadow; returns where its structure came from, for people."""
    if source == "empty":
        return "the timeline from its beginning"
    if source:
        load_snapshot(read_snapshot_file(source), shadow)
        return source
    how = load_structure(connection, graph, shadow)
    copy_rows(connection, shadow, conf.shadow_data)
    return f"the live structure by {how}"


def _in_child(connection: BaseDatabaseWrapper, shadow: Shadow) -> dict[str, Any]:
    """The verdict of the child process, in which the alias is the shadow."""
    if not settings.SETTINGS_MODULE:
        raise EnvironmentProblem(
            "A shadow needs a settings module: DJANGO_SETTINGS_MODULE is unset."
        )
    job = {
        "alias": connection.alias,
        "settings": dict(shadow.settings),
        "apps": [config.label for config in managed_apps()],
    }
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        shadow_run.JOB: json.dumps(job, default=str),
    }
    done = subprocess.run(
        [sys.executable, "-m", shadow_run.__name__],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise ShadowUnreachable(shadow.name, f"the run on the shadow crashed: {lines[-1]}")
    return dict(json.loads(done.stdout))


# --- a schema as the shadow ----------------------------------------------------------------------


def _fits_schema(planned: Plan, graph: SchemaGraph) -> bool:
    """Only operations of ours, on tables of the default schema."""
    names = {name for _, step in planned.steps for name in step.operation.tables}
    return planned.own_only and not any(name.schema for name in (*names, *graph.table_names))


def _in_schema(
    connection: BaseDatabaseWrapper, planned: Plan, graph: SchemaGraph, *, keep: bool
) -> dict[str, Any]:
    """Run the plan in a schema of its own: every name in it is a value, so that it goes there."""
    for _, step in planned.steps:
        if not step.operation.own_sql:
            raise ShadowUnsuited(step.operation.describe())
    for name in graph.table_names:
        if name.schema:
            raise ShadowUnsuited(f"table {name}, which lies in another schema")
    with _shadow_schema(connection, keep=keep) as schema:
        return _run_in_schema(connection, planned, graph, schema)


@contextmanager
def _shadow_schema(connection: BaseDatabaseWrapper, *, keep: bool) -> Iterator[str]:
    name = f"{MARKER}{secrets.token_hex(6)}"
    _execute(connection, sql.compose("CREATE SCHEMA {name}", name=sql.ident(name)))
    try:
        yield name
    finally:
        if not keep:
            _execute(connection, sql.compose("DROP SCHEMA {name} CASCADE", name=sql.ident(name)))


def _run_in_schema(
    connection: BaseDatabaseWrapper, planned: Plan, graph: SchemaGraph, schema: str
) -> dict[str, Any]:
    version = server_version(connection)
    with transaction.atomic(using=connection.alias):
        for text in creation(graph.only(graph.table_names), version, schema):
            if not text.startswith(("CREATE EXTENSION", "CREATE COLLATION")):
                _execute(connection, text)
    for migration, step in planned.steps:
        context = Context(version, schema, graph, migration_id=migration.id)
        operation = as_live(step.operation, graph)
        if operation is None:
            continue
        try:
            for statement in operation.statements(context):
                _execute(connection, statement.sql)
        except Exception as error:  # any failure is the verdict
            return {
                "verdict": APPLY_FAILED,
                "error": f"{operation.describe()}: {str(error).strip()}",
                "step": f"{migration.id}::{step.number:04d}",
            }
        graph = operation.apply_to(graph)
    return _compared(connection, schema)


def _compared(connection: BaseDatabaseWrapper, schema: str) -> dict[str, Any]:
    with connection.wrap_database_errors, connection.cursor() as cursor:
        found = from_catalog(cursor, schemas=[schema], default_schema=schema)
    wanted = declared(connection)
    target = wanted.graph
    live = compared(found, target.default_schema)
    comparison = as_declared(live, target, wanted.facts)
    operations = diff(comparison.live, target, Hints(labels=wanted.labels))
    return {
        "verdict": DRIFT if operations else OK,
        "operations": [
            {"kind": o.kind, "target": o.target, "description": o.describe()} for o in operations
        ],
        "extra": [extra.description for extra in comparison.extras],
    }


def _execute(connection: BaseDatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)

"""The only code that writes the five tables of the ledger; `ledger_tables` makes them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import NotSupportedError, ProgrammingError

from zanith_django.exceptions import LedgerDamaged, LedgerHeld, LedgerKeyLost
from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.step_rows import DONE as DONE
from zanith_django.ledger.step_rows import FAILED as FAILED
from zanith_django.ledger.step_rows import FINISHED as FINISHED
from zanith_django.ledger.step_rows import PENDING as PENDING
from zanith_django.ledger.step_rows import ROLLED_BACK as ROLLED_BACK
from zanith_django.ledger.step_rows import RUNNING as RUNNING
from zanith_django.ledger.step_rows import SKIPPED as SKIPPED
from zanith_django.ledger.step_rows import readable_time
from zanith_django.ledger.step_rows import split_step_id as split_step_id
from zanith_django.ledger.step_rows import step_id as step_id
from zanith_django.ledger.tables import INDEXES, TABLES, THERE, There, lost_keys, mending
from zanith_django.operations.base import Artifact
from zanith_django.postgres import sql
from zanith_django.postgres.session import sqlstate
from zanith_django.schema.graph import SchemaGraph

TAKEN_BACK = "undone by Django's migrate"

REFUSED = "refused — "
# In a database of which the encoding lacks that dash.
REFUSED_PLAIN = "refused - "

# The checkpoint of a step that is undone, by the step's id; and that of a whole rollback.
_BACKWARDS = "undo:"
_ROLLBACK = "rollback"
_APPLY = "apply"
_UNDONE = (
    f"SELECT substr(id, {len(_BACKWARDS) + 1}) FROM _zanith_migration_checkpoints "
    f"WHERE starts_with(id, '{_BACKWARDS}')"
)

# {what PostgreSQL calls an encoding: what Python calls it}; the rest is written in ASCII.
_ENCODINGS = {"UTF8": "utf-8", "LATIN1": "latin-1", "LATIN9": "iso8859-15", "WIN1252": "cp1252"}

_OWN_TABLE = re.compile(r"_zanith_\w+")
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"
# Tables of ours are made beside Django's own record: the current schema may be another one, made
# since for the role.
_BESIDE_DJANGO = """\
SELECT set_config('search_path', concat_ws(
    ', ', quote_ident(n.nspname), nullif(current_setting('search_path'), '')), true)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = coalesce(to_regclass('_zanith_migrations'), to_regclass('django_migrations'))"""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class StepRow:
    """One row of `_zanith_migration_steps`, with step and attempt taken from its id."""

    id: str
    migration_id: str
    operation_kind: str
    status: str
    sql: str
    risk_level: str
    risk_score: int
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None
    undoing: bool = False
    """A rollback began to undo it: a fact that is stored, and goes when the rollback is over."""

    @property
    def step(self) -> int:
        return split_step_id(self.id)[1]

    @property
    def attempt(self) -> int:
        return split_step_id(self.id)[2]

    @property
    def stopped(self) -> bool:
        """It began and did not come to its end; what a gate refused never began."""
        refused = (self.error or "").startswith((REFUSED, REFUSED_PLAIN))
        return self.status in (RUNNING, FAILED) and not refused


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One row of `_zanith_migration_artifacts`."""

    id: str
    migration_id: str
    artifact_type: str
    source_schema: str
    source_table: str
    source_column: str | None
    physical_name: str
    row_count: int | None
    checksum: str | None
    recovery_sql: str
    metadata: dict[str, Any]
    created_at: datetime
    expires_at: datetime | None

    @property
    def target(self) -> str:
        """`users` or `users.legacy_uuid`, as in the artifact's id."""
        return self.id.rsplit("::", 1)[-1]

    @property
    def archived(self) -> bool:
        """A copy keeps it; what was soft-dropped is kept as it was."""
        return self.artifact_type.startswith("archive_")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a backfill came; `cursor` is the key up to which every row is written, or tells the
    turn that comes next in a stretch of keys."""

    id: str
    migration_id: str
    cursor: Any = None
    processed_rows: int = 0
    total_rows: int | None = None
    status: str = RUNNING


# What the id of a checkpoint ends with that holds a value, and no progress.
VALUE = "#value"
_IS_VALUE = f"right(id, {len(VALUE)}) = '{VALUE}'"


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step about to be recorded as pending."""

    step: int
    kind: str
    sql: str
    level: str
    score: int


# --- the two statements of a step, as text that can go along with its own SQL ---------------------


def starting(row_id: str) -> str:
    """The step is `running`."""
    return sql.compose(
        "UPDATE _zanith_migration_steps SET status = 'running', "
        "started_at = clock_timestamp(), finished_at = NULL, error = NULL WHERE id = {id}",
        id=sql.literal(row_id),
    )


def finishing(row_id: str, status: str, *, ran: str | None = None, error: str | None = None) -> str:
    """The step has come to an end; `ran` is the SQL that did it, None leaves what was planned."""
    return sql.compose(
        "UPDATE _zanith_migration_steps SET status = {status}, error = {error}, "
        "sql = coalesce({ran}, sql), started_at = coalesce(started_at, clock_timestamp()), "
        "finished_at = clock_timestamp() WHERE id = {id}",
        status=sql.literal(status),
        error=sql.literal(error),
        ran=sql.literal(ran),
        id=sql.literal(row_id),
    )


TURN = sql.Prepared(
    "_zanith_turn",
    "text, text, text",
    """\
UPDATE _zanith_migration_steps
SET status = CASE id WHEN $1 THEN 'done' ELSE 'running' END,
    sql = CASE id WHEN $1 THEN coalesce($2, sql) ELSE sql END,
    error = NULL,
    started_at = CASE id WHEN $1 THEN coalesce(started_at, clock_timestamp())
                 ELSE clock_timestamp() END,
    finished_at = CASE id WHEN $1 THEN clock_timestamp() END
WHERE id IN ($1, $3)""",
)
"""One step is `done` and the next one `running`, in one statement that is planned once."""


def turning(row_id: str, ran: str | None, following: str | None) -> str:
    """`row_id` is done, by the SQL `ran` (None: as planned), and `following` runs, if there is one.

    Needs `TURN` to be prepared.
    """
    return TURN.execute(row_id, ran, following)


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A graph as JSON text, with its fingerprint."""

    graph: SchemaGraph
    text: str
    checksum: str


class Ledger:
    """Reads and writes the ledger on one connection, inside whatever transaction is open."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._there = False
        self._last: _Spelled | None = None

    # --- the tables ----------------------------------------------------------------------------

    def exists(self) -> bool:
        if not self._there:
            asked = "SELECT to_regclass('_zanith_migrations') IS NOT NULL"
            self._there = bool(self._value(asked))
        return self._there

    def ensure(self) -> None:
        """Makes what is missing and mends what differs, in one transaction; does nothing and takes
        no lock where all is there. Raises `LedgerKeyLost`, `LedgerHeld`."""
        names = [table.name for table in TABLES]
        there = [There(*row) for row in self._rows(THERE, [names, list(INDEXES)])]
        for table, column, others in lost_keys(there):
            if others or self._value(f"SELECT EXISTS (SELECT FROM {table})"):
                raise LedgerKeyLost(table, column, others)
        statements = list(mending(there))
        if not statements:
            return
        with transaction.atomic(using=self.connection.alias):
            self._run(_BESIDE_DJANGO)
            for statement in statements:
                try:
                    self._run(statement)
                except NotSupportedError as error:
                    raise LedgerHeld(statement, error) from error

    # --- migrations ----------------------------------------------------------------------------

    def applied(self) -> dict[str, datetime]:
        """{migration id: applied_at}, in the order in which they were applied."""
        if not self.exists():
            return {}
        rows = self._rows(
            f"SELECT id, {readable_time('applied_at')} FROM _zanith_migrations "
            "ORDER BY applied_at, id"
        )
        return dict(rows)

    def record(self, migration_id: str) -> None:
        """Applied now, and later than all others: a clock that was set back changes no order. A
        rollback that was cut off before is over: other migrations are the newest ones."""
        if not migration_id.startswith(RECOVER_PREFIX):
            self.end_rollback()
        self._run(
            "INSERT INTO _zanith_migrations (id, applied_at) "
            "SELECT %s, greatest(clock_timestamp(), max(applied_at) + interval '1 microsecond') "
            "FROM _zanith_migrations ON CONFLICT DO NOTHING",
            [migration_id],
        )

    def forget(self, migration_id: str) -> None:
        self._run("DELETE FROM _zanith_migrations WHERE id = %s", [migration_id])

    def take_back(self, migration_id: str) -> None:
        """Django's `migrate` undid it: it is applied no more, nor are its steps done."""
        self.forget(migration_id)
        self.forget_checkpoints(migration_id)
        self.forget_snapshot(migration_id, "after")
        self._run(
            "UPDATE _zanith_migration_steps SET status = 'rolled_back', error = %s "
            "WHERE migration_id = %s AND status IN ('done', 'skipped')",
            [TAKEN_BACK, migration_id],
        )

    def give_up(self, migration_id: str) -> None:
        """It failed, was rolled back as a whole, and will not be tried again."""
        self.forget_pending([row.id for row in self.steps(migration_id)])
        self._run(
            "UPDATE _zanith_migration_steps SET status = 'rolled_back' "
            "WHERE migration_id = %s AND status IN ('running', 'failed')",
            [migration_id],
        )

    # --- steps ---------------------------------------------------------------------------------

    def steps(self, migration_id: str | None = None) -> list[StepRow]:
        """Every attempt of every step, of one migration or all, in order."""
        if not self.exists():
            return []
        where, params = ("WHERE migration_id = %s", [migration_id]) if migration_id else ("", [])
        return self._steps(where, params)

    def _steps(self, where: str, params: Sequence[Any] = ()) -> list[StepRow]:
        *stored, _ = (field.name for field in dataclasses.fields(StepRow))
        columns = ", ".join((*map(_read_as, stored), f"id IN ({_UNDONE})"))
        steps = f"WITH steps AS (SELECT * FROM _zanith_migration_steps {where})"
        rows = self._rows(f"{steps} SELECT {columns} FROM steps", params)
        found = [StepRow(*row) for row in rows]
        return sorted(found, key=lambda row: (row.migration_id, row.step, row.attempt))

    def latest(self, migration_id: str) -> dict[int, StepRow]:
        """{step: its newest attempt}."""
        return {row.step: row for row in self.steps(migration_id)}

    def skipped(self) -> list[StepRow]:
        """Every step whose work was there already, or is for another database."""
        return self._steps("WHERE status = 'skipped'")

    def unfinished(self) -> list[StepRow]:
        """Newest attempts that run or failed, of migrations that are not recorded as applied and
        began to run: what a gate refused never began."""
        return [row for rows in self._unrecorded().values() for row in rows if row.stopped]

    def half_applied(self) -> list[str]:
        """Migrations that began and are not recorded, the newest first; those too of which a
        rollback undid every step and was cut off before it said so."""
        undone = set(self.half_rolled_back())
        begun = {
            name: max((row.started_at for row in rows if row.started_at), default=_LONG_AGO)
            for name, rows in self._unrecorded().items()
            if name in undone or any(row.stopped or row.status == DONE for row in rows)
        }
        return sorted(begun, key=begun.__getitem__, reverse=True)

    def _unrecorded(self) -> dict[str, list[StepRow]]:
        """{migration: the newest attempts of its steps}, of those not recorded as applied. What
        was accepted without a file counts as over: nobody can finish it. Work on an artifact is
        no migration, and only the same command goes on with it."""
        if not self.exists():
            return {}
        accepted = set(self.accepted())
        where = (
            "WHERE NOT EXISTS (SELECT FROM _zanith_migrations m WHERE m.id = migration_id) "
            "AND NOT starts_with(migration_id, %s)"
        )
        newest = {(row.migration_id, row.step): row for row in self._steps(where, [RECOVER_PREFIX])}
        found: dict[str, list[StepRow]] = {}
        for row in newest.values():
            if row.migration_id not in accepted:
                found.setdefault(row.migration_id, []).append(row)
        return found

    def half_rolled_back(self) -> list[str]:
        """Migrations of which a rollback began to undo a step, and did not come to its end."""
        if not self.exists():
            return []
        rows = self._rows(
            "SELECT migration_id FROM _zanith_migration_checkpoints WHERE starts_with(id, %s) "
            "GROUP BY migration_id ORDER BY max(updated_at) DESC",
            [_BACKWARDS],
        )
        return [name for (name,) in rows]

    def add_pending(self, migration_id: str, steps: Iterable[NewStep]) -> None:
        """A pending row for each step whose newest attempt is not pending or finished already."""
        latest = self.latest(migration_id)
        rows = []
        for new in steps:
            known = latest.get(new.step)
            if known and known.status == PENDING:
                self.describe(known.id, new)
            elif not known or known.status not in FINISHED:
                attempt = known.attempt + 1 if known else 1
                rows.append((step_id(migration_id, new.step, attempt), migration_id, new))
        self._insert_steps(rows)

    def describe(self, row_id: str, new: NewStep) -> None:
        """A step that has not come to its end may have been edited in its file."""
        self._run(
            "UPDATE _zanith_migration_steps SET operation_kind = %s, sql = %s, risk_level = %s, "
            "risk_score = %s WHERE id = %s",
            [new.kind, new.sql, new.level, new.score, row_id],
        )

    def _insert_steps(self, rows: Sequence[tuple[str, str, NewStep]]) -> None:
        if not rows:
            return
        values = [
            (row_id, migration_id, new.kind, new.sql, new.level, new.score)
            for row_id, migration_id, new in rows
        ]
        self._run(
            "INSERT INTO _zanith_migration_steps "
            "(status, id, migration_id, operation_kind, sql, risk_level, risk_score) "
            "SELECT 'pending', v->>0, v->>1, v->>2, v->>3, v->>4, (v->>5)::int "
            "FROM json_array_elements(%s::json) AS given(v)",
            [json.dumps(values)],
        )

    def forget_pending(self, row_ids: Sequence[str]) -> None:
        """Those of these steps that never ran."""
        self._run(
            "DELETE FROM _zanith_migration_steps WHERE id = ANY (%s) AND status = 'pending'",
            [list(row_ids)],
        )

    def start(self, row_id: str) -> None:
        self._run(starting(row_id))

    def start_undoing(self, row: StepRow) -> None:
        """`running` once more, and backwards: both are so together."""
        with transaction.atomic(using=self.connection.alias):
            self._backwards(row)
            self._run(starting(row.id))

    def finish_undoing(self, row: StepRow, ran: str, error: str | None = None) -> None:
        """`rolled_back`, in the transaction of the last statement that undid it."""
        self._backwards(row)
        self.finish(row.id, ROLLED_BACK, ran=ran, error=error)

    def _backwards(self, row: StepRow) -> None:
        self.save_checkpoint(
            Checkpoint(f"{_BACKWARDS}{row.id}", row.migration_id, {"direction": "backwards"})
        )

    def finish(
        self, row_id: str, status: str, *, ran: str | None = None, error: str | None = None
    ) -> None:
        """`done`, `failed`, `skipped` or `rolled_back`, with what ran and what went wrong."""
        storable = None if error is None else self._storable(error)
        self._run(finishing(row_id, status, ran=ran, error=storable))

    def _storable(self, text: str) -> str:
        """The text of an error in characters that the database can store: Python's may have others,
        and the step would stay `running`."""
        self.connection.ensure_connection()
        server = self.connection.connection.info.parameter_status("server_encoding") or "UTF8"
        encoding = _ENCODINGS.get(server, "ascii")
        return text.replace("\0", "\\x00").encode(encoding, "backslashreplace").decode(encoding)

    def fail_running(self, migration_id: str, error: str) -> list[str]:
        """Marks what runs of a migration as failed; returns the ids. What is done stays done."""
        return [
            row_id
            for (row_id,) in self._rows(
                "UPDATE _zanith_migration_steps SET status = 'failed', error = %s, "
                "finished_at = clock_timestamp() "
                "WHERE migration_id = %s AND status = 'running' RETURNING id",
                [self._storable(error), migration_id],
            )
        ]

    def durations(self, row_ids: Sequence[str]) -> dict[str, float]:
        """{row: seconds that it took}, of those that are done."""
        rows = self._rows(
            "SELECT id, coalesce(extract(epoch FROM finished_at - started_at), 0)::float8 "
            "FROM _zanith_migration_steps WHERE status = 'done' AND id = ANY (%s)",
            [list(row_ids)],
        )
        return dict(rows)

    def reset(self, row_id: str) -> None:
        """Back to pending: its transaction was rolled back because of a later step."""
        self._run(
            "UPDATE _zanith_migration_steps SET status = 'pending', started_at = NULL, "
            "finished_at = NULL, error = NULL WHERE id = %s",
            [row_id],
        )

    def refuse(self, migration_id: str, new: NewStep, error: str) -> None:
        """A failed row for a step that a gate refused; nothing ran. `error` begins with REFUSED."""
        if self._value("SHOW server_encoding") != "UTF8":
            error = error.replace(REFUSED, REFUSED_PLAIN, 1)
        known = self.latest(migration_id).get(new.step)
        if known and known.status == PENDING:  # of a run that was killed before it came here
            self.describe(known.id, new)
            self.finish(known.id, FAILED, error=error)
            return
        attempt = known.attempt + 1 if known else 1
        row_id = step_id(migration_id, new.step, attempt)
        self._insert_steps([(row_id, migration_id, new)])
        self.finish(row_id, FAILED, error=error)

    # --- snapshots -----------------------------------------------------------------------------

    def write_snapshot(
        self, migration_id: str, phase: str, graph: SchemaGraph, run: Mapping[str, Any]
    ) -> None:
        """Stores the graph, and beside it in the same JSON who made it and from which file."""
        spelled = self._spelled(graph)
        beside = json.dumps({**run, "checksum": spelled.checksum})
        self._run(
            "INSERT INTO _zanith_schema_snapshots (migration_id, phase, graph, captured_at) "
            "VALUES (%s, %s, %s::jsonb || jsonb_build_object('run', %s::jsonb), clock_timestamp()) "
            "ON CONFLICT (migration_id, phase) DO UPDATE "
            "SET graph = excluded.graph, captured_at = excluded.captured_at",
            [migration_id, phase, spelled.text, beside],
        )

    def _spelled(self, graph: SchemaGraph) -> _Spelled:
        """What is `after` one migration is `before` the next: the last graph is kept."""
        if self._last is None or self._last.graph is not graph:
            self._last = _Spelled(graph, json.dumps(graph.to_json()), graph.fingerprint())
        return self._last

    def follow_edits(self, migration_id: str, digests: Sequence[str]) -> None:
        """From now on the steps of an unfinished migration are these. A checkpoint is of one
        operation: that of another goes."""
        known = self._rows(
            "SELECT (graph #> '{run,steps}')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = 'before'",
            [migration_id],
        )
        before = json.loads(known[0][0] or "null") if known else None
        if not isinstance(before, list):
            return
        pairs = enumerate(itertools.zip_longest(before, digests), 1)
        edited = {number for number, (old, new) in pairs if old != new}
        if not edited:
            return
        for step in self.checkpointed(migration_id) & edited:
            name = f"{step_id(migration_id, step)}#"
            table = "_zanith_migration_checkpoints"
            self._run(f"DELETE FROM {table} WHERE starts_with(id, %s)", [name])
        self._run(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, '{run,steps}', %s) "
            "WHERE migration_id = %s AND phase = 'before'",
            [json.dumps(digests), migration_id],
        )

    def forget_snapshot(self, migration_id: str, phase: str) -> None:
        self._run(
            "DELETE FROM _zanith_schema_snapshots WHERE migration_id = %s AND phase = %s",
            [migration_id, phase],
        )

    def snapshot(self, migration_id: str, phase: str = "after") -> dict[str, Any] | None:
        """The stored JSON, graph and run; None where there is none."""
        if not self.exists():
            return None
        rows = self._rows(
            "SELECT graph::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s",
            [migration_id, phase],
        )
        return json.loads(rows[0][0]) if rows else None

    def run_of(self, migration_id: str, phase: str = "after") -> dict[str, Any]:
        """What is stored beside the graph of a snapshot; empty without one."""
        if not self.exists():
            return {}
        rows = self._rows(
            "SELECT (graph->'run')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s",
            [migration_id, phase],
        )
        return _object(rows[0][0]) if rows else {}

    def runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(migration, phase): what stands beside the graph}, without reading the graphs."""
        if not self.exists():
            return {}
        rows = self._rows(
            "SELECT migration_id, phase, (graph->'run')::text FROM _zanith_schema_snapshots"
        )
        return {(row[0], row[1]): _object(row[2]) for row in rows}

    def accepted(self) -> list[str]:
        """Migrations, applied or half way, that need no file any more, as zanith_baseline said."""
        if not self.exists():
            return []
        rows = self._rows(
            "SELECT (graph #> '{run,accepted}')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s",
            [BASELINE, BASELINE],
        )
        found = json.loads(rows[0][0] or "[]") if rows else []
        return found if isinstance(found, list) else []

    def tables_before_run(self) -> frozenset[str] | None:
        """The tables that were there before the run that was interrupted, by their names with
        schema; None if the last run came to its end."""
        known = self.checkpoint(_APPLY) if self.exists() else None
        if known is None or not isinstance(known.cursor, dict):
            return None
        rows = self._rows(
            "SELECT ARRAY(SELECT jsonb_object_keys(graph->'tables')) "
            "FROM _zanith_schema_snapshots WHERE migration_id = %s AND phase = 'before' "
            "AND jsonb_typeof(graph->'tables') = 'object'",
            [str(known.cursor.get("first"))],
        )
        return frozenset(rows[0][0]) if rows else None

    def table_counts(self) -> dict[str, int]:
        """{migration: number of tables in its snapshot}; `before` is that of another migration."""
        if not self.exists():
            return {}
        rows = self._rows(
            "SELECT migration_id, CASE jsonb_typeof(graph->'tables') WHEN 'object' "
            "THEN (SELECT count(*) FROM jsonb_object_keys(graph->'tables')) ELSE 0 END "
            "FROM _zanith_schema_snapshots WHERE phase <> 'before' "
            "ORDER BY migration_id, phase = 'after'"
        )
        return dict(rows)

    # --- artifacts -----------------------------------------------------------------------------

    def write_artifact(
        self,
        migration_id: str,
        artifact: Artifact,
        schema: str,
        row_count: int | None,
        checksum: str,
    ) -> None:
        """Idempotent: the same drop run again finds its artifact and opens it again."""
        self._run(
            "INSERT INTO _zanith_migration_artifacts (id, migration_id, artifact_type, "
            "source_schema, source_table, source_column, physical_name, row_count, checksum, "
            "recovery_sql, metadata, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET row_count = excluded.row_count, "
            "physical_name = excluded.physical_name, "
            "checksum = excluded.checksum, recovery_sql = excluded.recovery_sql, "
            "metadata = excluded.metadata, created_at = excluded.created_at, expires_at = NULL",
            [
                artifact.id,
                migration_id,
                artifact.type,
                artifact.table.schema or schema,
                artifact.table.name,
                artifact.column or None,
                artifact.physical_name,
                row_count,
                checksum,
                artifact.recovery_sql,
                json.dumps(artifact.metadata),
            ],
        )

    def artifacts(self) -> list[ArtifactRow]:
        """Newest first."""
        if not self.exists():
            return []
        columns = ", ".join(_read_as(field.name) for field in dataclasses.fields(ArtifactRow))
        rows = self._rows(
            f"SELECT {columns} FROM _zanith_migration_artifacts ORDER BY created_at DESC, id"
        )
        return [
            ArtifactRow(*row[:10], json.loads(row[10]), row[11], row[12])  # type: ignore[call-arg]
            for row in rows
        ]

    def count_artifact(self, artifact_id: str, row_count: int) -> None:
        self._run(
            "UPDATE _zanith_migration_artifacts SET row_count = %s WHERE id = %s",
            [row_count, artifact_id],
        )

    def expire_artifacts(self, artifact_ids: Sequence[str]) -> None:
        """From now on they can no longer be restored: they were restored, or purged."""
        self._run(
            "UPDATE _zanith_migration_artifacts SET expires_at = clock_timestamp() "
            "WHERE id = ANY (%s) AND expires_at IS NULL",
            [list(artifact_ids)],
        )

    # --- checkpoints ---------------------------------------------------------------------------

    def checkpoint(self, row_id: str) -> Checkpoint | None:
        rows = self._rows(
            "SELECT id, migration_id, cursor::text, processed_rows, total_rows, status "
            "FROM _zanith_migration_checkpoints WHERE id = %s",
            [row_id],
        )
        if not rows:
            return None
        name, migration_id, cursor, *rest = rows[0]
        return Checkpoint(name, migration_id, json.loads(cursor) if cursor else None, *rest)

    def save_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Returns the transaction that did it, as `xmin` of the rows that it wrote shows it."""
        own: str = self._value(
            "INSERT INTO _zanith_migration_checkpoints AS c "
            "(id, migration_id, cursor, processed_rows, total_rows, status, updated_at) "
            "VALUES (%s, %s, %s::jsonb, %s, %s, %s, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET cursor = excluded.cursor, "
            "processed_rows = excluded.processed_rows, total_rows = excluded.total_rows, "
            "status = excluded.status, updated_at = excluded.updated_at "
            "RETURNING pg_current_xact_id()::xid::text",
            [
                checkpoint.id,
                checkpoint.migration_id,
                json.dumps(checkpoint.cursor),
                checkpoint.processed_rows,
                checkpoint.total_rows,
                checkpoint.status,
            ],
        )
        return own

    def checkpointed(self, migration_id: str) -> set[int]:
        """The steps of which a backfill has a checkpoint."""
        rows = self._rows(
            "SELECT id FROM _zanith_migration_checkpoints WHERE migration_id = %s "
            "AND NOT starts_with(id, %s)",
            [migration_id, _BACKWARDS],
        )
        return {split_step_id(row[0].rpartition("#")[0])[1] for row in rows}

    def forget_checkpoints(self, migration_id: str) -> None:
        self._run(
            "DELETE FROM _zanith_migration_checkpoints WHERE migration_id = %s", [migration_id]
        )

    def forget_progress(self, migration_id: str) -> None:
        """All checkpoints but the values that rows of an unfinished column have already."""
        self._run(
            "DELETE FROM _zanith_migration_checkpoints "
            f"WHERE migration_id = %s AND NOT {_IS_VALUE}",
            [migration_id],
        )

    def value(self, place: str) -> str | None:
        """A value that was made once for all rows, if rows have it, as PostgreSQL prints it."""
        known = self.checkpoint(f"{place}{VALUE}")
        return str(known.cursor["value"]) if known else None

    def keep_value(self, place: str, migration_id: str, value: str) -> None:
        """Until the migration is recorded: by then every row has it."""
        name = f"{place}{VALUE}"
        self.save_checkpoint(Checkpoint(name, migration_id, {"value": value}))

    def forget_values(self, migration_id: str) -> None:
        self._run(
            f"DELETE FROM _zanith_migration_checkpoints WHERE migration_id = %s AND {_IS_VALUE}",
            [migration_id],
        )

    # --- a run of apply ------------------------------------------------------------------------

    def begin_run(self, first: str) -> None:
        """A run begins with this migration; one that resumes another belongs to that."""
        if self.checkpoint(_APPLY) is None:
            self.save_checkpoint(Checkpoint(_APPLY, _APPLY, {"first": first}))

    def end_run(self) -> None:
        self.forget_checkpoints(_APPLY)

    # --- a rollback that was asked for ---------------------------------------------------------

    def plan_rollback(self, count: int, migrations: Sequence[str]) -> None:
        """What `--steps count` undoes: the same command goes on with these, should it be cut."""
        told = {"steps": count, "migrations": list(migrations)}
        self.save_checkpoint(Checkpoint(_ROLLBACK, _ROLLBACK, told, total_rows=len(migrations)))

    def planned_rollback(self, count: int) -> list[str] | None:
        """What a run of `--steps count` was to undo that did not come to its end."""
        known = self.checkpoint(_ROLLBACK)
        told = known.cursor if known and isinstance(known.cursor, dict) else {}
        names = told.get("migrations")
        return [*map(str, names)] if told.get("steps") == count and names else None

    def end_rollback(self) -> None:
        self.forget_checkpoints(_ROLLBACK)

    # --- plumbing ------------------------------------------------------------------------------

    def _run(self, text: str, params: Sequence[Any] | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(text, params)

    def _rows(self, text: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text, params)
            except ProgrammingError as error:
                if sqlstate(error) in (UNDEFINED_TABLE, UNDEFINED_COLUMN):
                    raise LedgerDamaged(_OWN_TABLE.findall(text)[0], error) from error
                raise
            rows = list(cursor.fetchall())
        if settings.USE_TZ:
            return rows
        # Then Django takes the zone off, which is that of the session.
        zone = ZoneInfo(self.connection.timezone_name)
        return [tuple(_in_zone(value, zone) for value in row) for row in rows]

    def _value(self, text: str, params: Sequence[Any] | None = None) -> Any:
        return self._rows(text, params)[0][0]


def _read_as(column: str) -> str:
    """How a column is read: JSON as text, and times that Python can hold."""
    if column == "metadata":
        return f"{column}::text"
    return readable_time(column) if column.endswith("_at") else column


def _object(text: str | None) -> dict[str, Any]:
    """The JSON object of this text; empty for anything else, which is not from us."""
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {}


def _in_zone(value: Any, zone: ZoneInfo) -> Any:
    return value.replace(tzinfo=zone) if isinstance(value, datetime) else value

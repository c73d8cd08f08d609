"""Recover: take back what a drop left behind, refill from it, or let it go for good.

Each work on an artifact is an audited step of the migration `recover:<artifact id>`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import (
    ArtifactForged,
    ArtifactMissing,
    CannotPurge,
    CannotRestore,
    InvalidArgument,
    Refusal,
    StepFailed,
)
from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FAILED, FINISHED, RUNNING
from zanith_django.ledger.steps import NewStep, StepRow
from zanith_django.operations import RestoreColumn, RestoreTable, Statement
from zanith_django.operations.base import Batches, Context, script
from zanith_django.operations.columns import update_in_batches
from zanith_django.operations.keep.restores import refill
from zanith_django.plan.obstacles import Obstacle
from zanith_django.plan.planner import empty_tables
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import assess
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import server_version
from zanith_django.run.artifacts import (
    PURGE,
    archive_changed,
    as_rows_allow,
    blocked,
    find,
    older_than,
    rows_in_the_way,
    was_purged,
)
from zanith_django.run.audit import INTERRUPTED, about, failing, mark_failed, working_session
from zanith_django.run.backfill import Progress
from zanith_django.run.executor import Executor, Finish, StepRun
from zanith_django.run.keeping import (
    Place,
    Restoring,
    count_of,
    definition,
    locate,
    without_demand,
    write_restored,
)
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.project import live_graph

RESEED = "reseed"


def silent(words: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """How long to wait for another run (None: as the setting says), and who hears of waiting."""

    wait: float | None = None
    say: Callable[[str], None] = silent


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and how many rows or values it has; `before` tells that an earlier run
    had done it."""

    artifact: ArtifactRow
    operation: Restoring | None = None
    count: int = 0
    left_off: tuple[Obstacle, ...] = ()

    @property
    def before(self) -> bool:
        return self.operation is None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a cleanup let go, and what went wrong with the rest of it."""

    gone: tuple[ArtifactRow, ...] = ()
    failed: tuple[Refusal, ...] = ()


def restore(
    connection: BaseDatabaseWrapper,
    name: str,
    *,
    column: bool,
    session: Session,
    strict: bool = False,
) -> Restored:
    """Bring a column or table back with its data, constraints and indexes.

    Nothing is changed where names or the hidden thing itself stand in the way. Where rows do that
    came since the drop, the data comes back all the same and what they forbid is left off and
    told; `strict` refuses that too. A column without a default accepts NULL until a model has it
    again: running code does not know it. Run again
    after a kill, it resumes; run again after its end, it does nothing. Raises `UnknownArtifact`,
    `InvalidArgument`, `ArtifactForged`, `CannotRestore`, `StepFailed`.
    """
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=column)
        _must_be(artifact, column)
        work = _Work(connection, ledger, artifact, session)
        if artifact.expires_at:
            work.refuse_purged()
            work.complete_if_killed()
            return Restored(artifact)
        place, operation = work.kept()
        why = _elsewhere(place, operation) or blocked(
            connection,
            artifact,
            place,
            operation,
            work.graph,
            begun=not place.hidden or work.begun(operation.kind) is not None,
            strict=strict,
        )
        if why:
            raise CannotRestore(artifact.id, why)
        left_off = rows_in_the_way(connection, artifact, place, operation, work.graph)
        work.restore(as_rows_allow(operation, left_off))
        count = count_of(connection, _back(operation, place, work.graph))
        return Restored(artifact, operation, count, tuple(left_off))


def purge(
    connection: BaseDatabaseWrapper, name: str, session: Session, *, missing: bool = False
) -> list[ArtifactRow]:
    """Drop the hidden column or table for good, and with a table what is hidden in it; returns all
    that went, nothing where it was restored or purged before.

    `missing` records what the database does not have any more. Raises `ArtifactMissing`,
    `ArtifactForged`, `InvalidArgument`, `StepFailed`.
    """
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        return _purge(connection, ledger, find(ledger, name), session, missing=missing)


def cleanup(
    connection: BaseDatabaseWrapper, age: timedelta, session: Session, *, missing: bool = False
) -> Cleaned:
    """Purge every live artifact that is older than `age`; one that cannot be purged stops none."""
    gone: list[ArtifactRow] = []
    failed: list[Refusal] = []
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        for row in older_than(ledger, age):
            if row.id in {other.id for other in gone}:  # with its table
                continue
            try:
                gone += _purge(connection, ledger, row, session, missing=missing)
            except _OF_ONE as error:
                failed.append(error)
    return Cleaned(tuple(gone), tuple(failed))


# What goes wrong with one artifact, and not with the run.
_OF_ONE = (StepFailed, ArtifactForged, ArtifactMissing, CannotPurge)


def reseed(connection: BaseDatabaseWrapper, name: str, session: Session) -> int:
    """Refill the NULLs of a column that exists again from the hidden one; returns the number of
    rows written. The artifact stays."""
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=True)
        _must_be(artifact, column=True)
        work = _Work(connection, ledger, artifact, session)
        if artifact.expires_at:
            raise InvalidArgument(
                f"{artifact.id} was restored or purged: nothing is left to refill from."
            )
        place, operation = work.kept()
        assert isinstance(operation, RestoreColumn)
        _refuse_reseed(connection, artifact, place, operation, work.graph)
        return work.refill(operation, place)


def _elsewhere(place: Place, operation: Restoring) -> str:
    """A column whose table is hidden has to wait for it."""
    if isinstance(operation, RestoreTable) or operation.key or not place.aside:
        return ""
    return (
        f"its table is hidden itself, as {place.table} "
        f"(zanith_recover restore-table {operation.table} brings it back first)"
    )


def _back(operation: Restoring, place: Place, graph: SchemaGraph) -> Place:
    """Where it is once it is restored."""
    name = operation.table if isinstance(operation, RestoreColumn) else operation.table.name
    column = operation.column.name if isinstance(operation, RestoreColumn) else ""
    table = TableName(name.schema or graph.default_schema, name.name)
    return dataclasses.replace(place, table=table, column=column)


# --- reseed and purge ----------------------------------------------------------------------------


def _must_be(artifact: ArtifactRow, column: bool) -> None:
    if bool(artifact.source_column) is column:
        return
    kind, other = ("table", "column") if column else ("column", "table")
    raise InvalidArgument(
        f"{artifact.target} is a {kind}, not a {other}.",
        f"Run zanith_recover restore-{kind} {artifact.target}."
        if artifact.expires_at is None
        else "",
    )


def _refuse_reseed(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    place: Place,
    operation: RestoreColumn,
    graph: SchemaGraph,
) -> None:
    why = (
        archive_changed(connection, artifact, place, operation, graph) if artifact.archived else ""
    )
    why = why or _elsewhere(place, operation)
    if why:
        raise CannotRestore(artifact.id, why)
    live = graph.table(operation.table)
    column = live.column(operation.column.name) if live else None
    if column is None:
        raise InvalidArgument(
            f"There is no column {operation.target} to refill.",
            f"Run zanith_recover restore-column {operation.target} to bring it back.",
        )
    if column.type != operation.column.type:
        raise InvalidArgument(
            f"{operation.target} was {operation.column.type} and is {column.type} now.",
            f"Run zanith_recover export {operation.target} and convert the values yourself.",
        )


def _purge(
    connection: BaseDatabaseWrapper,
    ledger: Ledger,
    artifact: ArtifactRow,
    session: Session,
    *,
    missing: bool = False,
) -> list[ArtifactRow]:
    work = _Work(connection, ledger, artifact, session)
    if artifact.expires_at:
        work.complete_if_killed()
        return []
    place = locate(connection, artifact)
    if place is None and not missing:
        raise ArtifactMissing(artifact.id, artifact.target)
    if place and work.half_restored(place):
        raise CannotPurge(
            artifact.target,
            "a restore of it is half done",
            f"Run zanith_recover restore-{'column' if artifact.source_column else 'table'} "
            f"{artifact.target}.",
        )
    gone = [artifact, *(_hidden_in(connection, ledger, place) if place else ())]
    drop = (_drop(artifact, place),) if place else ()
    work.audited(
        _step(PURGE, script(drop), Level.DESTRUCTIVE),
        f"purge {artifact.target}",
        drop,
        lambda: ledger.expire_artifacts([row.id for row in gone]),
    )
    return gone


def _drop(artifact: ArtifactRow, place: Place) -> Statement:
    spelled = sql.table(place.table, place.table.schema)
    if artifact.source_column and not artifact.archived:
        column = sql.ident(place.column)
        template = sql.compose(
            "ALTER TABLE {table} DROP COLUMN {column}", table=spelled, column=column
        )
        return Statement(template, Lock.ACCESS_EXCLUSIVE, (place.table,))
    text = sql.compose("DROP TABLE {table}", table=spelled)
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (place.table,))


def _hidden_in(connection: BaseDatabaseWrapper, ledger: Ledger, place: Place) -> list[ArtifactRow]:
    """Columns that were soft-dropped before their table was."""
    if place.column:
        return []
    columns = [
        row
        for row in ledger.artifacts()
        if row.artifact_type == "soft_drop_column" and row.expires_at is None
    ]
    return [row for row in columns if (found := locate(connection, row)) and found.oid == place.oid]


def _step(kind: str, text: str, level: Level) -> NewStep:
    return NewStep(0, kind, text, str(level), int(level))


class _Work:
    """Work on one artifact, with the run lock held."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        artifact: ArtifactRow,
        session: Session,
    ) -> None:
        self.connection, self.ledger, self.artifact = connection, ledger, artifact
        self.session = session
        self.migration_id = f"{RECOVER_PREFIX}{artifact.id}"
        self.graph = live_graph(connection)
        self.refilled = 0

    def kept(self) -> tuple[Place, Restoring]:
        """Where it is, and what brings it back. Raises `CannotRestore`, `ArtifactForged`."""
        place = locate(self.connection, self.artifact)
        if place is None:
            raise CannotRestore(self.artifact.id, "the database does not have it any more")
        return place, definition(self.connection, self.artifact, place, self.graph)

    # --- what earlier runs did -----------------------------------------------------------------

    def _last(self) -> StepRow | None:
        latest = self.ledger.latest(self.migration_id)
        return latest[max(latest)] if latest else None

    def begun(self, kind: str) -> StepRow | None:
        """The step of this kind that an earlier run left unfinished."""
        last = self._last()
        if last and last.operation_kind == kind and last.status not in FINISHED:
            return last
        return None

    def half_restored(self, place: Place) -> bool:
        """A restore put a part of it back: it is shown under its own name, or, of an archive, the
        column that is being filled from it is there."""
        if not place.hidden:
            return True
        begun = self.begun(RestoreColumn.kind) or self.begun(RestoreTable.kind)
        if begun is None or not self.artifact.archived:
            return False
        live = [table for table in self.graph.tables if str(table.name) in self._names]
        return any(table.column(place.column) or not place.column for table in live)

    @property
    def _names(self) -> tuple[str, str]:
        row = self.artifact
        return row.source_table, f"{row.source_schema}.{row.source_table}"

    def refuse_purged(self) -> None:
        if was_purged(self.ledger, self.artifact):
            when = f"{self.artifact.expires_at:%Y-%m-%d}"
            raise CannotRestore(
                self.artifact.id, f"it was purged on {when}", "Only a backup can bring it back."
            )

    def complete_if_killed(self) -> None:
        """A run that was killed after its step was done left the record to write."""
        last = self._last()
        if last and last.status == DONE and self.migration_id not in self.ledger.applied():
            self._complete()

    # --- work ----------------------------------------------------------------------------------

    def restore(self, operation: Restoring) -> None:
        """Run the restore as a step."""
        withheld = without_demand(operation)
        context = self._context(withheld)
        statements = withheld.statements(context)
        judged = assess(withheld, context, statements)
        text = script(statements)
        new = NewStep(0, withheld.kind, text, str(judged.level), judged.score)

        def finish() -> None:
            self.ledger.expire_artifacts([self.artifact.id])
            write_restored(self.connection, operation, context.schema)

        self.audited(new, withheld.describe(), statements, finish)

    def refill(self, operation: RestoreColumn, place: Place) -> int:
        """Write the old values where the column is NULL; the number of rows."""
        context = self._context(operation)
        batches = self._refilling(operation, place, context)
        new = _step(RESEED, f"{batches.sql};", Level.MEDIUM)
        self.audited(new, f"refill {operation.target}", (batches,), lambda: None)
        return self.refilled

    def _refilling(self, operation: RestoreColumn, place: Place, context: Context) -> Batches:
        name = operation.column.name
        if self.artifact.archived:
            return refill(operation.table, name, operation.key, place.table, context)
        parts = {"column": sql.ident(name), "hidden": sql.ident(place.column)}
        return update_in_batches(
            operation.table,
            sql.clause("{column} = {hidden}", **parts),
            sql.clause("{column} IS NULL AND {hidden} IS NOT NULL", **parts),
            context,
        )

    def audited(
        self,
        new: NewStep,
        description: str,
        statements: Sequence[Statement],
        finish: Callable[[], None],
    ) -> StepRow:
        """Run statements as the next step, or as another attempt at one that did not finish."""
        row = self._prepare(new)
        self.ledger.start(row.id)

        def done() -> None:
            finish()
            self.ledger.finish(row.id, DONE)

        executor = Executor(
            self.connection,
            self.ledger,
            on_progress=self._progress,
            on_retry=self.session.say,
        )
        run = StepRun(row.id, self.migration_id, self.graph.default_schema, resumed=row.attempt > 1)
        mark = mark_failed(self.ledger, row.id)
        with failing(self.connection, mark, lambda: description, "the same command"):
            executor.run(run, statements, Finish(call=done))
        self._complete()
        return row

    def _prepare(self, new: NewStep) -> StepRow:
        """One transaction: the `before` snapshot and the step as pending."""
        begun, last = self.begun(new.kind), self._last()
        number = begun.step if begun else (last.step + 1 if last else 1)
        with transaction.atomic(using=self.connection.alias):
            if begun and begun.status == RUNNING:  # of a run that was killed
                self.ledger.finish(begun.id, FAILED, error=INTERRUPTED)
            if not begun:
                self._snapshot("before")
            self.ledger.add_pending(self.migration_id, [dataclasses.replace(new, step=number)])
        return self.ledger.latest(self.migration_id)[number]

    def _complete(self) -> None:
        """One transaction: the `after` snapshot and the record, new again if there is an old."""
        self.graph = live_graph(self.connection)
        with transaction.atomic(using=self.connection.alias):
            self._snapshot("after")
            self.ledger.forget(self.migration_id)
            self.ledger.record(self.migration_id)

    def _snapshot(self, phase: str) -> None:
        self.ledger.write_snapshot(self.migration_id, phase, self.graph, about(self.connection))

    def _context(self, operation: Restoring) -> Context:
        schema = self.graph.default_schema
        return Context(
            server_version=server_version(self.connection),
            schema=schema,
            graph=self.graph,
            empty=empty_tables(self.connection, schema, operation.tables),
            migration_id=self.migration_id,
        )

    def _progress(self, progress: Progress) -> None:
        self.refilled = progress.processed_rows
        self.session.say(f"{progress.processed_rows:,} rows written")

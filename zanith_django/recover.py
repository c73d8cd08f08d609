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

from zanith_django import sql
from zanith_django.artifacts import (
    Restoring,
    archive_changed,
    as_rows_allow,
    blocked,
    columns_of,
    find,
    hidden_place,
    older_than,
    restoring,
    rows_in_the_way,
)
from zanith_django.audit import INTERRUPTED, about, failing, mark_failed, working_session
from zanith_django.backfill import Progress
from zanith_django.exceptions import CannotRestore, InvalidArgument
from zanith_django.execute import Executor, Finish, StepRun
from zanith_django.ledger import (
    DONE,
    FAILED,
    FINISHED,
    RUNNING,
    ArtifactRow,
    Ledger,
    NewStep,
    StepRow,
)
from zanith_django.locks import Lock
from zanith_django.migration import RECOVER_PREFIX
from zanith_django.obstacles import Obstacle
from zanith_django.operations import Operation, RestoreColumn, RestoreTable, Statement
from zanith_django.operations.base import Batches, Context, script
from zanith_django.operations.columns import update_in_batches
from zanith_django.operations.restores import refill
from zanith_django.plan import empty_tables
from zanith_django.project import live_graph
from zanith_django.reasons import Level
from zanith_django.risk import assess
from zanith_django.schema.graph import SchemaGraph
from zanith_django.session import server_version

PURGE, RESEED = "purge", "reseed"


def silent(words: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """How long to wait for another run (None: as the setting says), and who hears of waiting."""

    wait: float | None = None
    say: Callable[[str], None] = silent


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored; `before` tells that an earlier run had done it."""

    artifact: ArtifactRow
    operation: Restoring
    before: bool = False
    left_off: tuple[Obstacle, ...] = ()


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
    told; `strict` refuses that too. Run again
    after a kill, it resumes; run again after its end, it does nothing. Raises `UnknownArtifact`,
    `InvalidArgument`, `CannotRestore`, `StepFailed`.
    """
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=column)
        _must_be(artifact, column)
        work = _Work(connection, ledger, artifact, session)
        operation = restoring(artifact)
        if artifact.expires_at:
            work.refuse_purged()
            work.complete_if_killed()
            return Restored(artifact, operation, before=True)
        begun = work.begun(operation.kind)
        again = begun is not None
        why = blocked(connection, artifact, operation, work.graph, begun=again, strict=strict)
        if why:
            raise CannotRestore(artifact.id, why)
        left_off = rows_in_the_way(connection, artifact, operation, work.graph)
        work.run(as_rows_allow(operation, left_off), lambda: ledger.expire_artifact(artifact.id))
        return Restored(artifact, operation, left_off=tuple(left_off))


def purge(connection: BaseDatabaseWrapper, name: str, session: Session) -> ArtifactRow | None:
    """Drop the hidden column or table for good; None where there was nothing left to drop."""
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        return _purge(connection, ledger, find(ledger, name), session)


def cleanup(connection: BaseDatabaseWrapper, age: timedelta, session: Session) -> list[ArtifactRow]:
    """Purge every live artifact that is older than `age`; returns them."""
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        return [
            row
            for row in older_than(ledger, age)
            if _purge(connection, ledger, row, session) is not None
        ]


def reseed(connection: BaseDatabaseWrapper, name: str, session: Session) -> int:
    """Refill the NULLs of a column that exists again from the hidden one; returns the number of
    rows written. The artifact stays."""
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=True)
        _must_be(artifact, column=True)
        work = _Work(connection, ledger, artifact, session)
        operation = restoring(artifact)
        assert isinstance(operation, RestoreColumn)
        _refuse_reseed(connection, artifact, operation, work.graph)
        return work.refill(operation)


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
    operation: RestoreColumn,
    graph: SchemaGraph,
) -> None:
    table, hidden = hidden_place(artifact)
    if hidden not in columns_of(connection, table):
        raise InvalidArgument(
            f"{artifact.id} was restored or purged: nothing is left to refill from."
        )
    live = graph.table(operation.table)
    column = live.column(operation.column.name) if live else None
    why = archive_changed(connection, artifact, operation, graph) if artifact.archived else ""
    if why:
        raise CannotRestore(artifact.id, why)
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
    connection: BaseDatabaseWrapper, ledger: Ledger, artifact: ArtifactRow, session: Session
) -> ArtifactRow | None:
    if artifact.expires_at:
        return None
    work = _Work(connection, ledger, artifact, session)
    table, column = hidden_place(artifact)
    found = columns_of(connection, table)
    there = column in found if column else bool(found)
    # A restore that stopped half way has an archive still to read from.
    half = work.half_restored() if artifact.archived or not there else None
    if half:
        raise InvalidArgument(
            f"A restore of {artifact.target} is half done.",
            f"Run zanith_recover restore-{'column' if column else 'table'} {artifact.target}.",
        )
    spelled = sql.table(table, table.schema)
    text = (
        sql.compose(
            "ALTER TABLE {table} DROP COLUMN {column}", table=spelled, column=sql.ident(column)
        )
        if column and not artifact.archived
        else sql.compose("DROP TABLE {table}", table=spelled)
    )
    gone = Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))
    work.audited(
        _step(PURGE, f"{text};" if there else "", Level.DESTRUCTIVE),
        f"purge {artifact.target}",
        (gone,) if there else (),
        lambda: ledger.expire_artifact(artifact.id),
    )
    return artifact


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

    def half_restored(self) -> StepRow | None:
        return self.begun(RestoreColumn.kind) or self.begun(RestoreTable.kind)

    def refuse_purged(self) -> None:
        last = self._last()
        if last and last.operation_kind == PURGE and last.status == DONE:
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

    def run(self, operation: Operation, finish: Callable[[], None]) -> None:
        """Run an operation as a step."""
        context = self._context(operation)
        statements = operation.statements(context)
        judged = assess(operation, context, statements)
        text = script(statements)
        new = NewStep(0, operation.kind, text, str(judged.level), judged.score)
        self.audited(new, operation.describe(), statements, finish)

    def refill(self, operation: RestoreColumn) -> int:
        """Write the old values where the column is NULL; the number of rows."""
        context = self._context(operation)
        batches = self._refilling(operation, context)
        new = _step(RESEED, f"{batches.sql};", Level.MEDIUM)
        self.audited(new, f"refill {operation.target}", (batches,), lambda: None)
        return self.refilled

    def _refilling(self, operation: RestoreColumn, context: Context) -> Batches:
        name = operation.column.name
        place, hidden = hidden_place(self.artifact)
        if self.artifact.archived:
            return refill(operation.table, name, operation.key, place, context)
        parts = {"column": sql.ident(name), "hidden": sql.ident(hidden)}
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

    def _context(self, operation: Operation) -> Context:
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

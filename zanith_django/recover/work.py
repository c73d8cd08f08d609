"""One verb on one artifact, as an audited step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import (
    CannotRestore,
)
from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FAILED, FINISHED, RUNNING
from zanith_django.ledger.steps import PendingStep, StepRow
from zanith_django.operations import RestoreColumn, RestoreTable
from zanith_django.operations.base import Batches, Context
from zanith_django.operations.column_sql import update_in_batches
from zanith_django.operations.keep.kept import Restore
from zanith_django.operations.keep.restores import refill
from zanith_django.plan.live_facts import empty_tables, step_context
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.risk import Assessment, assess
from zanith_django.postgres import sql
from zanith_django.recover.admission import admit
from zanith_django.recover.session import Session
from zanith_django.run.artifacts import (
    was_purged,
)
from zanith_django.run.audit import INTERRUPTED, about, failing, mark_failed
from zanith_django.run.details import kept_detail
from zanith_django.run.executor import Executor
from zanith_django.run.keeping import (
    Place,
    definition,
    locate,
    without_demand,
    write_restored,
)
from zanith_django.run.progress import Progress
from zanith_django.run.work import Attempt, Finish
from zanith_django.timeline.project import live_graph

RESEED = "reseed"


class ArtifactWork:
    """A restore, reseed or purge of one artifact, under the run lock."""

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

    def kept(self) -> tuple[Place, Restore]:
        """Its place, and its restore. Raises `CannotRestore`, `ArtifactForged`."""
        place = locate(self.connection, self.artifact)
        if place is None:
            raise CannotRestore(self.artifact.id, "the database no longer has it")
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
        """Has a restore begun? Then the object has its own name again, or the column that is filled
        from an archive exists."""
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
                self.artifact.id, f"it was purged on {when}", "Restore it from a backup."
            )

    def complete_if_killed(self) -> None:
        """Writes the record of a run that was killed after its step was done."""
        last = self._last()
        if last and last.status == DONE and self.migration_id not in self.ledger.applied():
            self._complete()

    # --- work ----------------------------------------------------------------------------------

    def restore(self, operation: Restore) -> None:
        """Run the restore as a step."""
        withheld = without_demand(operation)
        context = self._context(withheld)
        statements = withheld.statements(context)
        judged = assess(withheld, context, statements)
        step = PlannedStep(1, withheld, judged, statements)

        def finish() -> None:
            self.ledger.expire_artifacts([self.artifact.id])
            write_restored(self.connection, operation, context.schema)

        self.audited(withheld.kind, withheld.describe(), step, finish)

    def refill(self, operation: Restore, place: Place) -> int:
        """Write the old values into rows whose column is NULL; returns the number of rows."""
        context = self._context(operation)
        batches = self._refilling(operation, place, context)
        judged = Assessment.of(("requires_backfill",))
        step = PlannedStep(1, operation, judged, (batches,))
        self.audited(RESEED, f"refill {operation.target}", step, lambda: None)
        return self.refilled

    def _refilling(self, operation: Restore, place: Place, context: Context) -> Batches:
        (restored,) = operation.restored.columns
        name = restored.name
        if self.artifact.archived:
            return refill(operation.home, name, operation.key, place.table, context)
        parts = {"column": sql.ident(name), "hidden": sql.ident(place.column)}
        return update_in_batches(
            operation.home,
            sql.clause("{column} = {hidden}", **parts),
            sql.clause("{column} IS NULL AND {hidden} IS NOT NULL", **parts),
            context,
        )

    def audited(
        self,
        kind: str,
        description: str,
        step: PlannedStep,
        finish: Callable[[], None],
    ) -> StepRow:
        """Run the statements of `step` under this kind, or make another attempt at one that did
        not finish. Raises `GateRefused`."""
        admit(self.connection.alias, self.migration_id, step, self.session.policy)
        statements = step.statements
        row = self._prepare(PendingStep(0, kind, step.sql, str(step.level), step.score))
        detail = kept_detail(self.artifact, description, statements)
        self.ledger.add_details(self.migration_id, {row.id: detail})
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
        run = Attempt(row.id, self.migration_id, self.graph.default_schema, resumed=row.attempt > 1)
        mark = mark_failed(self.ledger, row.id)
        with failing(self.connection, mark, lambda: description, "the same command"):
            executor.run(run, statements, Finish(call=done))
        self._complete()
        return row

    def _prepare(self, new: PendingStep) -> StepRow:
        """Writes, in one transaction, the `before` snapshot and the step as pending."""
        begun, last = self.begun(new.kind), self._last()
        number = begun.step if begun else (last.step + 1 if last else 1)
        with transaction.atomic(using=self.connection.alias):
            if begun and begun.status == RUNNING:  # of a run that was killed
                self.ledger.finish(begun.id, FAILED, error=INTERRUPTED)
            if not begun:
                self._keep_earlier()
                self._snapshot("before")
            self.ledger.add_pending(self.migration_id, [dataclasses.replace(new, step=number)])
        return self.ledger.latest(self.migration_id)[number]

    def _keep_earlier(self) -> None:
        """What an earlier run on this artifact recorded stays beside what this one records."""
        if self.ledger.run_of(self.migration_id, "before"):
            by = about(self.connection) | {"at": datetime.now(UTC).isoformat()}
            applied_at = self.ledger.applied().get(self.migration_id)
            self.ledger.mark_repeated(self.migration_id, by, applied_at)

    def _complete(self) -> None:
        """Writes, in one transaction, the `after` snapshot and the record, also over an older
        one."""
        self.graph = live_graph(self.connection)
        with transaction.atomic(using=self.connection.alias):
            self._snapshot("after")
            self.ledger.forget(self.migration_id)
            self.ledger.record(self.migration_id)

    def _snapshot(self, phase: str) -> None:
        self.ledger.write_snapshot(self.migration_id, phase, self.graph, about(self.connection))

    def _context(self, operation: Restore) -> Context:
        context = step_context(self.connection, self.graph, self.migration_id)
        empty = empty_tables(self.connection, context.schema, operation.tables)
        return dataclasses.replace(context, empty=empty)

    def _progress(self, progress: Progress) -> None:
        self.refilled = progress.processed_rows
        self.session.say(f"{progress.processed_rows:,} rows written")

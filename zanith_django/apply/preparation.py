"""Writes the rows of a migration's steps before the first of them runs."""

from __future__ import annotations

from django.db import transaction

from zanith_django.apply.rows import (
    DEFERRED,
    LEFT,
    deferred_step,
    has_left,
    pending_step,
    refuse_other_operations,
)
from zanith_django.apply.state import RunState
from zanith_django.ledger.step_rows import (
    FINISHED,
    PENDING,
    SKIPPED,
)
from zanith_django.ledger.steps import StepRow, since_rollback
from zanith_django.plan.plan import ELSEWHERE, PlannedMigration
from zanith_django.run.audit import (
    INTERRUPTED,
)
from zanith_django.run.details import planned_detail
from zanith_django.run.taken_names import taken_before


class Preparation:
    """Writes the rows of a migration, and the `before` snapshot."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    def prepare(self, migration: PlannedMigration, *, snapshot: bool) -> dict[int, StepRow]:
        """Writes, in one transaction, the `before` snapshot, every step as pending, and the first
        one as running."""
        with transaction.atomic(using=self._run.connection.alias):
            self._run.ledger.fail_running(
                migration.id, INTERRUPTED
            )  # left by a run that was killed
            known = self._run.ledger.latest(migration.id)
            refuse_other_operations(migration, known)
            begun = any(row.status != PENDING for row in known.values())
            if begun and (file := migration.entry.migration):
                self._run.ledger.follow_edits(migration.id, file.digests)
            self._add_pending(migration, known)
            rows = self._run.ledger.latest(migration.id)
            fresh = snapshot and not any(has_left(row, migration) for row in known.values())
            self._describe(migration, rows, snapshot=snapshot, fresh=fresh)
            not_here = (ELSEWHERE, SKIPPED)
            elsewhere = {step.number for step in migration.steps if step.status in not_here}
            for row in rows.values():
                if row.step in elsewhere and row.status not in FINISHED:
                    self._run.ledger.finish(row.id, SKIPPED)
            if elsewhere:
                rows = self._run.ledger.latest(migration.id)
            numbers = {step.number for step in migration.steps}
            left = (row for row in rows.values() if row.status not in FINISHED)
            first = next((row for row in left if row.step in numbers), None)
            if first and not migration.nothing_left:
                self._run.ledger.start(first.id)
        return rows

    def _describe(
        self,
        migration: PlannedMigration,
        rows: dict[int, StepRow],
        *,
        snapshot: bool,
        fresh: bool,
    ) -> None:
        """Stores details of the remaining steps beside the `before` snapshot, which is `fresh`
        unless an earlier run began; without a snapshot, beside that of its stretch of Django's
        migrations."""
        left = (step for step in migration.steps if rows[step.number].status not in FINISHED)
        details = {rows[step.number].id: planned_detail(step) for step in left}
        self._run.home = migration.id if snapshot else self._run.home
        if fresh:
            self._run.snapshot(migration, "before", details)
        else:
            self._run.ledger.add_details(self._run.home, details)

    def _add_pending(self, migration: PlannedMigration, known: dict[int, StepRow]) -> None:
        """Adds rows for all steps. After an edit, the rows of removed steps that never ran are
        deleted, and the row of Django's deferred SQL moves after the last step."""
        last = len(migration.steps)
        deferred = [row for row in known.values() if row.operation_kind == DEFERRED]
        moved = [row for row in deferred if row.status in LEFT and row.step != last + 1]
        gone = [row for row in known.values() if row.step > last and row not in deferred]
        self._run.ledger.forget_pending([row.id for row in (*moved, *gone)])
        again = [deferred_step(migration, row.sql) for row in moved]
        self._run.ledger.add_pending(migration.id, [*map(pending_step, migration.steps), *again])

    def added_before_edit(
        self, migration: PlannedMigration, rows: dict[int, StepRow]
    ) -> frozenset[int]:
        """The steps that add a constraint which an earlier attempt added too, and did not validate,
        before its file was edited: by its name alone it would count as the current one. All
        attempts count: the one after the edit may have stopped before its first statement."""
        again = [
            step
            for step in migration.steps
            if step.operation.adds
            and step.operation.adds.validated
            and rows[step.number].attempt > 1
        ]
        attempts = since_rollback(self._run.ledger.steps(migration.id)) if again else []
        stopped = [row for row in attempts if row.stopped]
        return frozenset(
            step.number
            for step in again
            if any(row.step == step.number and row.sql != step.sql for row in stopped)
            and not taken_before(self._run.ledger, migration.id, step.operation)
        )

    def skip_all(self, migration: PlannedMigration, rows: dict[int, StepRow]) -> None:
        """Marks all steps as skipped: Django's migrate did their work."""
        self._run.states.advance(migration.entry.covers)
        with transaction.atomic(using=self._run.connection.alias):
            for row in rows.values():
                if row.status not in FINISHED:
                    self._run.ledger.finish(row.id, SKIPPED)
            self._run.snapshot(migration, "after")
            self._run.ledger.record(migration.id)

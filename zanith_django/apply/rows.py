"""Steps of a plan as rows of the ledger."""

from __future__ import annotations

from zanith_django.exceptions import (
    FileEdited,
)
from zanith_django.ledger.marks import is_of_another
from zanith_django.ledger.step_rows import (
    DONE,
    FAILED,
    FINISHED,
    PENDING,
    RUNNING,
)
from zanith_django.ledger.steps import PendingStep, StepRow
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.run.events import StepEvent

DEFERRED = "deferred"
LEFT = (PENDING, RUNNING, FAILED)


def has_left(row: StepRow, migration: PlannedMigration) -> bool:
    """May the step have left objects? A stopped step of ours may, a failed operation of Django's
    left none."""
    return row.status in FINISHED or (row.stopped and migration.entry.migration is not None)


def event(migration: PlannedMigration, step: PlannedStep) -> StepEvent:
    return StepEvent(migration.id, step.number, step.operation, step.level, step.score)


def pending_step(step: PlannedStep) -> PendingStep:
    return PendingStep(step.number, step.kind, step.sql, str(step.level), step.score)


def deferred_step(migration: PlannedMigration, text: str) -> PendingStep:
    """The SQL that Django's schema editor defers: a step after the last operation."""
    return PendingStep(len(migration.steps) + 1, DEFERRED, text, "safe", 5)


def refuse_other_operations(migration: PlannedMigration, known: dict[int, StepRow]) -> None:
    """Refuses edits of finished operations of a Django migration that stopped half way."""
    steps = {step.number: step for step in migration.steps}
    for row in known.values() if migration.entry.migration is None else ():
        now = described(steps[row.step]) if row.step in steps else None
        if row.status == DONE and is_of_another(row.sql, now):
            what = f"Step {row.step:02d} of {migration.id} was edited after it was done"
            raise FileEdited(migration.id, what)


def described(step: PlannedStep) -> str:
    """The description of a Django migration's operation, by Django."""
    return step.operation.runs.description if step.operation.runs else ""

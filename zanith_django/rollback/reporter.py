"""The options of a rollback, and the events that it reports while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zanith_django.diff.differ import SOFT
from zanith_django.plan.gates import Policy, Refusal
from zanith_django.plan.plan import PlannedStep
from zanith_django.rollback.selection import (
    UndoMigration,
    UndoStep,
)
from zanith_django.run.progress import Progress


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """The options of a rollback: the newest `count` migrations, or all that are newer than `to`.
    `drop` "hard" keeps no removed column or table, and needs `allow_destructive` (None: the
    setting) if one holds values. `keep_values` also undoes fills, whose values stay."""

    count: int | None = None
    to: str = ""
    drop: str = SOFT
    allow_destructive: bool | None = None
    keep_values: bool = False
    dry_run: bool = False
    lock_wait: float | None = None
    verbosity: int = 0
    max_risk: int | None = None

    @property
    def policy(self) -> Policy:
        given = Policy.of(max_risk=self.max_risk, allow_destructive=self.allow_destructive)
        consented = self.allow_destructive and self.max_risk is None
        return (given.with_consent() if consented else given).without_fingerprint()


class RollbackReporter:
    """Receives the events of a rollback and prints nothing; faces override its methods."""

    def waiting(self, holder: str) -> None:
        """Another run holds the lock."""

    def retrying(self, words: str) -> None:
        """A lock could not be acquired in time."""

    def progress(self, progress: Progress) -> None:
        """A batch of rows is written."""

    def staying(self, labels: Sequence[str]) -> None:
        """Newer migrations of these apps, which Django ran, stay."""

    def setting_aside(self, targets: Sequence[str]) -> None:
        """These columns and tables are about to be hidden, with their values."""

    def may_set_aside(self) -> bool:
        """May columns and tables be hidden?"""
        return True

    def migration_started(self, migration: UndoMigration) -> None:
        """Its last step is about to be undone."""

    def step_judged(self, step: PlannedStep) -> None:
        """In a dry run: the risk of the reverse of the next step."""

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """In a dry run: the refusals of the gates."""

    def step_undone(self, step: UndoStep, sql: str, seconds: float) -> None:
        """The step is `rolled_back`; in a dry run, it would be."""

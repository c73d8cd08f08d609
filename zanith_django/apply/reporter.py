"""The events that apply reports while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.run.progress import Progress


class ApplyReporter:
    """Receives the events of a run and prints nothing; faces override its methods."""

    def waiting(self, holder: str) -> None:
        """Another run holds the lock."""

    def newer(self, names: Sequence[str]) -> None:
        """These applied migrations are newer than every file here."""

    def planned(self, plan: Plan) -> None:
        """The plan passed the gates and is about to run."""

    def migration_started(self, migration: PlannedMigration) -> None:
        """Its first step is about to run."""

    def step_started(self, migration: PlannedMigration, step: PlannedStep) -> None:
        """The step is `running`."""

    def step_finished(self, migration: PlannedMigration, step: PlannedStep, seconds: float) -> None:
        """The step is `done`."""

    def step_failed(self, migration: PlannedMigration, number: int, error: str) -> None:
        """The step is `failed`; the run ends."""

    def migration_finished(self, migration: PlannedMigration, seconds: float) -> None:
        """The migration is recorded."""

    def retrying(self, words: str) -> None:
        """A step waits for a lock, or an object that a stopped step had left was removed."""

    def progress(self, progress: Progress) -> None:
        """A batch of a backfill is written."""

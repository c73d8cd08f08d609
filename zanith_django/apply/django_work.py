"""One Django migration while apply runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial

from zanith_django.apply.rows import (
    DEFERRED,
    LEFT,
    deferred_step,
    described,
)
from zanith_django.apply.state import RunState
from zanith_django.ledger.marks import with_operation
from zanith_django.ledger.step_rows import (
    DONE,
    FINISHED,
    PENDING,
    RUNNING,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.plan.plan import PlannedMigration
from zanith_django.postgres.run_lock import check_held
from zanith_django.postgres.session import lock_timeout
from zanith_django.timeline.django_steps import run_django_migration


class DjangoWork:
    """One Django migration while it runs, and the operation that runs now."""

    def __init__(
        self, run: RunState, migration: PlannedMigration, rows: dict[int, StepRow]
    ) -> None:
        self._run, self.migration, self.rows = run, migration, rows
        self.key = migration.entry.covers[0]
        self.atomic = run.timeline.django(self.key).atomic
        self.steps = {step.number: step for step in migration.steps}
        self.number = min(self.steps, default=0)
        self.begun: set[int] = set()
        self.ended: set[int] = set()
        self.clock = time.monotonic()

    def run(self) -> None:
        """Run the migration. An atomic one is retried as a whole if a lock times out."""
        run = self._run
        work = partial(run_django_migration, run.connection, run.states, self.key, self)
        if self.atomic:
            self._retrying(self.steps, work)
        else:
            with run.executor.lookout.watching():
                work()

    def retrying(self, number: int, attempt: Callable[[], None]) -> None:
        self._retrying([number], attempt)

    def _retrying(self, numbers: Iterable[int], attempt: Callable[[], None]) -> None:
        run = self._run
        statements = [each for number in numbers for each in self.steps[number].statements]

        def bounded(seconds: float) -> None:
            with lock_timeout(run.connection, seconds):
                attempt()

        run.executor.retrying(statements, bounded, costly=True)

    def describe(self) -> str:
        step = self.steps.get(self.number)
        return step.operation.describe() if step else "SQL that Django deferred"

    def start(self, number: int) -> None:
        check_held(self._run.connection)
        self.number = number
        self._run.ledger.start(self.rows[number].id)
        if number not in self.begun:  # a retried operation is reported once
            self._run.step_started(self.migration, self.steps[number])
        self.begun.add(number)
        self.clock = time.monotonic()

    def finish(self, number: int, text: str) -> None:
        if not self.atomic:
            text = with_operation(text, described(self.steps[number]))
        self._run.ledger.finish(self.rows[number].id, DONE, ran=text)
        seconds = time.monotonic() - self.clock
        if number not in self.ended:
            self._run.step_finished(self.migration, self.steps[number], seconds)
        self.ended.add(number)

    def kept(self) -> str | None:
        row = self._deferred()
        return "" if row is None else row.sql if row.status in LEFT else None

    def keep(self, text: str) -> None:
        row = self._deferred()
        new = deferred_step(self.migration, text)
        if row and row.status in (PENDING, RUNNING):
            self._run.ledger.describe(row.id, new)
        elif text:
            self._run.ledger.add_pending(self.migration.id, [new])

    def start_deferred(self, text: str) -> None:
        check_held(self._run.connection)
        self.number = len(self.steps) + 1
        self.keep(text)
        row = self._deferred()
        assert row is not None
        self._run.ledger.start(row.id)
        self._run.observer.begin(self.migration.id, self.number, None)

    def observed(self) -> AbstractContextManager[None]:
        return self._run.observer.statement(None)

    def finish_deferred(self, text: str) -> None:
        row = self._deferred()
        assert row is not None
        self._run.ledger.finish(row.id, DONE, ran=text)

    def _deferred(self) -> StepRow | None:
        rows = self._run.ledger.latest(self.migration.id).values()
        return next((row for row in rows if row.operation_kind == DEFERRED), None)

    def skip(self, number: int) -> bool:
        """Did an earlier run finish the operation? An atomic migration was rolled back as a
        whole."""
        return not self.atomic and self.rows[number].status in FINISHED

    def record(self) -> None:
        self._run.ledger.record(self.migration.id)

"""Apply: the pending part of the timeline, one audited step at a time, under one lock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from zanith_django.apply.admission import Admission
from zanith_django.apply.django_work import DjangoWork
from zanith_django.apply.preparation import Preparation
from zanith_django.apply.reporter import ApplyReporter
from zanith_django.apply.state import ApplyOptions, RunState
from zanith_django.conf import conf
from zanith_django.ledger.step_rows import (
    FINISHED,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.operations.base import Context
from zanith_django.plan.integrity import newer_than_files
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.plan import Plan, PlannedMigration
from zanith_django.postgres.pipeline import Meanwhile
from zanith_django.postgres.session import set_timeouts
from zanith_django.run.audit import (
    Outcome,
    count_uncounted,
    working_session,
)
from zanith_django.run.django_signals import (
    FinalModels,
    Injected,
    send_post_migrate,
    send_pre_migrate,
)
from zanith_django.run.events import Events, reporting_failure
from zanith_django.run.observer import Observer
from zanith_django.run.ready import BLINK, ReadyStep, RemainingSteps
from zanith_django.schema.values import replaced
from zanith_django.timeline.django_kinds import is_harmless
from zanith_django.timeline.django_steps import record_applied
from zanith_django.timeline.project import live_graph
from zanith_django.timeline.timeline import Key

_T = TypeVar("_T")


def apply(
    connection: BaseDatabaseWrapper,
    options: ApplyOptions,
    reporter: ApplyReporter | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Bring the database to the end of the timeline, or as far as `options` say.

    Run again after a failure or a kill, it resumes at the step that was not done. Raises
    `GateRefused`, `FileEdited`, `StepFailed`, `LockNotAcquired`, `PooledConnection` and
    `ConnectionFailed`.
    """
    reporter = reporter or ApplyReporter()
    events = Events(connection, silent=not options.gated)
    with (
        reporting_failure(events),
        working_session(connection, wait=options.lock_wait, on_wait=reporter.waiting),
    ):
        state = RunState(connection, options, reporter, events, observer or Observer())
        return _Apply(state).run()


class _Apply:
    """One run, with the lock held."""

    def __init__(self, run: RunState) -> None:
        self._run = run
        self._admission, self._preparation = Admission(run), Preparation(run)

    def run(self) -> Outcome:
        stopped = self._run.ledger.unfinished()
        try:
            return self._whole(stopped)
        finally:
            self._admission.remove_leftovers(stopped)

    def _whole(self, stopped: Sequence[StepRow]) -> Outcome:
        started = time.monotonic()
        self._run.reporter.newer(newer_than_files(self._run.ledger, self._run.timeline))
        self._admission.refuse_half_rolled_back()
        self._admission.follow_django()
        context = self._context()
        self._run.executor.stopwatch.facts = context.facts
        planned = self._admission.admitted(context, stopped)
        known = self._admission.django_operations(planned)
        injected = send_pre_migrate(
            self._run.connection.alias, planned, self._run.states, self._run.options.verbosity
        )
        added = not all(map(is_harmless, chain.from_iterable(injected.values())))
        if added or self._admission.django_operations(planned) != known:
            planned = self._admission.admitted(context, stopped, injected)
        self._run.reporter.planned(planned)
        if planned.migrations:
            self._run.ledger.begin_run(planned.migrations[0].id)
        steps = self._migrations(planned, injected)
        self._check_replacements()
        self._run.ledger.end_run()
        verbosity = self._run.options.verbosity
        send_post_migrate(
            self._run.connection.alias, planned, self._run.states, self._run.final, verbosity
        )
        return Outcome(len(planned.migrations), steps, time.monotonic() - started)

    def _context(self) -> Context:
        """The facts of the plan. To read the sizes of 1,000 tables takes half a second."""
        if not self._run.timeline.pending:
            return self._run.context("")
        context = live_context(self._run.connection, self._run.graph, self._run.timeline)
        return replaced(context, empty=context.empty - self._run.readier.occupied)

    def _migrations(self, planned: Plan, injected: Injected) -> int:
        """Runs all migrations. Each of ours, and each unbroken stretch of Django's, has a snapshot
        before and after."""
        steps = 0
        stretch = False
        for migration, following in _with_next(planned.migrations):
            started = time.monotonic()
            self._run.reporter.migration_started(migration)
            if migration.entry.migration:
                if following is None:
                    self._run.final = FinalModels(self._run.states, migration.entry.covers)
                ran = self._zanith(migration, injected)
                stretch = False
            else:
                ran = self._django(migration, snapshot=not stretch)
                stretch = following is not None and following.entry.migration is None
                if not stretch:
                    self._run.graph = live_graph(self._run.connection)
                    self._run.snapshot(migration, "after")
            steps += ran
            seconds = time.monotonic() - started
            self._run.reporter.migration_finished(migration, seconds)
            self._run.events.migration_applied(migration.id, ran, seconds)
        return steps

    def _zanith(self, migration: PlannedMigration, injected: Injected) -> int:
        rows = self._preparation.prepare(migration, snapshot=True)
        if migration.nothing_left:
            self._preparation.skip_all(migration, rows)
            return 0
        context = self._run.context(migration.id)
        left = [step for step in migration.steps if rows[step.number].status not in FINISHED]
        if len(left) < len(migration.steps):
            count_uncounted(self._run.ledger, migration.id)
        self._steps(
            RemainingSteps(
                migration, left, rows, self._preparation.added_before_edit(migration, rows)
            ),
            context,
        )
        self._complete(migration, injected)
        return len(left)

    def _steps(self, todo: RemainingSteps, context: Context) -> None:
        """Runs all steps in order, quick ones in groups: 300 quick steps take 1.0 s, 1.7 s one at
        a time. The next steps are prepared while the server works: a group is known before its turn
        only because of that."""
        place, ready = 0, list[ReadyStep]()
        while place < len(todo.steps):
            started, ahead = time.monotonic(), list[ReadyStep]()
            self._run.step_started(todo.migration, todo.steps[place])
            if not ready:
                with self._failing_at(todo, place):
                    ready = [self._run.readier.now(todo, place, context)]
            meanwhile = self._meanwhile(todo, place, ready, ahead)
            if len(ready) > 1:
                self._together(todo, place, ready, meanwhile)
            else:
                self._step(todo, place, ready[0], meanwhile)
            self._run.pace.took(time.monotonic() - started)
            place, context, ready = place + len(ready), ready[-1].after, ahead

    def _meanwhile(
        self, todo: RemainingSteps, place: int, ready: Sequence[ReadyStep], ahead: list[ReadyStep]
    ) -> Iterator[None]:
        """Work for the time in which `ready` runs: the steps after it, then the final models."""
        ahead += self._run.readier.ahead(
            todo, place + len(ready), ready[-1].after, self._run.pace.size
        )
        yield
        try:
            for _ in self._run.final or ():
                yield
        except Exception:
            self._run.final = None  # the error is reported when all of them are rendered

    def _step(
        self, todo: RemainingSteps, place: int, ready: ReadyStep, meanwhile: Meanwhile | None = None
    ) -> None:
        """Run one step, which is `running` and reported already."""
        started = time.monotonic()
        with self._failing_at(todo, place):
            self._run.executor.carry_out(ready.attempt, meanwhile)
        self._run.step_finished(todo.migration, todo.steps[place], time.monotonic() - started)

    def _together(
        self, todo: RemainingSteps, place: int, ready: Sequence[ReadyStep], meanwhile: Meanwhile
    ) -> None:
        """Run quick steps together. One that fails runs again by itself, and then those after it:
        there it waits for its lock, or fails and is reported, as any other step."""
        migration, steps = todo.migration, todo.steps[place : place + len(ready)]

        def describe() -> str:
            return f"{steps[0].operation.describe()}, or one of the quick steps after it"

        with self._run.failing(migration, lambda: steps[0].number, describe):
            took = self._times_of(ready, meanwhile)
        for number, (step, seconds) in enumerate(zip(steps, took, strict=True)):
            if number:
                self._run.step_started(migration, step)
            if seconds is None:
                self._step(todo, place + number, ready[number])
            else:
                self._run.step_finished(migration, step, seconds)

    def _times_of(self, ready: Sequence[ReadyStep], meanwhile: Meanwhile) -> list[float | None]:
        """Sends the steps. Returns the seconds of each, None for one that is not done. If the group
        was quick, each gets an equal share; otherwise the ledger has the times."""
        attempts = [each.attempt for each in ready]
        started = time.monotonic()
        whole = self._run.executor.together(attempts, meanwhile)
        seconds = time.monotonic() - started
        if whole and seconds < BLINK:
            return [seconds / len(attempts)] * len(attempts)
        known = self._run.ledger.durations([each.row_id for each in attempts])
        return [known.get(each.row_id) for each in attempts]

    def _complete(self, migration: PlannedMigration, injected: Injected) -> None:
        """Writes, in one transaction, the `after` snapshot, our record, and Django's record of the
        covered migrations."""
        self._run.graph = live_graph(self._run.connection)
        with transaction.atomic(using=self._run.connection.alias):
            self._run_injected(migration, injected)
            self._run.snapshot(migration, "after")
            self._run.ledger.record(migration.id)
            self._run.ledger.forget_values(migration.id)
            for key in migration.entry.covers if not migration.adopted else ():
                self._record_covered(key)
        self._run.states.advance(migration.entry.covers)

    def _record_covered(self, key: Key) -> None:
        if key in self._run.timeline.loader.disk_migrations:
            record_applied(self._run.connection, self._run.timeline.django(key))
        else:  # a squash has replaced it since; the check at the end records that squash
            MigrationRecorder(self._run.connection).record_applied(*key)

    def _run_injected(self, migration: PlannedMigration, injected: Injected) -> None:
        """Runs operations that a receiver of pre_migrate added, such as the renaming of a content
        type with its model."""
        if not (operations := injected.get(migration.id)):
            return
        state = self._run.states.after(migration.entry.covers)
        for operation in operations:
            label = migration.entry.covers[-1][0]
            with self._run.connection.schema_editor(atomic=False) as editor:
                operation.database_forwards(label, editor, state, state)

    def _django(self, migration: PlannedMigration, *, snapshot: bool) -> int:
        rows = self._preparation.prepare(migration, snapshot=snapshot)
        work = DjangoWork(self._run, migration, rows)
        with self._run.failing(migration, lambda: work.number, work.describe):
            work.run()
        set_timeouts(self._run.connection, conf.statement_timeout)
        return len(migration.steps)

    def _failing_at(self, todo: RemainingSteps, place: int) -> AbstractContextManager[None]:
        step = todo.steps[place]
        return self._run.failing(todo.migration, lambda: step.number, step.operation.describe)

    def _check_replacements(self) -> None:
        """Marks a squash as applied if all migrations that it replaces are, as `migrate` does in
        every run."""
        recorder = MigrationRecorder(self._run.connection)
        applied = set(recorder.applied_migrations())
        squashes = self._run.timeline.loader.replacements
        for key in sorted(squashes, key=lambda key: len(self._run.timeline.replaced(key))):
            if key not in applied and applied.issuperset(squashes[key].replaces):
                recorder.record_applied(*key)
                applied.add(key)


def _with_next(items: Sequence[_T]) -> Iterator[tuple[_T, _T | None]]:
    following: tuple[_T | None, ...] = (*items, None)
    return zip(items, following[1:], strict=True)

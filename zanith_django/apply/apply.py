"""Apply: the pending part of the timeline, one audited step at a time, under one lock."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from zanith_django.apply.reporter import Reporter
from zanith_django.apply.rows import (
    DEFERRED,
    LEFT,
    deferred_step,
    edit_mark,
    event,
    has_left,
    new_step,
    refuse_other_operations,
)
from zanith_django.conf import conf
from zanith_django.exceptions import (
    FileEdited,
    FileMissing,
    GateRefused,
    HalfRolledBack,
    InvalidArgument,
)
from zanith_django.files.files import managed_apps
from zanith_django.files.migration import DJANGO_PREFIX
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import (
    DONE,
    FAILED,
    FINISHED,
    PENDING,
    ROLLED_BACK,
    RUNNING,
    SKIPPED,
    split_step_id,
    step_id,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.operations import AddCheck, AddForeignKey
from zanith_django.operations.base import Context, Default, Operation, PythonCall
from zanith_django.plan import gates
from zanith_django.plan.fingerprint import fingerprint
from zanith_django.plan.gates import Refusal
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.live_names import as_live
from zanith_django.plan.plan import ELSEWHERE, Plan, PlannedMigration, PlannedStep
from zanith_django.plan.planner import plan
from zanith_django.postgres.names import TableName
from zanith_django.postgres.pipeline import Meanwhile
from zanith_django.postgres.run_lock import check_held
from zanith_django.postgres.session import lock_timeout, server_version, set_timeouts
from zanith_django.run.audit import (
    INTERRUPTED,
    Outcome,
    about,
    count_uncounted,
    failing,
    is_ours,
    working_session,
)
from zanith_django.run.django_signals import (
    FinalModels,
    Injected,
    send_post_migrate,
    send_pre_migrate,
)
from zanith_django.run.events import Events, told_of_failure
from zanith_django.run.executor import Executor
from zanith_django.run.ready import BLINK, TOGETHER, Pace, Readier, Ready, Todo
from zanith_django.run.taken_names import stood_before
from zanith_django.schema import collector
from zanith_django.timeline.defaults import maker
from zanith_django.timeline.django_steps import record_applied, run_django_migration, run_python
from zanith_django.timeline.historical import States
from zanith_django.timeline.project import live_graph, read_timeline
from zanith_django.timeline.timeline import Key, key_of

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """How far to go and what to allow; None takes the setting.

    `count` and `to` stop early, `gated` False lets everything pass (on a shadow). `occupied` are
    tables that count as populated though they are empty here: those of the live database.
    """

    count: int | None = None
    to: str = ""
    max_risk: int | None = None
    allow_destructive: bool | None = None
    fail_on: tuple[str, ...] | None = None
    lock_wait: float | None = None
    verified: str = ""
    gated: bool = True
    verbosity: int = 1
    occupied: tuple[str, ...] = ()


def apply(
    connection: BaseDatabaseWrapper, options: Options, reporter: Reporter | None = None
) -> Outcome:
    """Bring the database to the end of the timeline, or as far as `options` say.

    Run again after a failure or a kill, it resumes at the step that was not done. Raises
    `GateRefused`, `FileEdited`, `StepFailed`, `LockNotHad`, `PooledConnection` and
    `ConnectionFailed`.
    """
    told = reporter or Reporter()
    events = Events(connection, silent=not options.gated)
    with (
        told_of_failure(events),
        working_session(connection, wait=options.lock_wait, on_wait=told.waiting),
    ):
        return _Run(connection, options, told, events).run()


class _Run:
    """One run, with the lock held."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        options: Options,
        reporter: Reporter,
        events: Events,
    ) -> None:
        self.connection, self.options, self.events = connection, options, events
        self.reporter = reporter
        self.ledger = Ledger(connection)
        self.ledger.ensure()
        MigrationRecorder(connection).ensure_schema()
        self.timeline = read_timeline(connection)
        self.states = States(self.timeline)
        self.graph = live_graph(connection)
        self.final: FinalModels | None = None
        self.defaults: dict[Default, Callable[[], str]] = {}
        self.executor = Executor(
            connection,
            self.ledger,
            call_python=self._run_python,
            make_default=self._make_default,
            on_progress=reporter.progress,
            on_retry=self._retrying,
        )
        occupied = map(TableName.of, options.occupied)
        self.readier = Readier(connection, self.ledger, self.executor, occupied)
        self.pace = Pace(1 if events.awaited else TOGETHER)

    def run(self) -> Outcome:
        stopped = self.ledger.unfinished()
        try:
            return self._whole()
        finally:
            self._take_down(stopped)

    def _whole(self) -> Outcome:
        started = time.monotonic()
        self._refuse_edited()
        self.reporter.newer(gates.newer_than_files(self.ledger, self.timeline))
        self._refuse_half_rolled_back()
        self._follow_django()
        context = live_context(self.connection, self.graph, self.timeline)
        planned = self._plan(context)
        self._pass_gates(planned)
        known = self._django_operations(planned)
        injected = send_pre_migrate(
            self.connection.alias, planned, self.states, self.options.verbosity
        )
        if self._django_operations(planned) != known:  # receivers may add some
            planned = self._plan(context)
        self.reporter.planned(planned)
        if planned.migrations:
            self.ledger.begin_run(planned.migrations[0].id)
        with collector.frozen():
            steps = self._migrations(planned, injected)
            self._check_replacements()
            self.ledger.end_run()
            verbosity = self.options.verbosity
            send_post_migrate(self.connection.alias, planned, self.states, self.final, verbosity)
        return Outcome(len(planned.migrations), steps, time.monotonic() - started)

    def _django_operations(self, planned: Plan) -> list[int]:
        """How many operations each Django migration has that runs as it is."""
        return [
            len(self.timeline.django(migration.entry.covers[0]).operations)
            for migration in planned.migrations
            if migration.entry.migration is None
        ]

    # --- before anything runs ------------------------------------------------------------------

    def _refuse_edited(self) -> None:
        for refused in gates.integrity(self.ledger, self.timeline) if self.options.gated else ():
            error = FileMissing if refused.gate == gates.MISSING else FileEdited
            raise error(refused.migration, refused.message)

    def _refuse_half_rolled_back(self) -> None:
        for name in self.ledger.half_rolled_back():
            raise HalfRolledBack(name)

    def _follow_django(self) -> None:
        """Of its own migrations Django's record tells what is applied. One that failed as a whole
        and is not to run any more is nobody's business."""
        pending = {entry.id: entry for entry in self.timeline.pending}
        failed = {row.migration_id for row in self.ledger.unfinished()} - pending.keys()
        with transaction.atomic(using=self.connection.alias):
            for entry in pending.values():
                if entry.taken_back:
                    self.ledger.take_back(entry.id)
            for name in failed:
                rows = self.ledger.latest(name).values()
                if name.startswith(DJANGO_PREFIX) and all(row.status != DONE for row in rows):
                    self.ledger.give_up(name)

    def _plan(self, context: Context) -> Plan:
        """The plan as far as --steps and --to say."""
        whole = plan(
            self.timeline, database=self.connection.alias, context=context, ledger=self.ledger
        )
        migrations = whole.migrations
        if self.options.to:
            wanted = self.timeline.find(self.options.to).id
            ids = [migration.id for migration in migrations]
            migrations = migrations[: ids.index(wanted) + 1] if wanted in ids else ()
        if self.options.count is not None:
            if self.options.count < 1:
                raise InvalidArgument("--steps takes a number of migrations from 1 on.")
            migrations = migrations[: self.options.count]
        return dataclasses.replace(whole, migrations=tuple(migrations))

    def _pass_gates(self, planned: Plan) -> None:
        if not self.options.gated:
            return
        given = self.options
        allowed = given.allow_destructive
        refusals: list[Refusal] = [
            *gates.dependents(planned),
            *gates.budget(planned, conf.max_risk if given.max_risk is None else given.max_risk),
            *gates.consent(planned, conf.allow_destructive if allowed is None else allowed),
            *gates.reasons(planned, conf.fail_on if given.fail_on is None else given.fail_on),
        ]
        if given.verified or conf.require_verified:
            now = fingerprint(self.connection, planned, self.graph)
            refusals += gates.verified(planned, given.verified, now)
        if conf.uncovered == "refuse":
            refusals += gates.coverage(self.timeline, managed_apps(), conf.uncovered)
        if refusals:
            self._record_refusals(planned, refusals)
            lines = dict.fromkeys(f"{r.migration}: {r.message}" for r in refusals)
            raise GateRefused(lines, gates.hint(refusals))

    def _record_refusals(self, planned: Plan, refusals: Iterable[Refusal]) -> None:
        """One failed row per refused step, with the first gate that refused it."""
        steps = {(migration.id, step.number): step for migration, step in planned.steps}
        first: dict[tuple[str, int], Refusal] = {}
        for refusal in refusals:
            if refusal.step:
                first.setdefault((refusal.migration, refusal.step), refusal)
        with transaction.atomic(using=self.connection.alias):
            for (migration_id, number), refusal in first.items():
                new = new_step(steps[migration_id, number])
                self.ledger.refuse(migration_id, new, refusal.record)

    def _take_down(self, stopped: Sequence[StepRow]) -> None:
        """What earlier runs began and could not take down, and this one did not come to finish."""
        if not stopped or not is_ours(self.connection):
            return
        for row in stopped:
            now = self.ledger.latest(row.migration_id)[row.step]
            operation = self._operation_of(row)
            if operation is None or row.undoing or now.status in (*FINISHED, ROLLED_BACK):
                continue
            if not stood_before(self.ledger, row.migration_id, operation):
                made = operation.statements(self._context(row.migration_id))
                for line in self.executor.take_down(made):
                    self.reporter.retrying(line)

    def _operation_of(self, row: StepRow) -> Operation | None:
        """The operation of a step of ours, as its file has it now."""
        for entry in self.timeline.entries:
            operations = entry.migration.operations if entry.migration else ()
            if entry.id == row.migration_id and row.step <= len(operations):
                return as_live(operations[row.step - 1], self.graph)
        return None

    # --- migrations ----------------------------------------------------------------------------

    def _migrations(self, planned: Plan, injected: Injected) -> int:
        """Snapshots surround each migration of ours, and each unbroken stretch of Django's."""
        steps = 0
        stretch = False
        for migration, following in _with_next(planned.migrations):
            started = time.monotonic()
            self.reporter.migration_started(migration)
            if migration.entry.migration:
                if following is None:
                    self.final = FinalModels(self.states, migration.entry.covers)
                ran = self._zanith(migration, injected)
                stretch = False
            else:
                ran = self._django(migration, snapshot=not stretch)
                stretch = following is not None and following.entry.migration is None
                if not stretch:
                    self.graph = live_graph(self.connection)
                    self._snapshot(migration, "after")
            steps += ran
            seconds = time.monotonic() - started
            self.reporter.migration_finished(migration, seconds)
            self.events.migration_applied(migration.id, ran, seconds)
        return steps

    # --- telling -------------------------------------------------------------------------------

    def _retrying(self, words: str) -> None:
        self.events.retrying(words)
        self.reporter.retrying(words)

    def tell_started(self, migration: PlannedMigration, step: PlannedStep) -> None:
        self.reporter.step_started(migration, step)
        self.events.step_started(event(migration, step))

    def tell_finished(self, migration: PlannedMigration, step: PlannedStep, seconds: float) -> None:
        self.reporter.step_finished(migration, step, seconds)
        self.events.step_finished(event(migration, step), seconds)

    @collector.paused()
    def _prepare(self, migration: PlannedMigration, *, snapshot: bool) -> dict[int, StepRow]:
        """One transaction: the `before` snapshot, every step as pending, the first as running."""
        with transaction.atomic(using=self.connection.alias):
            self.ledger.fail_running(migration.id, INTERRUPTED)  # of a run that was killed
            known = self.ledger.latest(migration.id)
            refuse_other_operations(migration, known)
            begun = any(row.status != PENDING for row in known.values())
            if begun and (file := migration.entry.migration):
                self.ledger.follow_edits(migration.id, file.digests)
            if snapshot and not any(has_left(row, migration) for row in known.values()):
                self._snapshot(migration, "before")
            self._add_pending(migration, known)
            rows = self.ledger.latest(migration.id)
            not_here = (ELSEWHERE, SKIPPED)
            elsewhere = {step.number for step in migration.steps if step.status in not_here}
            for row in rows.values():
                if row.step in elsewhere and row.status not in FINISHED:
                    self.ledger.finish(row.id, SKIPPED)
            if elsewhere:
                rows = self.ledger.latest(migration.id)
            numbers = {step.number for step in migration.steps}
            left = (row for row in rows.values() if row.status not in FINISHED)
            first = next((row for row in left if row.step in numbers), None)
            if first and not migration.nothing_left:
                self.ledger.start(first.id)
        return rows

    def _add_pending(self, migration: PlannedMigration, known: dict[int, StepRow]) -> None:
        """Rows for all steps. After an edit, steps that are no more and never ran lose theirs, and
        what Django deferred moves behind the last one."""
        last = len(migration.steps)
        deferred = [row for row in known.values() if row.operation_kind == DEFERRED]
        moved = [row for row in deferred if row.status in LEFT and row.step != last + 1]
        gone = [row for row in known.values() if row.step > last and row not in deferred]
        self.ledger.forget_pending([row.id for row in (*moved, *gone)])
        again = [deferred_step(migration, row.sql) for row in moved]
        self.ledger.add_pending(migration.id, [*map(new_step, migration.steps), *again])

    def _zanith(self, migration: PlannedMigration, injected: Injected) -> int:
        rows = self._prepare(migration, snapshot=True)
        if migration.nothing_left:
            self._skip_all(migration, rows)
            return 0
        context = self._context(migration.id)
        left = [step for step in migration.steps if rows[step.number].status not in FINISHED]
        if len(left) < len(migration.steps):
            count_uncounted(self.ledger, migration.id)
        self._steps(Todo(migration, left, rows, self._anew(migration, rows)), context)
        self._complete(migration, injected)
        return len(left)

    def _context(self, migration_id: str) -> Context:
        return Context(
            server_version=server_version(self.connection),
            schema=self.graph.default_schema,
            graph=self.graph,
            migration_id=migration_id,
        )

    def _anew(self, migration: PlannedMigration, rows: dict[int, StepRow]) -> frozenset[int]:
        """Constraints that an earlier attempt added, and did not come to validate, before they were
        edited: by their names alone they would be taken for those of now. All attempts count: the
        one since the edit may have stopped before it came to anything."""
        again = [
            step
            for step in migration.steps
            if isinstance(step.operation, AddCheck | AddForeignKey)
            and rows[step.number].attempt > 1
        ]
        stopped = [row for row in self.ledger.steps(migration.id) if row.stopped] if again else []
        return frozenset(
            step.number
            for step in again
            if any(row.step == step.number and row.sql != step.sql for row in stopped)
            and not stood_before(self.ledger, migration.id, step.operation)
        )

    def _skip_all(self, migration: PlannedMigration, rows: dict[int, StepRow]) -> None:
        """Django's migrate did the work already."""
        self.states.advance(migration.entry.covers)
        with transaction.atomic(using=self.connection.alias):
            for row in rows.values():
                if row.status not in FINISHED:
                    self.ledger.finish(row.id, SKIPPED)
            self._snapshot(migration, "after")
            self.ledger.record(migration.id)

    def _steps(self, todo: Todo, context: Context) -> None:
        """All steps in turn, quick ones several at a time. While the server works, the next ones
        are made ready."""
        place, ready = 0, list[Ready]()
        while place < len(todo.steps):
            started, ahead = time.monotonic(), list[Ready]()
            self.tell_started(todo.migration, todo.steps[place])
            if not ready:
                with self._failing_at(todo, place):
                    ready = [self.readier.now(todo, place, context)]
            meanwhile = self._meanwhile(todo, place, ready, ahead)
            if len(ready) > 1:
                self._together(todo, place, ready, meanwhile)
            else:
                self._step(todo, place, ready[0], meanwhile)
            self.pace.took(time.monotonic() - started)
            place, context, ready = place + len(ready), ready[-1].after, ahead

    def _meanwhile(
        self, todo: Todo, place: int, ready: Sequence[Ready], ahead: list[Ready]
    ) -> Iterator[None]:
        """What is there to do while `ready` runs: the steps behind it, then the final models."""
        ahead += self.readier.ahead(todo, place + len(ready), ready[-1].after, self.pace.size)
        yield
        try:
            for _ in self.final or ():
                yield
        except Exception:
            self.final = None  # told when it is the turn of all of them

    def _step(
        self, todo: Todo, place: int, ready: Ready, meanwhile: Meanwhile | None = None
    ) -> None:
        """Run one step, which is `running` and told of already."""
        started = time.monotonic()
        with self._failing_at(todo, place):
            self.executor.carry_out(ready.work, meanwhile)
        self.tell_finished(todo.migration, todo.steps[place], time.monotonic() - started)

    def _together(
        self, todo: Todo, place: int, ready: Sequence[Ready], meanwhile: Meanwhile
    ) -> None:
        """Run quick steps together. One that fails runs again by itself, and then those behind it:
        there it waits for its lock, or fails and is told of, as any other step."""
        migration, steps = todo.migration, todo.steps[place : place + len(ready)]

        def describe() -> str:
            return f"{steps[0].operation.describe()}, or one of the quick steps behind it"

        with self._failing(migration, lambda: steps[0].number, describe):
            took = self._times_of(ready, meanwhile)
        for number, (step, seconds) in enumerate(zip(steps, took, strict=True)):
            if number:
                self.tell_started(migration, step)
            if seconds is None:
                self._step(todo, place + number, ready[number])
            else:
                self.tell_finished(migration, step, seconds)

    def _times_of(self, ready: Sequence[Ready], meanwhile: Meanwhile) -> list[float | None]:
        """Send them; how long each took, None for one that is not done. They share the time where
        it is too short to ask the ledger whose it was."""
        works = [each.work for each in ready]
        started = time.monotonic()
        whole = self.executor.together(works, meanwhile)
        seconds = time.monotonic() - started
        if whole and seconds < BLINK:
            return [seconds / len(works)] * len(works)
        known = self.ledger.durations([work.step.row_id for work in works])
        return [known.get(work.step.row_id) for work in works]

    @collector.paused()
    def _complete(self, migration: PlannedMigration, injected: Injected) -> None:
        """One transaction: the `after` snapshot, our record, and Django's of what is covered."""
        self.graph = live_graph(self.connection)
        with transaction.atomic(using=self.connection.alias):
            self._run_injected(migration, injected)
            self._snapshot(migration, "after")
            self.ledger.record(migration.id)
            self.ledger.forget_values(migration.id)
            for key in migration.entry.covers if not migration.adopted else ():
                self._record_covered(key)
        self.states.advance(migration.entry.covers)

    def _record_covered(self, key: Key) -> None:
        if key in self.timeline.loader.disk_migrations:
            record_applied(self.connection, self.timeline.django(key))
        else:  # a squash took its place since; the check at the end settles that one
            MigrationRecorder(self.connection).record_applied(*key)

    def _run_injected(self, migration: PlannedMigration, injected: Injected) -> None:
        """What a pre_migrate receiver added, such as renaming a content type with its model."""
        for operation in injected.get(migration.id, ()):
            label = migration.entry.covers[-1][0]
            with self.connection.schema_editor(atomic=False) as editor:
                state = self.states.current
                operation.database_forwards(label, editor, state, state)

    # --- Django's migrations -------------------------------------------------------------------

    def _django(self, migration: PlannedMigration, *, snapshot: bool) -> int:
        rows = self._prepare(migration, snapshot=snapshot)
        work = _DjangoWork(self, migration, rows)
        with self._failing(migration, lambda: work.number, work.describe):
            work.run()
        set_timeouts(self.connection, conf.statement_timeout)
        return len(migration.steps)

    def _run_python(self, call: PythonCall) -> None:
        key = key_of(call.migration)
        state = self.states.before(key)
        run_python(self.connection, self.timeline.django(key), state, call)

    def _make_default(self, default: Default) -> str:
        if default not in self.defaults:
            migration = self.timeline.django(key_of(default.migration))
            state = self.states.before(key_of(default.migration))
            self.defaults[default] = maker(self.connection, migration, state, default)
        return self.defaults[default]()

    # --- failures ------------------------------------------------------------------------------

    def _failing_at(self, todo: Todo, place: int) -> AbstractContextManager[None]:
        step = todo.steps[place]
        return self._failing(todo.migration, lambda: step.number, step.operation.describe)

    def _failing(
        self,
        migration: PlannedMigration,
        number: Callable[[], int],
        describe: Callable[[], str],
    ) -> AbstractContextManager[None]:
        """Marks the step failed and raises `StepFailed`, whatever went wrong in it."""

        def mark(error: str) -> str:
            row_id = self._mark_failed(migration, number(), error)
            self.reporter.step_failed(migration, split_step_id(row_id)[1], error)
            return row_id

        return failing(self.connection, mark, describe, "zanith_apply")

    def _mark_failed(self, migration: PlannedMigration, number: int, error: str) -> str:
        """`failed` for the culprit; what was rolled back with it is pending again."""
        latest = self.ledger.latest(migration.id)
        running = [row for row in latest.values() if row.status == RUNNING]
        if migration.entry.migration is None:  # Django's: of all in one transaction one is at fault
            for row in running:
                if row.step != number:
                    self.ledger.reset(row.id)
            if number > len(migration.steps) and number not in latest:  # rolled back with its row
                self.ledger.add_pending(migration.id, [deferred_step(migration, "")])
                latest = self.ledger.latest(migration.id)
            running = [row for row in latest.values() if row.step == number]
        for row in running:
            self.ledger.finish(row.id, FAILED, error=error)
        return running[0].id if running else step_id(migration.id, number)

    # --- snapshots and records -----------------------------------------------------------------

    def _snapshot(self, migration: PlannedMigration, phase: str) -> None:
        self.ledger.write_snapshot(migration.id, phase, self.graph, self._about(migration))

    def _about(self, migration: PlannedMigration) -> dict[str, Any]:
        """Who ran it, with which versions, from which file."""
        file = migration.entry.migration
        known = about(self.connection)
        if file is None:
            return known
        path = Path(file.path)
        return known | {
            "file": file.checksum,
            "path": "/".join((file.app_label, path.parent.name, path.name)),
            "steps": list(file.digests),
        }

    def _check_replacements(self) -> None:
        """Mark a squash applied when all that it replaces is, as `migrate` does on every run."""
        recorder = MigrationRecorder(self.connection)
        applied = set(recorder.applied_migrations())
        squashes = self.timeline.loader.replacements
        for key in sorted(squashes, key=lambda key: len(self.timeline.replaced(key))):
            if key not in applied and applied.issuperset(squashes[key].replaces):
                recorder.record_applied(*key)
                applied.add(key)


class _DjangoWork:
    """One Django migration while it runs; knows which of its operations is at work."""

    def __init__(self, run: _Run, migration: PlannedMigration, rows: dict[int, StepRow]) -> None:
        self._run, self.migration, self.rows = run, migration, rows
        self.key = migration.entry.covers[0]
        self.atomic = run.timeline.django(self.key).atomic
        self.steps = {step.number: step for step in migration.steps}
        self.number = min(self.steps, default=0)
        self.begun: set[int] = set()
        self.ended: set[int] = set()
        self.clock = time.monotonic()

    def run(self) -> None:
        """An atomic one is tried again as a whole where a lock is not had in time."""
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
        if number not in self.begun:  # one that is tried again is told of once
            self._run.tell_started(self.migration, self.steps[number])
        self.begun.add(number)
        self.clock = time.monotonic()

    def finish(self, number: int, text: str) -> None:
        if not self.atomic:
            text = f"{text}\n{edit_mark(self.steps[number])}".lstrip()
        self._run.ledger.finish(self.rows[number].id, DONE, ran=text)
        seconds = time.monotonic() - self.clock
        if number not in self.ended:
            self._run.tell_finished(self.migration, self.steps[number], seconds)
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

    def finish_deferred(self, text: str) -> None:
        row = self._deferred()
        assert row is not None
        self._run.ledger.finish(row.id, DONE, ran=text)

    def _deferred(self) -> StepRow | None:
        rows = self._run.ledger.latest(self.migration.id).values()
        return next((row for row in rows if row.operation_kind == DEFERRED), None)

    def skip(self, number: int) -> bool:
        """An earlier run did it already; an atomic migration was rolled back as a whole."""
        return not self.atomic and self.rows[number].status in FINISHED

    def record(self) -> None:
        self._run.ledger.record(self.migration.id)


def _with_next(items: Sequence[_T]) -> Iterator[tuple[_T, _T | None]]:
    following: tuple[_T | None, ...] = (*items, None)
    return zip(items, following[1:], strict=True)

"""Rollback: the newest migrations undone, step by step, by the inverses of their operations."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from zanith_django.diff.differ import SOFT
from zanith_django.exceptions import Blocked, GateRefused, InvalidArgument
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import FAILED, step_id
from zanith_django.ledger.steps import PendingStep
from zanith_django.operations import Operation, Statement
from zanith_django.operations.artifact_ids import undo_maker
from zanith_django.operations.base import Artifact, Context, PythonCall, script
from zanith_django.operations.keep.kept import Restore
from zanith_django.plan import gates
from zanith_django.plan.gates import Refusal
from zanith_django.plan.live_facts import empty_tables, live_context, step_context
from zanith_django.plan.plan import Plan, PlannedStep
from zanith_django.rollback.judged import judged
from zanith_django.rollback.losses import holds_nothing
from zanith_django.rollback.reporter import RollbackOptions, RollbackReporter
from zanith_django.rollback.selection import (
    UndoMigration,
    UndoStep,
    chosen,
    refuse_edited,
    refuse_half_applied,
    refuse_needed,
    staying,
)
from zanith_django.rollback.signals import Signals
from zanith_django.rollback.undo import Planner
from zanith_django.run.audit import (
    INTERRUPTED,
    Outcome,
    about,
    count_kept,
    count_uncounted,
    failing,
    keep,
    mark_failed,
    working_session,
)
from zanith_django.run.details import detail_of
from zanith_django.run.events import Events, StepEvent, reporting_failure
from zanith_django.run.executor import Executor
from zanith_django.run.keeping import clear_note
from zanith_django.run.work import Attempt, Finish
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.django_steps import run_python
from zanith_django.timeline.historical import States
from zanith_django.timeline.project import live_graph, read_timeline
from zanith_django.timeline.timeline import Key, Timeline, key_of

DRY_RUN = "Run zanith_rollback --dry-run to see the whole plan."
NOT_MEANT = "Run it again and answer yes, or add --no-input."


def rollback(
    connection: BaseDatabaseWrapper,
    options: RollbackOptions,
    reporter: RollbackReporter | None = None,
) -> Outcome:
    """Undoes migrations of ours, newest first. A step that cannot be undone is refused before
    anything runs; after a failure or a kill, the same call continues.

    Raises `CannotUndo`, `FileEdited`, `InvalidArgument`, `UnknownMigration`, `StepFailed`.
    """
    reporter = reporter or RollbackReporter()
    if (options.count is None) == (not options.to):
        raise InvalidArgument("Say how far to go back.", "Give --steps N or --to ID.")
    if options.count is not None and options.count < 1:
        raise InvalidArgument("--steps takes a number of migrations from 1 on.")
    events = Events(connection)
    with (
        reporting_failure(events),
        working_session(connection, wait=options.lock_wait, on_wait=reporter.waiting),
    ):
        return _Rollback(connection, options, reporter, events).run()


class _Rollback:
    """One rollback, with the lock held."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        options: RollbackOptions,
        reporter: RollbackReporter,
        events: Events,
    ) -> None:
        self.connection, self.options, self.events = connection, options, events
        self.reporter = reporter
        self.ledger = Ledger(connection)
        self.timeline = read_timeline(connection)
        self.states = States(self.timeline)
        self.details: dict[str, StepDetail] = {}
        self.judged: dict[tuple[str, int], PlannedStep] = {}

    def run(self) -> Outcome:
        started = time.monotonic()
        files = chosen(self.timeline, self.ledger, count=self.options.count, to=self.options.to)
        refuse_edited(self.ledger, files)
        refuse_needed(self.timeline, files)
        refuse_half_applied(self.ledger, files)
        graph = live_graph(self.connection)
        planner = self._planner(graph)
        undone = [*planner.plan(files)]
        self.reporter.staying(staying(self.timeline, self.ledger, files, to=self.options.to))
        aside = [step.operation.target for step in self._keeping(undone, graph.default_schema)]
        if aside:
            self.reporter.setting_aside(aside)
        context = live_context(self.connection, graph)
        planned = judged(self.connection, self.timeline, undone, self._form, context)
        self.judged = {(m.id, step.number): step for m in planned.migrations for step in m.steps}
        refusals = gates.check(planned, self.options.policy)
        if self.options.dry_run:
            self._show(undone, planned, refusals)
            return Outcome(0, 0, 0)
        if refusals:
            raise GateRefused(map(str, refusals), gates.hint(refusals) or DRY_RUN)
        if aside and not self.reporter.may_set_aside():
            raise InvalidArgument("Nothing was rolled back.", NOT_MEANT)
        signals = Signals(self.connection, self.timeline, self.options.verbosity)
        if undone:
            signals.before(undone)
            self._pass_injected(undone, context, signals)
            if self.options.count:
                self.ledger.plan_rollback(self.options.count, [file.id for file in files])
        steps = 0
        for migration in undone:
            # SQL and Python that were undone before may have moved its objects.
            known = migration is undone[0] or not planner.texts
            steps += self._undo(migration if known else self._as_now(migration), signals)
        if undone:
            signals.after(undone)
        self.ledger.end_rollback()
        return Outcome(len(undone), steps, time.monotonic() - started)

    def _planner(self, graph: SchemaGraph) -> Planner:
        softly = self.options.drop == SOFT
        keep_values = self.options.keep_values
        return Planner(self.connection, self.ledger, graph, softly=softly, keep_values=keep_values)

    def _as_now(self, migration: UndoMigration) -> UndoMigration:
        (now,) = self._planner(live_graph(self.connection)).plan([migration.file])
        return now

    def _keeping(self, undone: Iterable[UndoMigration], schema: str) -> Iterator[UndoStep]:
        """Steps that will keep an object, as far as that is known before the rollback."""
        for migration in undone:
            for step in migration.steps:
                loss = step.hard.loses if step.hard else None
                if loss and not holds_nothing(self.connection, loss, schema):
                    yield step

    def _show(
        self, undone: Iterable[UndoMigration], planned: Plan, refusals: Sequence[Refusal]
    ) -> None:
        """Prints the SQL of every step with its risk; exit 1 if a gate refuses it, as in
        zanith_plan."""
        for migration, shown in zip(undone, planned.migrations, strict=True):
            self.reporter.migration_started(migration)
            for step, judged_step in zip(migration.steps, shown.steps, strict=True):
                self.reporter.step_judged(judged_step)
                self.reporter.step_undone(step, judged_step.sql, 0)
        self.reporter.refused(refusals)
        if refusals:
            raise Blocked(len(refusals))

    # --- one migration -------------------------------------------------------------------------

    def _undo(self, migration: UndoMigration, signals: Signals) -> int:
        started = time.monotonic()
        self.reporter.migration_started(migration)
        context = self._context(migration, live_graph(self.connection))
        executor = Executor(
            self.connection,
            self.ledger,
            call_python=self._call_python,
            on_progress=self.reporter.progress,
            on_retry=self.reporter.retrying,
        )
        left = [step for step in migration.steps if not step.undone]
        if len(left) < len(migration.steps):
            count_uncounted(self.ledger, migration.id)
        self._describe(migration, left)
        for step in left:
            if step.stopped:
                self._retreat(migration, step, executor, context)
                context = self._context(migration, live_graph(self.connection))
            else:
                context = self._step(migration, step, executor, context)
        self._complete(migration, signals)
        seconds = time.monotonic() - started
        self.events.migration_applied(migration.id, len(left), seconds, backwards=True)
        return len(left)

    def _context(self, migration: UndoMigration, graph: SchemaGraph) -> Context:
        return step_context(self.connection, graph, migration.id)

    def _form(self, step: UndoStep, context: Context) -> tuple[Context, Operation | None]:
        """The reverse of the step in the current database. Kept objects get a name of this
        attempt."""
        inverse = step.inverse
        loss = step.hard.loses if step.hard else None
        if loss and holds_nothing(self.connection, loss, context.schema):
            inverse = step.hard
        if inverse:
            empty = empty_tables(self.connection, context.schema, inverse.tables)
            context = dataclasses.replace(context, empty=empty)
            if inverse.artifact(context):
                maker = undo_maker(step.row.id)
                context = dataclasses.replace(context, migration_id=maker)
        return context, inverse

    def _retreat(
        self, migration: UndoMigration, step: UndoStep, executor: Executor, context: Context
    ) -> None:
        """Removes the objects of a step that stopped in the middle. Its row stays as it is until
        the last object is removed: until then apply may still finish the step."""
        started = time.monotonic()
        row = step.row
        event = self._event(migration, step)
        self.events.step_started(event)
        text = script(step.retreat)
        new = self._row(step, row.operation_kind, text)

        def another() -> str:
            """Adds the row of this attempt when it has ended."""
            seconds = time.monotonic() - started
            return self.ledger.add_attempt(migration.id, new, seconds)

        def mark(error: str) -> str:
            with transaction.atomic(using=self.connection.alias):
                self.ledger.fail_running(migration.id, INTERRUPTED)  # of a run that was killed
                row_id = another()
                self.ledger.finish(row_id, FAILED, error=error)
            return row_id

        def done() -> None:
            self.ledger.fail_running(migration.id, INTERRUPTED)
            self.ledger.finish_undoing(another(), row, text)

        describe = f"undo: {step.operation.describe()}"
        with failing(self.connection, mark, lambda: describe, "zanith_rollback"):
            run = Attempt(row.id, migration.id, context.schema, resumed=True)
            executor.run(run, step.retreat, Finish(call=done))
        seconds = time.monotonic() - started
        self.reporter.step_undone(step, text, seconds)
        self.events.step_finished(event, seconds)

    def _describe(self, migration: UndoMigration, left: Sequence[UndoStep]) -> None:
        """Stores the details of each attempt of this rollback beside those of the undone
        attempts."""
        self.details = {
            step.next_id: self._detail(step, step.inverse, step.retreat) for step in left
        }
        self.ledger.add_details(migration.id, self.details)

    def _step(
        self, migration: UndoMigration, step: UndoStep, executor: Executor, context: Context
    ) -> Context:
        """Undoes one step; returns the context of the next one."""
        started = time.monotonic()
        row_id = self._begin(step)
        event = self._event(migration, step)
        self.events.step_started(event)
        text = ""
        mark = mark_failed(self.ledger, row_id)
        with failing(
            self.connection,
            mark,
            lambda: f"undo: {step.operation.describe()}",
            "zanith_rollback",
        ):
            seen, inverse = self._form(step, context)
            statements = inverse.statements(seen) if inverse else ()
            text = script(statements)
            self.details[row_id] = self._detail(step, inverse, statements)
            run = Attempt(
                # Backfills of a rollback have checkpoints of their own.
                step_id(f"{migration.id}:rollback", step.row.step),
                migration.id,
                context.schema,
                resumed=step.begun,
            )
            made = inverse.artifact(seen) if inverse else None
            finish = Finish(
                call=lambda: self._finish(row_id, step, made, context, text),
                after=lambda: count_kept(self.ledger, made) if made else None,
            )
            executor.run(run, statements, finish)
        seconds = time.monotonic() - started
        self.reporter.step_undone(step, text, seconds)
        self.events.step_finished(event, seconds)
        graph = inverse.apply_to(context.graph) if inverse else context.graph
        return dataclasses.replace(context, graph=graph)

    def _event(self, migration: UndoMigration, step: UndoStep) -> StepEvent:
        verdict = self.judged[migration.id, step.row.step]
        level, score = str(verdict.level), verdict.score
        return StepEvent(migration.id, step.row.step, step.operation, level, score, backwards=True)

    def _detail(
        self, step: UndoStep, inverse: Operation | None, statements: Iterable[Statement]
    ) -> StepDetail:
        verdict = self.judged[step.row.migration_id, step.row.step]
        return detail_of(
            inverse or step.operation,
            statements,
            reasons=verdict.assessment.reasons,
            estimate=verdict.duration,
            undoes=step.row.id,
        )

    def _begin(self, step: UndoStep) -> str:
        """Adds a row for this attempt; the row of the step stays as it is."""
        row = step.row
        with transaction.atomic(using=self.connection.alias):
            self.ledger.fail_running(row.migration_id, INTERRUPTED)  # of a run that was killed
            return self.ledger.start_undoing(row, self._row(step, step.kind))

    def _row(self, step: UndoStep, kind: str, text: str = "") -> PendingStep:
        """The row of the attempt. Its level is that of the reverse, not that of the undone step."""
        verdict = self.judged[step.row.migration_id, step.row.step]
        return PendingStep(step.row.step, kind, text, str(verdict.level), verdict.score)

    def _finish(
        self,
        row_id: str,
        step: UndoStep,
        made: Artifact | None,
        context: Context,
        text: str,
    ) -> None:
        """Records, in the transaction of the last statements, the undone step and the new and
        restored artifacts."""
        if step.artifact and step.inverse:
            self.ledger.expire_artifacts([step.artifact.id])
        if step.artifact and isinstance(step.inverse, Restore):
            clear_note(self.connection, step.inverse, context.schema)
        if made:
            keep(self.ledger, step.row.migration_id, made, context.schema)
        self.ledger.finish_undoing(row_id, step.row, text)

    def _pass_injected(
        self, undone: Sequence[UndoMigration], context: Context, signals: Signals
    ) -> None:
        """Asks the gates again if receivers of pre_migrate added operations."""
        if not any(signals.injected.values()):
            return
        every = (self.connection, self.timeline, undone, self._form, context, signals.injected)
        if refusals := gates.check(judged(*every), self.options.policy):
            raise GateRefused(map(str, refusals), gates.hint(refusals) or gates.INJECTED)

    def _complete(self, migration: UndoMigration, signals: Signals) -> None:
        """Deletes, in one transaction, our record and Django's; the snapshots stay and name the
        rollback."""
        with transaction.atomic(using=self.connection.alias):
            signals.undo_injected(migration)
            by = about(self.connection)
            if not self.ledger.run_of(migration.id, "before"):  # otherwise no row stores the user
                self.ledger.write_snapshot(migration.id, "before", live_graph(self.connection), by)
            self.ledger.put_back(migration.id, by)
            self.ledger.add_details(migration.id, self.details)
            if migration.whole:
                self.ledger.forget_checkpoints(migration.id)
            else:  # later the remaining rows of a column get the value that its first rows have
                self.ledger.forget_progress(migration.id)
            for key in reversed(migration.covers) if migration.whole else ():
                self._unrecord(key)

    def _unrecord(self, key: Key) -> None:
        """Deletes Django's record of a migration, and that of a squash that is no longer
        complete."""
        recorder = MigrationRecorder(self.connection)
        recorder.record_unapplied(*key)
        for replaced in self.timeline.replaced(key):
            recorder.record_unapplied(*replaced)
        for name in self.timeline.loader.replacements:
            if key in self.timeline.replaced(name):
                recorder.record_unapplied(*name)

    def _call_python(self, call: PythonCall) -> None:
        key = key_of(call.migration)
        state = _past_state(self.timeline, key)
        run_python(self.connection, self.timeline.django(key), state, call)


def _past_state(timeline: Timeline, key: Key) -> ProjectState:
    """The project state just before one migration."""
    loader = timeline.loader
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for earlier in timeline.before(key):
        if earlier in loader.applied_migrations and earlier in loader.disk_migrations:
            state = timeline.django(earlier).mutate_state(state, preserve=False)
    return state

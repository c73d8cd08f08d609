"""The state that one run of apply works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from zanith_django.apply.reporter import ApplyReporter
from zanith_django.apply.rows import (
    deferred_step,
    event,
)
from zanith_django.ledger.details import StepDetail, spelled
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import (
    FAILED,
    RUNNING,
    split_step_id,
    step_id,
)
from zanith_django.operations.base import Context, Default, PythonCall
from zanith_django.plan.live_facts import step_context
from zanith_django.plan.observed import Observed
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.postgres.names import TableName
from zanith_django.run.audit import (
    about,
    failing,
)
from zanith_django.run.django_signals import (
    FinalModels,
)
from zanith_django.run.events import Events
from zanith_django.run.executor import Executor
from zanith_django.run.observer import Observer
from zanith_django.run.ready import TOGETHER, Pace, Readier
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.defaults import maker
from zanith_django.timeline.django_steps import run_python
from zanith_django.timeline.historical import States
from zanith_django.timeline.project import live_graph, read_timeline
from zanith_django.timeline.timeline import key_of


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The limits of a run; None takes the setting. `count` and `to` stop early; without `gated`, on
    a shadow, no gate is asked. `occupied` are tables that count as populated although they are
    empty here: those with rows in the live database. `observed` has the effects of steps on a
    shadow. `graph` is the schema, if it has been read: on a shadow no other session changes it.
    """

    count: int | None = None
    to: str = ""
    max_risk: int | None = None
    allow_destructive: bool | None = None
    fail_on: tuple[str, ...] | None = None
    lock_wait: float | None = None
    verified: str = ""
    preflight: bool = True
    gated: bool = True
    verbosity: int = 1
    occupied: tuple[str, ...] = ()
    observed: Mapping[str, Observed] = field(default_factory=dict)
    graph: SchemaGraph | None = None


class RunState:
    """The timeline, the ledger, the executor, and the receivers of its reports."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        options: ApplyOptions,
        reporter: ApplyReporter,
        events: Events,
        observer: Observer,
    ) -> None:
        self.connection, self.options, self.events = connection, options, events
        self.reporter, self.observer = reporter, observer
        self.ledger = Ledger(connection)
        self.ledger.ensure()
        MigrationRecorder(connection).ensure_schema()
        self.timeline = read_timeline(connection)
        self.states = States(self.timeline)
        self.graph = options.graph or live_graph(connection)
        self.final: FinalModels | None = None
        self.home = ""  # the migration whose snapshot stores the details of steps
        self.defaults: dict[Default, Callable[[], str]] = {}
        self.executor = Executor(
            connection,
            self.ledger,
            call_python=self._run_python,
            make_default=self._make_default,
            on_progress=reporter.progress,
            on_retry=self._retrying,
            observer=observer,
        )
        occupied = map(TableName.of, options.occupied)
        self.readier = Readier(connection, self.ledger, self.executor, occupied)
        self.pace = Pace(1 if events.awaited else TOGETHER)

    def context(self, migration_id: str) -> Context:
        return step_context(self.connection, self.graph, migration_id)

    def _retrying(self, words: str) -> None:
        self.events.retrying(words)
        self.reporter.retrying(words)

    def step_started(self, migration: PlannedMigration, step: PlannedStep) -> None:
        self.reporter.step_started(migration, step)
        self.events.step_started(event(migration, step))
        self.observer.begin(migration.id, step.number, step)

    def step_finished(self, migration: PlannedMigration, step: PlannedStep, seconds: float) -> None:
        self.reporter.step_finished(migration, step, seconds)
        self.events.step_finished(event(migration, step), seconds)

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

    def failing(
        self,
        migration: PlannedMigration,
        number: Callable[[], int],
        describe: Callable[[], str],
    ) -> AbstractContextManager[None]:
        """Turns any error of a step into `StepFailed`, and marks the step as failed."""

        def mark(error: str) -> str:
            row_id = self._mark_failed(migration, number(), error)
            self.reporter.step_failed(migration, split_step_id(row_id)[1], error)
            return row_id

        return failing(self.connection, mark, describe, "zanith_apply")

    def _mark_failed(self, migration: PlannedMigration, number: int, error: str) -> str:
        """Marks the failed step; steps that were rolled back with it become pending again."""
        latest = self.ledger.latest(migration.id)
        running = [row for row in latest.values() if row.status == RUNNING]
        if (
            migration.entry.migration is None
        ):  # a Django migration: only one operation of the transaction failed
            for row in running:
                if row.step != number:
                    self.ledger.reset(row.id)
            if (
                number > len(migration.steps) and number not in latest
            ):  # its row was rolled back too
                self.ledger.add_pending(migration.id, [deferred_step(migration, "")])
                latest = self.ledger.latest(migration.id)
            running = [row for row in latest.values() if row.step == number]
        for row in running:
            self.ledger.finish(row.id, FAILED, error=error)
        return running[0].id if running else step_id(migration.id, number)

    def snapshot(
        self,
        migration: PlannedMigration,
        phase: str,
        details: Mapping[str, StepDetail] | None = None,
    ) -> None:
        run = self._about(migration)
        if details:
            run |= {"details": spelled(details)}
        self.ledger.write_snapshot(migration.id, phase, self.graph, run)

    def _about(self, migration: PlannedMigration) -> dict[str, Any]:
        """The user, the versions and the file of the run."""
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

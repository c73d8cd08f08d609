"""Rollback: the newest migrations undone, step by step, by the inverses of their operations."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.apps import apps as registry
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from zanith_django import gates
from zanith_django.audit import about, failing, keep, working_session
from zanith_django.backfill import Progress
from zanith_django.django_signals import final_apps
from zanith_django.django_steps import States, run_python
from zanith_django.exceptions import CannotUndo, FileEdited, InvalidArgument
from zanith_django.execute import Executor, StepRun
from zanith_django.ledger import (
    DONE,
    FAILED,
    ROLLED_BACK,
    RUNNING,
    SKIPPED,
    ArtifactRow,
    Ledger,
    StepRow,
    step_id,
)
from zanith_django.migration import DJANGO_PREFIX, LoadedMigration
from zanith_django.operations import (
    AddColumn,
    AddGeneratedColumn,
    CreateTable,
    Operation,
    RestoreColumn,
    RestoreTable,
    RunPython,
    Statement,
)
from zanith_django.operations.base import Context, PythonCall
from zanith_django.plan import empty_tables
from zanith_django.project import live_graph, read_timeline
from zanith_django.recover import PREFIX, blocked
from zanith_django.run_lock import check_held
from zanith_django.schema.graph import SchemaGraph, TableName
from zanith_django.session import server_version
from zanith_django.timeline import APPLIED, Entry, Key, Timeline, django_order, dotted, key_of


@dataclass(frozen=True, slots=True)
class Options:
    """How far to go back: the newest `count` migrations, or all that are newer than `to`."""

    count: int | None = None
    to: str = ""
    dry_run: bool = False
    lock_wait: float | None = None
    verbosity: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rollback did."""

    migrations: int
    steps: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UndoStep:
    """One step to undo. `inverse` None has nothing left to do: what it wrote goes with a column
    or table of the same migration, or was brought back already."""

    row: StepRow
    operation: Operation
    inverse: Operation | None
    artifact: ArtifactRow | None = None


@dataclass(frozen=True, slots=True)
class UndoMigration:
    """One migration to undo, its steps from the last to the first."""

    file: LoadedMigration
    steps: tuple[UndoStep, ...]

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def covers(self) -> tuple[Key, ...]:
        return tuple(map(key_of, self.file.covers))


class Reporter:
    """Hears what happens while it happens. This one keeps silent; faces override it."""

    def waiting(self, holder: str) -> None:
        """Another run holds the lock."""

    def retrying(self, words: str) -> None:
        """A lock was not had in time."""

    def progress(self, progress: Progress) -> None:
        """A batch of rows is written."""

    def migration_started(self, migration: UndoMigration) -> None:
        """Its last step is about to be undone."""

    def step_undone(self, step: UndoStep, sql: str, seconds: float) -> None:
        """The step is `rolled_back`; in a dry run, it would be."""


def rollback(
    connection: BaseDatabaseWrapper, options: Options, reporter: Reporter | None = None
) -> Outcome:
    """Undo migrations of ours, newest first. What cannot be undone is refused before anything
    runs; after a failure or a kill the same call goes on where it stopped.

    Raises `CannotUndo`, `FileEdited`, `InvalidArgument`, `UnknownMigration`, `StepFailed`.
    """
    told = reporter or Reporter()
    if (options.count is None) == (not options.to):
        raise InvalidArgument("Say how far to go back.", "Give --steps N or --to ID.")
    if options.count is not None and options.count < 1:
        raise InvalidArgument("--steps takes a number of migrations from 1 on.")
    with working_session(connection, wait=options.lock_wait, on_wait=told.waiting):
        return _Run(connection, options, told).run()


class _Run:
    """One rollback, with the lock held."""

    def __init__(
        self, connection: BaseDatabaseWrapper, options: Options, reporter: Reporter
    ) -> None:
        self.connection, self.options, self.reporter = connection, options, reporter
        self.ledger = Ledger(connection)
        self.timeline = read_timeline(connection)
        self.states = States(self.timeline)

    def run(self) -> Outcome:
        started = time.monotonic()
        files = chosen(self.timeline, self.ledger, self.options)
        refuse_edited(self.ledger, files)
        refuse_needed(self.timeline, files)
        refuse_half_applied(self.ledger)
        graph = live_graph(self.connection)
        undone = [*_Planner(self.connection, self.ledger, graph).plan(files)]
        if self.options.dry_run:
            self._show(undone, graph)
            return Outcome(0, 0, 0)
        signals = _Signals(self.connection, self.timeline, self.options.verbosity)
        if undone:
            signals.before(undone)
        steps = sum(self._undo(migration, signals) for migration in undone)
        if undone:
            signals.after(undone)
        return Outcome(len(undone), steps, time.monotonic() - started)

    def _show(self, undone: Iterable[UndoMigration], graph: SchemaGraph) -> None:
        for migration in undone:
            self.reporter.migration_started(migration)
            context = self._context(migration, graph)
            for step in migration.steps:
                statements = step.inverse.statements(context) if step.inverse else ()
                self.reporter.step_undone(step, "\n".join(f"{s.sql};" for s in statements), 0)
                if step.inverse:
                    graph = step.inverse.apply_to(graph)
                    context = dataclasses.replace(context, graph=graph)

    # --- one migration -------------------------------------------------------------------------

    def _undo(self, migration: UndoMigration, signals: _Signals) -> int:
        self.reporter.migration_started(migration)
        context = self._context(migration, live_graph(self.connection))
        executor = Executor(
            self.connection,
            self.ledger,
            call_python=self._call_python,
            on_progress=self.reporter.progress,
            on_retry=self.reporter.retrying,
            before_work=lambda: check_held(self.connection),
        )
        left = [step for step in migration.steps if step.row.status != ROLLED_BACK]
        for step in left:
            context = self._step(migration, step, executor, context)
        self._complete(migration, signals)
        return len(left)

    def _context(self, migration: UndoMigration, graph: SchemaGraph) -> Context:
        return Context(
            server_version=server_version(self.connection),
            schema=graph.default_schema,
            graph=graph,
            migration_id=migration.id,
        )

    def _step(
        self, migration: UndoMigration, step: UndoStep, executor: Executor, context: Context
    ) -> Context:
        """Undo one step; returns what the next one may know."""
        started = time.monotonic()
        row, inverse = step.row, step.inverse
        self.ledger.start(row.id)
        text = ""
        with failing(self.ledger, row.id, f"undo: {step.operation.describe()}", "zanith_rollback"):
            statements: tuple[Statement, ...] = ()
            if inverse:
                empty = empty_tables(self.connection, context.schema, inverse.tables)
                context = dataclasses.replace(context, empty=empty)
                statements = inverse.statements(context)
            text = "\n".join(f"{statement.sql};" for statement in statements)
            run = StepRun(
                # Backfills of the way back count for themselves.
                step_id(f"{migration.id}:rollback", row.step),
                migration.id,
                context.schema,
                resumed=row.status in (RUNNING, FAILED),
            )
            executor.run(run, statements, lambda: self._finish(migration, step, context, text))
        self.reporter.step_undone(step, text, time.monotonic() - started)
        graph = inverse.apply_to(context.graph) if inverse else context.graph
        return dataclasses.replace(context, graph=graph)

    def _finish(
        self, migration: UndoMigration, step: UndoStep, context: Context, text: str
    ) -> None:
        """In the transaction of the last statements: the step, and artifacts that come and go."""
        if step.artifact and step.inverse:
            self.ledger.expire_artifact(step.artifact.id)
        made = step.inverse.artifact(context) if step.inverse else None
        if made:
            keep(self.ledger, migration.id, made, context.schema)
        ran = step.row.sql.partition(_UNDONE)[0]
        self.ledger.finish(step.row.id, ROLLED_BACK, sql=f"{ran}{_UNDONE}{text}")

    def _complete(self, migration: UndoMigration, signals: _Signals) -> None:
        """One transaction: our record and Django's go; the schema of now is the one before."""
        graph = live_graph(self.connection)
        with transaction.atomic(using=self.connection.alias):
            signals.undo_injected(migration)
            self.ledger.forget(migration.id)
            self.ledger.forget_checkpoints(migration.id)
            self.ledger.forget_snapshot(migration.id, "after")
            run = about(self.connection) | {"rolled_back": True}
            self.ledger.write_snapshot(migration.id, "before", graph, run)
            for key in reversed(migration.covers):
                self._unrecord(key)

    def _unrecord(self, key: Key) -> None:
        """Django's record of a migration; with it that of a squash that is no longer whole."""
        recorder = MigrationRecorder(self.connection)
        recorder.record_unapplied(*key)
        for name, squash in self.timeline.loader.replacements.items():
            if key == name:
                for replaced in squash.replaces:
                    recorder.record_unapplied(*replaced)
            elif key in squash.replaces:
                recorder.record_unapplied(*name)

    def _call_python(self, call: PythonCall) -> None:
        past = _PastStates(self.timeline, key_of(call.migration))
        run_python(self.connection, past, call)


_UNDONE = "\n-- rolled back by:\n"


class _PastStates(States):
    """The project state as it was just before one migration."""

    def __init__(self, timeline: Timeline, key: Key) -> None:
        super().__init__(timeline)
        loader = timeline.loader
        state = ProjectState(real_apps=loader.unmigrated_apps)
        for earlier in django_order(loader):
            if earlier == key:
                break
            if earlier in loader.applied_migrations:
                state = timeline.django(earlier).mutate_state(state, preserve=False)
        self._state = state


# --- which migrations ----------------------------------------------------------------------------


def chosen(timeline: Timeline, ledger: Ledger, options: Options) -> list[LoadedMigration]:
    """The files to undo, newest first, by the time when they were applied."""
    applied = list(ledger.applied())
    if options.to:
        wanted = timeline.find(options.to)
        if wanted.state != APPLIED:
            raise InvalidArgument(
                f"{wanted.id} is not applied.", "Run zanith_status --all to see what is."
            )
        if wanted.id not in applied:
            raise InvalidArgument(
                f"{wanted.id} was applied by Django before zanith took over.",
                "Name a migration that zanith applied: zanith_history lists them.",
            )
        applied = applied[applied.index(wanted.id) + 1 :]
    ours = [name for name in reversed(applied) if not name.startswith((DJANGO_PREFIX, PREFIX))]
    known = {entry.id: entry.migration for entry in timeline.entries if entry.migration}
    files = []
    for name in ours[: options.count]:
        file = known.get(name)
        if file is None:
            raise CannotUndo(
                name, "its file is gone", "Bring the file back from version control first."
            )
        files.append(file)
    return files


def refuse_edited(ledger: Ledger, files: Iterable[LoadedMigration]) -> None:
    """The inverses come from the files: they must be what ran."""
    for refusal in gates.integrity(ledger, files):
        raise FileEdited(refusal.migration, refusal.message)


def refuse_needed(timeline: Timeline, files: Sequence[LoadedMigration]) -> None:
    """Nothing that stays applied may stand on what is undone."""
    undone = {file.id for file in files}
    keys = {key_of(name) for file in files for name in file.covers}
    standing = {
        key: entry
        for entry in timeline.entries
        if entry.state == APPLIED and entry.id not in undone
        for key in entry.covers
    }
    for key in sorted(keys & timeline.loader.graph.nodes.keys()):
        for other in timeline.loader.graph.backwards_plan(key):
            if (other[0], other[1]) in standing:
                raise _needed(key, (other[0], other[1]), standing[other[0], other[1]])
    names = undone | set(map(dotted, keys))
    for entry in timeline.entries:
        if entry.migration and entry.state == APPLIED and entry.id not in undone:
            needs = names.intersection(entry.migration.requires)
            if needs:
                raise _still(needs.pop(), entry.id, f"zanith_rollback --to {entry.id} undoes less.")


def _needed(key: Key, other: Key, entry: Entry) -> CannotUndo:
    if entry.migration:
        hint = "Roll it back as well: count it in with --steps, or go further back with --to."
        return _still(dotted(key), entry.id, hint)
    previous = f"manage.py migrate {other[0]} <the one before {other[1]}>"
    return _still(dotted(key), entry.id, f"Undo that one first, with Django: {previous}.")


def _still(name: str, other: str, hint: str) -> CannotUndo:
    return CannotUndo(name, f"{other}, which is applied, stands on it", hint)


def refuse_half_applied(ledger: Ledger) -> None:
    """A migration that stopped in the middle stands on all that is applied."""
    applied = ledger.applied()
    newest = {(row.migration_id, row.step): row for row in ledger.steps()}
    for row in newest.values():
        if row.migration_id not in applied and row.status in (DONE, RUNNING):
            raise CannotUndo(
                "What is applied",
                f"{row.migration_id} stopped half way and stands on it",
                "Mend the cause and run zanith_apply to finish it first.",
            )


# --- what undoes them ----------------------------------------------------------------------------


class _Planner:
    """Finds the inverse of every step, or refuses; keeps what the schema will be by then."""

    def __init__(self, connection: BaseDatabaseWrapper, ledger: Ledger, graph: SchemaGraph) -> None:
        self.connection, self.ledger, self.graph = connection, ledger, graph
        self.artifacts = {row.id: row for row in ledger.artifacts()}

    def plan(self, files: Iterable[LoadedMigration]) -> Iterator[UndoMigration]:
        for file in files:
            rows = self.ledger.latest(file.id)
            numbered = [*enumerate(file.operations, 1)]
            steps = [self._step(file, rows, n, operation) for n, operation in reversed(numbered)]
            yield UndoMigration(file, tuple(steps))

    def _step(
        self,
        file: LoadedMigration,
        rows: Mapping[int, StepRow],
        number: int,
        operation: Operation,
    ) -> UndoStep:
        row = rows.get(number)
        name = step_id(file.id, number)
        if row is None:
            raise CannotUndo(name, "the ledger has no record of it")
        if row.status == SKIPPED:
            raise self._adopted(file, name)
        if row.status == ROLLED_BACK:
            return UndoStep(row, operation, None)
        context = Context(schema=self.graph.default_schema, graph=self.graph, migration_id=file.id)
        inverse = operation.inverse()
        if inverse is None or "irreversible" in operation.reasons(context):
            if not _goes_with(operation, file.operations[: number - 1]):
                raise CannotUndo(name, *_why_not(operation))
            return UndoStep(row, operation, None)
        artifact = self._artifact(operation, context)
        if isinstance(inverse, RestoreColumn | RestoreTable):
            if artifact is None:
                raise CannotUndo(name, "the ledger has no artifact of it")
            if self._back_already(artifact, inverse):
                return UndoStep(row, operation, None, artifact)
            self._refuse_blocked(name, artifact, inverse, begun=row.status in (RUNNING, FAILED))
        self.graph = inverse.apply_to(self.graph)
        return UndoStep(row, operation, inverse, artifact)

    def _adopted(self, file: LoadedMigration, name: str) -> CannotUndo:
        label = file.app_label
        return CannotUndo(
            name,
            "Django's own migrate did its work, and zanith only recorded that",
            f"Undo it with Django: manage.py migrate {label} <the one before>.",
        )

    def _artifact(self, operation: Operation, context: Context) -> ArtifactRow | None:
        made = operation.artifact(context)
        return self.artifacts.get(made.id) if made else None

    def _back_already(self, artifact: ArtifactRow, inverse: RestoreColumn | RestoreTable) -> bool:
        """zanith_recover brought it back before."""
        if artifact.expires_at is None:
            return False
        if isinstance(inverse, RestoreTable):
            there = inverse.table.name in self.graph
        else:
            table = self.graph.table(inverse.table)
            there = bool(table and table.column(inverse.column.name))
        if not there:
            raise CannotUndo(
                artifact.id, "what it kept was purged", "Only a backup can bring it back."
            )
        return True

    def _refuse_blocked(
        self,
        name: str,
        artifact: ArtifactRow,
        inverse: RestoreColumn | RestoreTable,
        *,
        begun: bool,
    ) -> None:
        why = blocked(self.connection, artifact, inverse, self.graph, begun=begun)
        if why:
            raise CannotUndo(
                name,
                why,
                f"zanith_recover inspect {artifact.target} shows what is kept, "
                f"zanith_recover export {artifact.target} saves it.",
            )


def _goes_with(operation: Operation, earlier: Sequence[Operation]) -> bool:
    """Does what it wrote go with a column or table that the same migration made?"""
    made: set[TableName] = {item.table.name for item in earlier if isinstance(item, CreateTable)}
    columns = {item.target for item in earlier if isinstance(item, AddColumn | AddGeneratedColumn)}
    in_new_tables = bool(operation.tables) and made.issuperset(operation.tables)
    return operation.target in columns or in_new_tables


def _why_not(operation: Operation) -> tuple[str, str]:
    """(why, what to do instead)."""
    if isinstance(operation, RunPython):
        return f"{operation.description or 'its code'} has no reverse", (
            f"Give the operation of {operation.migration} a reverse, or write a new migration."
        )
    if operation.inverse() is None:
        return f"{operation.kind} has no opposite", "Write a new migration that puts it right."
    return f"{operation.kind} took its data away for good", (
        "Restore the data from a backup; zanith_recover list shows what soft drops keep."
    )


# --- Django's signals ----------------------------------------------------------------------------


class _Signals:
    """pre_migrate and post_migrate, sent as `migrate` sends them when it goes back."""

    def __init__(self, connection: BaseDatabaseWrapper, timeline: Timeline, verbosity: int) -> None:
        self.connection, self.timeline, self.verbosity = connection, timeline, verbosity
        self.states = States(timeline)
        self.injected: dict[str, list[DjangoMigrationOperation]] = {}

    def before(self, undone: Sequence[UndoMigration]) -> None:
        """Receivers may add operations to what they are shown: such as the renaming of a content
        type with its model."""
        shown: list[tuple[str, DjangoMigration, DjangoMigration]] = []
        for migration in undone:
            for original in self._known(migration):
                copied = copy.copy(original)
                copied.operations = list(original.operations)  # type: ignore[misc]  # as Django does
                shown.append((migration.id, original, copied))
        emit_pre_migrate_signal(
            self.verbosity,
            False,
            self.connection.alias,
            apps=self.states.current.apps if shown else registry,
            plan=[(copied, True) for _, _, copied in shown],
        )
        for migration_id, original, copied in shown:
            known = set(map(id, original.operations))
            new = [operation for operation in copied.operations if id(operation) not in known]
            self.injected.setdefault(migration_id, []).extend(new)

    def undo_injected(self, migration: UndoMigration) -> None:
        for operation in reversed(self.injected.get(migration.id, [])):
            with self.connection.schema_editor(atomic=False) as editor:
                state = self.states.current
                label = migration.covers[-1][0]
                operation.database_backwards(label, editor, state, state)

    def after(self, undone: Sequence[UndoMigration]) -> None:
        """With all models as they are now."""
        plan = [(m, True) for migration in undone for m in self._known(migration)]
        models = final_apps(States(read_timeline(self.connection))) if plan else registry
        emit_post_migrate_signal(
            self.verbosity, False, self.connection.alias, apps=models, plan=plan
        )

    def _known(self, migration: UndoMigration) -> list[DjangoMigration]:
        """Those that still exist, newest first: a squash may have taken the place of some."""
        nodes = self.timeline.loader.graph.nodes
        return [self.timeline.django(key) for key in reversed(migration.covers) if key in nodes]

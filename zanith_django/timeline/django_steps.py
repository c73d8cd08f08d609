"""Django's own migrations, run step by step under our ledger with their own atomicity."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState, StateApps

from zanith_django.exceptions import DeferredChanged, InconsistentRecord
from zanith_django.operations.base import PythonCall
from zanith_django.operations.data import WHOLE
from zanith_django.schema import collector
from zanith_django.timeline.concurrent_indexes import resuming_editor
from zanith_django.timeline.timeline import Key, Timeline, django_order, dotted

# A data migration may run a statement a row: the ledger keeps the first ones and counts the rest.
KEPT_STATEMENTS = 100


class RenderedApps(StateApps):
    """The models of a state. Django empties the caches of all registries behind each model that it
    renders, and then looks through the project's own for each foreign key: a thousand models take
    three times as long. Here they are emptied when all are rendered."""

    def clear_cache(self) -> None:
        if self.ready:
            super().clear_cache()


class States:
    """Django's project state as it moves along the timeline; made when it is first asked for."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._state: ProjectState | None = None
        self._applied: set[Key] = set()

    @property
    def current(self) -> ProjectState:
        """The state with every applied migration in it, in the order of Django's plan."""
        if self._state is None:
            loader = self.timeline.loader
            state = ProjectState(real_apps=loader.unmigrated_apps)
            for key in django_order(loader):
                if key in loader.applied_migrations:
                    try:
                        state = self.timeline.django(key).mutate_state(state, preserve=False)
                    except LookupError as error:
                        raise self._inconsistent(key) or error from error
                    self._hold(key)
            self._state = state
        return self._state

    def _inconsistent(self, key: Key) -> InconsistentRecord | None:
        loader = self.timeline.loader
        parents = [(label, name) for label, name in loader.graph.forwards_plan(key)]
        missing = [parent for parent in parents if parent not in loader.applied_migrations]
        return InconsistentRecord(dotted(key), dotted(missing[0])) if missing else None

    def rendered(self) -> Any:
        """The models of the current state."""
        _render(self.current)
        return self.current.apps

    def advance(self, keys: Sequence[Key]) -> None:
        """These migrations were done by other means: the state moves past them."""
        if self._state is None or not keys:
            return
        # Rendered classes would be kept up to date at every step: cheaper to render again.
        self._state.__dict__.pop("apps", None)
        self._state = self._moved(self._state, keys)
        for key in keys:
            self._hold(key)

    def after(self, keys: Sequence[Key]) -> ProjectState:
        """The state behind these migrations too; the current one stays as it is."""
        now = self.current
        copied = ProjectState({k: model.clone() for k, model in now.models.items()}, now.real_apps)
        return self._moved(copied, keys)

    def before(self, key: Key) -> ProjectState:
        """The state just before a migration that is about to run; one file may cover several."""
        now = self.current
        missing = [other for other in self.timeline.before(key) if not self._holds(other)]
        return self.after(missing) if missing else now.clone()

    def _moved(self, state: ProjectState, keys: Sequence[Key]) -> ProjectState:
        """`state` behind those of the migrations that exist and are not in it yet."""
        known = (self.timeline.behind(key) for key in keys)
        for migration in dict.fromkeys(filter(None, known)):
            if not self._holds((migration.app_label, migration.name)):
                state = migration.mutate_state(state, preserve=False)
        return state

    def _hold(self, key: Key) -> None:
        self._applied.add(key)
        migration = self.timeline.behind(key)
        if migration:
            known = (migration.app_label, migration.name)
            self._applied.update((known, *self.timeline.replaced(known)))

    def _holds(self, key: Key) -> bool:
        """Itself, or, of a squash, all that it replaces."""
        parts = self.timeline.replaced(key)
        return key in self._applied or bool(parts and self._applied.issuperset(parts))

    def taken(self) -> ProjectState:
        """A copy to run operations on. It has the rendered models, the current one no more: what
        operations do to them cannot be undone."""
        state = self.current
        rendered = state.__dict__.pop("apps", None)
        copied = state.clone()
        if rendered:
            copied.apps = rendered
        return copied

    def passed(self, key: Key, state: ProjectState) -> None:
        """Django ran this migration and left this state."""
        self._state = state
        self._hold(key)


@contextmanager
def captured_sql(connection: BaseDatabaseWrapper, into: list[str]) -> Iterator[None]:
    """Collects the SQL that runs meanwhile, as text without its parameters."""

    def keep(execute: Any, text: Any, params: Any, many: bool, context: Any) -> Any:
        if len(into) < KEPT_STATEMENTS:
            into.append(str(text))
        elif len(into) == KEPT_STATEMENTS:
            into.append("-- ... and more")
        return execute(text, params, many, context)

    with connection.execute_wrapper(keep):
        yield


class Listener(Protocol):
    """Is told how far a Django migration is, inside of its one transaction where it is atomic."""

    def start(self, number: int) -> None:
        """The operation of this number is about to run."""

    def finish(self, number: int, text: str) -> None:
        """It ran, as this SQL."""

    def kept(self) -> str | None:
        """What the ledger says is left for the end, to be compared and never run; None where an
        earlier run came to its end. Only of a migration that is not atomic."""

    def keep(self, text: str) -> None:
        """This SQL is left for the end as things stand. Told as `kept` is asked."""

    def start_deferred(self, text: str) -> None:
        """The SQL that the schema editor kept for the end is about to run."""

    def finish_deferred(self, text: str) -> None:
        """It ran."""

    def skip(self, number: int) -> bool:
        """Did an earlier run do the operation already? Only of a migration that is not atomic."""

    def retrying(self, number: int, attempt: Callable[[], None]) -> None:
        """Makes the attempt of an operation, which is a transaction of its own, until its locks
        are had. Only of a migration that is not atomic."""

    def record(self) -> None:
        """The migration is at its end; Django's record is written in the same transaction."""


def run_django_migration(
    connection: BaseDatabaseWrapper, states: States, key: Key, told: Listener
) -> None:
    """Run one Django migration operation by operation, as Django's Migration.apply does; one with
    an `apply` of its own is one step."""
    migration = states.timeline.django(key)
    state = states.taken()  # a failure must leave the one before
    _render(state)
    steps = _itself if has_own_apply(migration) else _one_by_one
    own = connection.schema_editor() if migration.atomic else resuming_editor(connection)
    with own as editor:
        state = steps(migration, state, editor, told)
        _run_deferred(editor, told)
        with transaction.atomic(using=connection.alias):
            record_applied(connection, migration)
            told.record()
    states.passed(key, state)


def _one_by_one(
    migration: DjangoMigration,
    state: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    told: Listener,
) -> ProjectState:
    """Run the operations of a migration; the state behind it."""
    skipped = False
    for number, operation in enumerate(migration.operations, 1):
        if isinstance(operation, RunPython) and not does_nothing(operation):
            _render_whole(state)
        old = state.clone()
        operation.state_forwards(migration.app_label, state)
        if told.skip(number):
            _defer_again(migration, operation, old, state, editor)
            skipped = True
            continue
        if skipped:
            _keep_rest(migration, editor, told)
            skipped = False
        told.start(number)
        run = partial(_one, migration, number, operation, old, state, editor, told)
        if _has_own_transaction(migration, operation):
            told.retrying(number, run)
        else:
            run()
    if skipped:
        _keep_rest(migration, editor, told)
    return state


def _defer_again(
    migration: DjangoMigration,
    operation: DjangoMigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
) -> None:
    """Have an operation that is done say what it leaves for the end, without running anything.
    One that looks for what it has removed fails, and leaves nothing."""
    inner = reaching_database(operation)
    if not all(_is_plain(each) and not isinstance(each, _OPAQUE) for each in inner):
        return
    editor.collect_sql, editor.collected_sql = True, []
    try:
        with suppress(ValueError, DatabaseError):
            operation.database_forwards(migration.app_label, editor, old, new)
    finally:
        editor.collect_sql = False


def _keep_rest(
    migration: DjangoMigration, editor: BaseDatabaseSchemaEditor, told: Listener
) -> None:
    """Of what the operations that are done leave for the end, an earlier run may have done the
    beginning: what the ledger says is left must be the rest."""
    kept, statements = told.kept(), list(editor.deferred_sql)
    places = range(len(statements) + (not kept))
    rests = [statements[place:] for place in places if _text(statements[place:]) == (kept or "")]
    if kept is not None and (not rests or (statements and not kept)):
        raise DeferredChanged(f"{migration.app_label}.{migration.name}")
    editor.deferred_sql[:] = rests[0] if kept is not None else []


def _one(
    migration: DjangoMigration,
    number: int,
    operation: DjangoMigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    told: Listener,
) -> None:
    """Run one operation, together with what the ledger says of it where that is possible."""
    own = _has_own_transaction(migration, operation)
    deferred, ran = list(editor.deferred_sql), list[str]()
    try:
        with transaction.atomic(editor.connection.alias) if own else nullcontext():
            with captured_sql(editor.connection, ran):
                if not does_nothing(operation):
                    operation.database_forwards(migration.app_label, editor, old, new)
            told.finish(number, ";\n".join(ran))
            if not migration.atomic:
                told.keep(_text(editor.deferred_sql))
    except BaseException:
        editor.deferred_sql[:] = deferred
        raise


def _itself(
    migration: DjangoMigration,
    state: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    told: Listener,
) -> ProjectState:
    """Let a migration apply itself, as Django would; the state that it leaves."""
    if told.skip(1):
        if told.kept():  # only its own code knows what it left for the end
            raise DeferredChanged(f"{migration.app_label}.{migration.name}")
        return migration.mutate_state(state, preserve=False)
    told.start(1)
    ran: list[str] = []
    with captured_sql(editor.connection, ran):
        state = migration.apply(state, editor)
    told.finish(1, ";\n".join(ran))
    return state


def has_own_apply(migration: DjangoMigration) -> bool:
    """Does its class say what applying it means? Its operations may never run."""
    return type(migration).apply is not DjangoMigration.apply


def can_go_back(migration: DjangoMigration) -> bool:
    """Of a migration that applies itself: is there a way back?"""
    own = type(migration).unapply is not DjangoMigration.unapply
    return own or all(operation.reversible for operation in migration.operations)


def reaching_database(operation: DjangoMigrationOperation) -> list[DjangoMigrationOperation]:
    """What of it reaches the database."""
    if isinstance(operation, SeparateDatabaseAndState):
        return list(operation.database_operations)
    return [operation]


def is_data_step(operation: DjangoMigrationOperation) -> bool:
    """Works on data, or is of a class that only its author knows."""
    return any(
        isinstance(inner, RunPython | RunSQL)
        or not type(inner).__module__.startswith(_KNOWN_MODULES)
        for inner in reaching_database(operation)
    )


_KNOWN_MODULES = ("django.db.migrations.operations", "django.contrib.postgres.operations")


def title(operation: DjangoMigrationOperation) -> str:
    """What a data step is called: RunPython by its function."""
    named = getattr(operation.code, "__name__", "") if isinstance(operation, RunPython) else ""
    return named or operation.describe()


def texts(migration: DjangoMigration, position: int) -> Iterator[str | None]:
    """What code of its author the operation at `position` runs (0: the whole migration), as far as
    it can be read: SQL, or the source of Python; None for what cannot be read."""
    if has_own_apply(migration):
        yield None
    for number, operation in enumerate(migration.operations, 1):
        if position in (number, 0):
            for inner in reaching_database(operation):
                yield from _texts(inner)


def _texts(operation: DjangoMigrationOperation) -> Iterator[str | None]:
    if does_nothing(operation):
        return
    if isinstance(operation, RunSQL):
        yield str(operation.sql)
    elif isinstance(operation, RunPython):
        try:
            yield inspect.getsource(operation.code)
        except (OSError, TypeError):
            yield None
    elif is_data_step(operation):
        yield None


def does_nothing(operation: DjangoMigrationOperation) -> bool:
    """Is it a `noop`? Django renders all models for that of RunPython, too."""
    if isinstance(operation, RunPython):
        return operation.code is RunPython.noop
    return isinstance(operation, RunSQL) and not operation.sql


@collector.paused()
def _render(state: ProjectState) -> None:
    """Django renders once, before the first migration, and keeps the classes up to date."""
    if "apps" not in state.__dict__:
        state.apps = RenderedApps(sorted(state.real_apps), state.models)
        state.is_delayed = False


@collector.paused()
def _render_whole(state: ProjectState) -> None:
    """As Django has all models before it runs Python. Behind a change that it delays, it renders
    every model again, those of apps without migrations too, which no migration changes."""
    _render(state)
    if state.is_delayed:
        state.reload_models(list(state.models))
        state.is_delayed = False


# Those of django.contrib.postgres are others: some of them build indexes concurrently.
_PLAIN_OPERATIONS = "django.db.migrations.operations."
_OPAQUE = (RunPython, RunSQL, SeparateDatabaseAndState)


def _has_own_transaction(migration: DjangoMigration, operation: DjangoMigrationOperation) -> bool:
    """Of a migration that is not atomic: does this operation run in a transaction? It may ask for
    one; and those of Django that only change tables have one from us, so that none is half done
    when a runner is killed."""
    return not migration.atomic and bool(
        operation.atomic or (_is_plain(operation) and not isinstance(operation, _OPAQUE))
    )


def _is_plain(operation: DjangoMigrationOperation) -> bool:
    return type(operation).__module__.startswith(_PLAIN_OPERATIONS)


def _run_deferred(editor: BaseDatabaseSchemaEditor, told: Listener) -> None:
    """What the editor would run on leaving, run while we can still record it; each statement by
    itself where the migration is not atomic."""
    statements = list(editor.deferred_sql)
    if not statements:
        return
    told.start_deferred(_text(statements))
    for number, statement in enumerate(statements, 1):
        if editor.atomic_migration:
            editor.execute(statement, None)
            continue
        with transaction.atomic(editor.connection.alias):
            editor.execute(statement, None)
            if statements[number:]:
                told.keep(_text(statements[number:]))
            else:
                told.finish_deferred(_text(statements))
    editor.deferred_sql.clear()
    if editor.atomic_migration:
        told.finish_deferred(_text(statements))


def _text(statements: Sequence[object]) -> str:
    return ";\n".join(map(str, statements))


def record_applied(connection: BaseDatabaseWrapper, migration: DjangoMigration) -> None:
    """Django's own record; of a squash also what it replaces, as Django does."""
    recorder = MigrationRecorder(connection)
    applied = recorder.applied_migrations()
    names = [(migration.app_label, migration.name), *migration.replaces]
    for app_label, name in names:
        if (app_label, name) not in applied:
            recorder.record_applied(app_label, name)


def run_python(
    connection: BaseDatabaseWrapper,
    migration: DjangoMigration,
    state: ProjectState,
    call: PythonCall,
) -> None:
    """Run one data step of a Django migration with the historical models of exactly that point;
    at position `WHOLE` a migration that applies itself. `state` is the one before the migration.

    Runs inside the transaction that is open, if one is, so that the step and its `done` commit
    together.
    """
    label = migration.app_label
    if call.position == WHOLE:
        with connection.schema_editor(atomic=connection.in_atomic_block) as editor:
            (migration.unapply if call.backwards else migration.apply)(state, editor)
        return
    for operation in migration.operations[: call.position - 1]:
        operation.state_forwards(label, state)
    operation = migration.operations[call.position - 1]
    if isinstance(operation, RunPython):
        _render(state)
    after = state.clone()
    operation.state_forwards(label, after)
    with connection.schema_editor(atomic=connection.in_atomic_block) as editor:
        if call.backwards:
            operation.database_backwards(label, editor, after, state)
        else:
            operation.database_forwards(label, editor, state, after)

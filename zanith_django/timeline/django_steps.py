"""Django's own migrations, run step by step under our ledger with their own atomicity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from zanith_django.exceptions import DeferredChanged
from zanith_django.operations.base import PythonCall
from zanith_django.operations.data import WHOLE
from zanith_django.timeline.concurrent_indexes import resuming_editor
from zanith_django.timeline.django_kinds import (
    does_nothing,
    has_own_apply,
    has_own_transaction,
    is_transactional,
    reaching_database,
)
from zanith_django.timeline.extension_types import learn_types
from zanith_django.timeline.historical import States, render_state, render_whole
from zanith_django.timeline.timeline import Key

# A data migration may run a statement per row: the ledger stores the first ones and counts the
# others.
KEPT_STATEMENTS = 100


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
    """Receives the events of a Django migration, within its transaction if it is atomic."""

    def start(self, number: int) -> None:
        """The operation with this number is about to run."""

    def finish(self, number: int, text: str) -> None:
        """The operation ran this SQL."""

    def kept(self) -> str | None:
        """The deferred SQL in the ledger, to be compared and never run; None if an earlier run
        finished it. Only for a migration that is not atomic."""

    def keep(self, text: str) -> None:
        """This SQL is deferred at this point. Called for the same migrations as `kept`."""

    def observed(self) -> AbstractContextManager[None]:
        """The statements that run within belong to the operation, or to the deferred SQL."""

    def start_deferred(self, text: str) -> None:
        """The deferred SQL of the schema editor is about to run."""

    def finish_deferred(self, text: str) -> None:
        """The deferred SQL ran."""

    def skip(self, number: int) -> bool:
        """Did an earlier run finish the operation? Only for a migration that is not atomic."""

    def retrying(self, number: int, attempt: Callable[[], None]) -> None:
        """Attempts an operation, which has its own transaction, until it acquires its locks. Only
        for a migration that is not atomic."""

    def record(self) -> None:
        """The migration has finished; Django's record is written in the same transaction."""


def run_django_migration(
    connection: BaseDatabaseWrapper, states: States, key: Key, listener: Listener
) -> None:
    """Run one Django migration operation by operation, as Django's Migration.apply does; one with
    an `apply` of its own is one step."""
    migration = states.timeline.django(key)
    state = states.taken()  # after a failure the previous state must remain
    render_state(state)
    steps = _itself if has_own_apply(migration) else _one_by_one
    own = connection.schema_editor() if migration.atomic else resuming_editor(connection)
    with own as editor:
        state = steps(migration, state, editor, listener)
        _run_deferred(editor, listener)
        with transaction.atomic(using=connection.alias):
            record_applied(connection, migration)
            listener.record()
    states.passed(key, state)


def _one_by_one(
    migration: DjangoMigration,
    state: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    listener: Listener,
) -> ProjectState:
    """Run the operations of a migration; returns the state after it."""
    skipped = False
    for number, operation in enumerate(migration.operations, 1):
        if isinstance(operation, RunPython) and not does_nothing(operation):
            render_whole(state)
        old = state.clone()
        operation.state_forwards(migration.app_label, state)
        if listener.skip(number):
            _defer_again(migration, operation, old, state, editor)
            skipped = True
            continue
        if skipped:
            _keep_rest(migration, editor, listener)
            skipped = False
        listener.start(number)
        run = partial(_one, migration, number, operation, old, state, editor, listener)
        if has_own_transaction(migration, operation):
            listener.retrying(number, run)
        else:
            run()
    if skipped:
        _keep_rest(migration, editor, listener)
    return state


def _defer_again(
    migration: DjangoMigration,
    operation: MigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
) -> None:
    """Collect the SQL that a finished operation defers, without running anything. An operation
    that looks up an object that it has removed fails, and defers nothing."""
    if not all(map(is_transactional, reaching_database(operation))):
        return
    editor.collect_sql, editor.collected_sql = True, []
    try:
        with suppress(ValueError, DatabaseError):
            operation.database_forwards(migration.app_label, editor, old, new)
    finally:
        editor.collect_sql = False


def _keep_rest(
    migration: DjangoMigration, editor: BaseDatabaseSchemaEditor, listener: Listener
) -> None:
    """An earlier run may have run the first deferred statements of the finished operations: the
    deferred SQL in the ledger must be the others."""
    kept, statements = listener.kept(), list(editor.deferred_sql)
    places = range(len(statements) + (not kept))
    rests = [statements[place:] for place in places if _text(statements[place:]) == (kept or "")]
    if kept is not None and (not rests or (statements and not kept)):
        raise DeferredChanged(f"{migration.app_label}.{migration.name}")
    editor.deferred_sql[:] = rests[0] if kept is not None else []


def _one(
    migration: DjangoMigration,
    number: int,
    operation: MigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    listener: Listener,
) -> None:
    """Run one operation, in one transaction with its ledger row if that is possible."""
    own = has_own_transaction(migration, operation)
    deferred, ran = list(editor.deferred_sql), list[str]()
    try:
        with transaction.atomic(editor.connection.alias) if own else nullcontext():
            with captured_sql(editor.connection, ran), listener.observed():
                if not does_nothing(operation):
                    operation.database_forwards(migration.app_label, editor, old, new)
            listener.finish(number, ";\n".join(ran))
            if not migration.atomic:
                listener.keep(_text(editor.deferred_sql))
    except BaseException:
        editor.deferred_sql[:] = deferred
        raise


def _itself(
    migration: DjangoMigration,
    state: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    listener: Listener,
) -> ProjectState:
    """Let a migration apply itself, as Django would; returns the state after it."""
    if listener.skip(1):
        if listener.kept():  # only its own code knows its deferred SQL
            raise DeferredChanged(f"{migration.app_label}.{migration.name}")
        return migration.mutate_state(state, preserve=False)
    listener.start(1)
    ran: list[str] = []
    with captured_sql(editor.connection, ran), listener.observed():
        state = migration.apply(state, editor)
    listener.finish(1, ";\n".join(ran))
    return state


def _run_deferred(editor: BaseDatabaseSchemaEditor, listener: Listener) -> None:
    """Run the editor's deferred SQL before the editor exits, so that it can be recorded; each
    statement in its own transaction if the migration is not atomic."""
    statements = list(editor.deferred_sql)
    if not statements:
        return
    listener.start_deferred(_text(statements))
    for number, statement in enumerate(statements, 1):
        if editor.atomic_migration:
            with listener.observed():
                editor.execute(statement, None)
            continue
        with transaction.atomic(editor.connection.alias):
            with listener.observed():
                editor.execute(statement, None)
            if statements[number:]:
                listener.keep(_text(statements[number:]))
            else:
                listener.finish_deferred(_text(statements))
    editor.deferred_sql.clear()
    if editor.atomic_migration:
        listener.finish_deferred(_text(statements))


def _text(statements: Sequence[object]) -> str:
    return ";\n".join(map(str, statements))


def record_applied(connection: BaseDatabaseWrapper, migration: DjangoMigration) -> None:
    """Write Django's own record; for a squash also its replaced migrations, as Django does."""
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
    at position `WHOLE` a migration that applies itself. `state` is the state before the migration.

    Runs inside the open transaction, if there is one, so that the step and its `done` commit
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
        learn_types(connection)
        render_state(state)
    after = state.clone()
    operation.state_forwards(label, after)
    with connection.schema_editor(atomic=connection.in_atomic_block) as editor:
        if call.backwards:
            operation.database_backwards(label, editor, after, state)
        else:
            operation.database_forwards(label, editor, state, after)

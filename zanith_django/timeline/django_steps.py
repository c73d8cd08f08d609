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
    OPAQUE,
    does_nothing,
    has_own_apply,
    has_own_transaction,
    is_plain,
    reaching_database,
)
from zanith_django.timeline.historical import States, render_state, render_whole
from zanith_django.timeline.timeline import Key

# A data migration may run a statement a row: the ledger keeps the first ones and counts the rest.
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

    def observed(self) -> AbstractContextManager[None]:
        """What runs meanwhile belongs to the operation, or to the SQL that was kept for the end."""

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
    render_state(state)
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
            render_whole(state)
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
        if has_own_transaction(migration, operation):
            told.retrying(number, run)
        else:
            run()
    if skipped:
        _keep_rest(migration, editor, told)
    return state


def _defer_again(
    migration: DjangoMigration,
    operation: MigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
) -> None:
    """Have an operation that is done say what it leaves for the end, without running anything.
    One that looks for what it has removed fails, and leaves nothing."""
    inner = reaching_database(operation)
    if not all(is_plain(each) and not isinstance(each, OPAQUE) for each in inner):
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
    operation: MigrationOperation,
    old: ProjectState,
    new: ProjectState,
    editor: BaseDatabaseSchemaEditor,
    told: Listener,
) -> None:
    """Run one operation, together with what the ledger says of it where that is possible."""
    own = has_own_transaction(migration, operation)
    deferred, ran = list(editor.deferred_sql), list[str]()
    try:
        with transaction.atomic(editor.connection.alias) if own else nullcontext():
            with captured_sql(editor.connection, ran), told.observed():
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
    with captured_sql(editor.connection, ran), told.observed():
        state = migration.apply(state, editor)
    told.finish(1, ";\n".join(ran))
    return state


def _run_deferred(editor: BaseDatabaseSchemaEditor, told: Listener) -> None:
    """What the editor would run on leaving, run while we can still record it; each statement by
    itself where the migration is not atomic."""
    statements = list(editor.deferred_sql)
    if not statements:
        return
    told.start_deferred(_text(statements))
    for number, statement in enumerate(statements, 1):
        if editor.atomic_migration:
            with told.observed():
                editor.execute(statement, None)
            continue
        with transaction.atomic(editor.connection.alias):
            with told.observed():
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
        render_state(state)
    after = state.clone()
    operation.state_forwards(label, after)
    with connection.schema_editor(atomic=connection.in_atomic_block) as editor:
        if call.backwards:
            operation.database_backwards(label, editor, after, state)
        else:
            operation.database_forwards(label, editor, state, after)

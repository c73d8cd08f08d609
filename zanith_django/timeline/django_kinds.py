"""The kinds of operations in Django's migrations: data steps, SQL, operations without effect."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from django.contrib.contenttypes.management import RenameContentType
from django.contrib.postgres.operations import NotInTransactionMixin
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation as MigrationOperation


def has_own_apply(migration: DjangoMigration) -> bool:
    """Does the class of the migration define `apply()` itself? Its operations may never run."""
    return type(migration).apply is not DjangoMigration.apply


def can_go_back(migration: DjangoMigration) -> bool:
    """Can a migration that applies itself be reversed?"""
    own = type(migration).unapply is not DjangoMigration.unapply
    return own or all(operation.reversible for operation in migration.operations)


def reaching_database(operation: MigrationOperation) -> list[MigrationOperation]:
    """The parts of it that reach the database, at every depth."""
    if isinstance(operation, SeparateDatabaseAndState):
        return [
            part for inner in operation.database_operations for part in reaching_database(inner)
        ]
    return [operation]


def is_data_step(operation: MigrationOperation) -> bool:
    """Does it work on data, or is it of a class that is not Django's?"""
    return any(
        isinstance(inner, RunPython | RunSQL) or not is_djangos(inner)
        for inner in reaching_database(operation)
    )


_KNOWN_MODULES = ("django.db.migrations.operations", "django.contrib.postgres.operations")


def title(operation: MigrationOperation) -> str:
    """The name of a data step: that of its function for RunPython."""
    named = getattr(operation.code, "__name__", "") if isinstance(operation, RunPython) else ""
    return named or operation.describe()


def texts(migration: DjangoMigration, position: int) -> Iterator[str | None]:
    """The author's code that the operation at `position` runs (0: the whole migration): SQL or
    Python source; None for code that cannot be read."""
    if has_own_apply(migration):
        yield None
    for number, operation in enumerate(migration.operations, 1):
        if position in (number, 0):
            for inner in reaching_database(operation):
                yield from _texts(inner)


def _texts(operation: MigrationOperation) -> Iterator[str | None]:
    if is_harmless(operation):
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


def does_nothing(operation: MigrationOperation) -> bool:
    """Is it a `noop`? Django renders all models for that of RunPython, too. A class that runs in
    its own way may do something."""
    forwards = type(operation).database_forwards
    if forwards is RunPython.database_forwards:
        return isinstance(operation, RunPython) and operation.code is RunPython.noop
    if forwards is not RunSQL.database_forwards:
        return False
    return isinstance(operation, RunSQL) and not operation.sql


def is_harmless(operation: MigrationOperation) -> bool:
    """Is there nothing to judge in it? Its reverse may be another matter."""
    return does_nothing(operation) or follows_rename(operation)


def follows_rename(operation: MigrationOperation) -> bool:
    """Did Django's receiver of pre_migrate add it after a RenameModel? It changes one row by its
    key, or none, also in reverse."""
    return type(operation) is RenameContentType


def reverse_does_nothing(operation: MigrationOperation) -> bool:
    """Is its reverse a `noop`, though it does something itself?"""
    if does_nothing(operation):
        return False
    if isinstance(operation, RunPython):
        return operation.reverse_code is RunPython.noop
    return isinstance(operation, RunSQL) and operation.reverse_sql in ("", [], ())


_OPAQUE = (RunPython, RunSQL, SeparateDatabaseAndState)


def has_own_transaction(migration: DjangoMigration, operation: MigrationOperation) -> bool:
    """Does this operation of a non-atomic migration run in its own transaction? It may request one,
    and zanith gives one to Django's operations that only change tables, so that none is half done
    after a kill."""
    inner = reaching_database(operation)
    return not migration.atomic and bool(operation.atomic or all(map(is_transactional, inner)))


def is_transactional(operation: MigrationOperation) -> bool:
    """May it run in a transaction of its own? Django's kinds may, except concurrent index builds.
    Code of an author may not: there may be a reason for `atomic = False`."""
    return is_djangos(operation) and not isinstance(operation, (*_OPAQUE, NotInTransactionMixin))


def is_djangos(operation: MigrationOperation) -> bool:
    return type(operation).__module__.startswith(_KNOWN_MODULES)

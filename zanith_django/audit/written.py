"""Details of steps from the migration's file, or from Django's migration. The ledger has none if a
gate refused the step or an older release recorded it."""

from __future__ import annotations

import functools
from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation

from zanith_django.exceptions import ZanithError
from zanith_django.files.files import folder_of, load
from zanith_django.files.migration import DJANGO_PREFIX, LoadedMigration
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.step_rows import split_step_id
from zanith_django.operations import Operation


def written(row_id: str) -> StepDetail | None:
    """The details in the file; None if it has none or cannot be read."""
    migration_id, number, _ = split_step_id(row_id)
    if migration_id.startswith(DJANGO_PREFIX):
        return _django(migration_id.removeprefix(DJANGO_PREFIX), number)
    file = file_of(migration_id)
    if file is None or not 0 < number <= len(file.operations):
        return None
    return _of(file.operations[number - 1])


def file_of(migration_id: str) -> LoadedMigration | None:
    """The migration from its current file."""
    for config in apps.get_app_configs():
        try:
            path = folder_of(config) / f"{migration_id}.py"
            if path.parent.is_dir() and path.name in _names(
                path.parent, path.parent.stat().st_mtime
            ):
                return _loaded(path, config.label, path.stat().st_mtime)
        except (ZanithError, OSError, ValueError):  # the row may be one that another user wrote
            continue
    return None


@functools.lru_cache(maxsize=100)
def _names(folder: Path, changed: float) -> frozenset[str]:
    """The files of a folder, cached by the time of its last change: a row of the ledger can name no
    other file."""
    return frozenset(path.name for path in folder.iterdir())


@functools.lru_cache(maxsize=200)
def _loaded(path: Path, label: str, changed: float) -> LoadedMigration:
    return load(path, label)


def _of(operation: Operation) -> StepDetail:
    tables = tuple(map(str, operation.tables))
    return StepDetail(operation.target, operation.describe(), tables=tables)


def _django(name: str, number: int) -> StepDetail | None:
    label, _, migration = name.partition(".")
    operation = _operations(label, migration)[number - 1 : number] if number > 0 else ()
    if not operation:
        return None
    table = _table(label, operation[0])
    tables = (table,) if table else ()
    return StepDetail(
        table or f"{name}#{number}", f"Django: {operation[0].describe()}", tables=tables
    )


@functools.lru_cache(maxsize=200)
def _operations(label: str, name: str) -> tuple[DjangoMigrationOperation, ...]:
    """The operations of a migration of an installed app, by its name."""
    try:
        package, _ = MigrationLoader.migrations_module(label)
        found = import_module(f"{package}.{name}") if package and _is_plain(name) else None
    except (ImportError, LookupError, ValueError):
        return ()
    return tuple(getattr(getattr(found, "Migration", None), "operations", ()))


def _is_plain(name: str) -> bool:
    """Is it the name of a module in this package: digits, letters and underscores?"""
    return bool(name) and name.replace("_", "").isalnum()


def _table(label: str, operation: DjangoMigrationOperation) -> str:
    """The current table of the model that an operation names."""
    model = getattr(operation, "model_name", None) or getattr(operation, "name", None)
    try:
        return str(apps.get_model(label, str(model))._meta.db_table)
    except (LookupError, ValueError):
        return ""

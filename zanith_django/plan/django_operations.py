"""Django's operations as steps of a plan."""

from __future__ import annotations

from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.operations import DjangoOperation
from zanith_django.timeline.django_kinds import (
    can_go_back,
    does_nothing,
    is_harmless,
    reaching_database,
)
from zanith_django.timeline.django_tables import DjangoTables
from zanith_django.timeline.timeline import dotted


def django_operation(
    operation: MigrationOperation,
    key: tuple[str, str],
    position: int,
    tables: DjangoTables,
) -> DjangoOperation:
    """An operation of a Django migration as a value; `tables` moves past it."""
    inner = _inner(operation)
    name = "" if inner is None or isinstance(inner, RunPython | RunSQL) else _model_name(inner)
    table = tables.table(key[0], name)
    moves = tables.take(key[0], operation)
    return DjangoOperation(
        migration=dotted(key),
        position=position,
        operation=type(inner or operation).__name__,
        description=operation.describe(),
        table=table or tables.table(key[0], name),
        reversible=operation.reversible,
        state_only=inner is None or is_harmless(inner),
        model=_model(inner, key[0]) if inner else "",
        moves=moves,
    )


def applying_itself(migration: DjangoMigration, key: tuple[str, str]) -> DjangoOperation:
    return DjangoOperation(
        migration=dotted(key),
        position=1,
        operation="apply",
        description="apply() of its own",
        reversible=can_go_back(migration),
    )


def _inner(operation: MigrationOperation) -> MigrationOperation | None:
    """The operation that reaches the database: of SeparateDatabaseAndState the first such."""
    parts = reaching_database(operation)
    return next((part for part in parts if not does_nothing(part)), next(iter(parts), None))


def _model_name(operation: MigrationOperation) -> str:
    name = getattr(operation, "model_name", "") or ""
    if not name and getattr(operation, "old_name", None) and not hasattr(operation, "model_name"):
        return str(getattr(operation, "old_name", ""))
    return str(name or (getattr(operation, "name", "") or ""))


def _model(operation: MigrationOperation, app_label: str) -> str:
    if isinstance(operation, RunPython | RunSQL):
        return ""
    name = _model_name(operation)
    return f"{app_label}.{name}" if name else ""

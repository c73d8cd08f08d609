"""The value that existing rows get in a column, as Django's AddField and AlterField give it."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterOrderWithRespectTo,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ProjectState
from django.db.models import Field

from zanith_django.diff.differ import Fill
from zanith_django.exceptions import DefaultGone
from zanith_django.operations.base import Default
from zanith_django.timeline.extension_types import learn_types
from zanith_django.timeline.states import render
from zanith_django.timeline.timeline import Key, dotted

_CONSTANTS = (bool, bytes, dict, float, int, list, str, tuple)
"""Callables that always return the same value."""

Filling = AddField | AlterField | AlterOrderWithRespectTo
"""Operations of Django that give existing rows a value."""


def fill_of(
    connection: BaseDatabaseWrapper,
    migration: DjangoMigration,
    operation: Filling,
    bound: Any,
) -> Fill | None:
    """The value that this operation writes to existing rows of the field `bound`, which is of the
    state after it; None if it writes nothing. A constant, and a random UUID for each row of a
    unique field, is SQL. For another callable the result is its place in the migration: it is
    called when the step runs. So is a value of a type that the release's extension adds.
    """
    if isinstance(operation, AlterOrderWithRespectTo):
        return Fill("0")
    if isinstance(operation, AlterField) and operation.field.null:
        return None
    if getattr(bound, "generated", False):
        return None
    if bound.has_db_default():
        return Fill(by_database=True)
    given, each = operation.field, _is_unique(bound)
    if each and given.default is uuid.uuid4:
        return Fill("gen_random_uuid()")
    if _is_called(given):
        return Fill(default=_default(migration, operation, each))
    try:
        value = _literal(connection, bound, given)
    except psycopg.ProgrammingError:  # the type's extension does not exist yet
        return Fill(default=_default(migration, operation, each))
    return None if value is None else Fill(value)


def maker(
    connection: BaseDatabaseWrapper,
    migration: DjangoMigration,
    state: ProjectState,
    default: Default,
) -> Callable[[], str]:
    """A function that calls a default and returns its value as SQL. `state` is the one before the
    migration. Raises `DefaultGone`."""
    operation = filling_at(migration, default)
    state.__dict__.pop("apps", None)  # rendered models would follow each operation
    for passed in _until(migration.operations, (default.position, *default.within)):
        passed.state_forwards(migration.app_label, state)
    key: Key = (migration.app_label, operation.model_name_lower)
    (model,) = render(state, [key])
    bound = model._meta.get_field(operation.name)
    learn_types(connection)
    return lambda: _literal(connection, bound, operation.field) or "NULL"


def filling_at(migration: DjangoMigration, default: Default) -> AddField | AlterField:
    """The operation whose field has this default. Raises `DefaultGone`."""
    found: Any = migration
    place = (default.position, *default.within)
    for number, position in enumerate(place):
        inner: Sequence[MigrationOperation] = (
            getattr(found, "database_operations", ()) if number else migration.operations
        )
        found = inner[position - 1] if 0 < position <= len(inner) else None
    if isinstance(found, AddField | AlterField) and _has_value(found.field):
        return found
    now = f"is {found.describe()!r} now" if found else "does not exist"
    raise DefaultGone(f"{default.migration}#{'.'.join(map(str, place))}", now)


def _until(operations: Sequence[Any], place: tuple[int, ...]) -> Iterator[MigrationOperation]:
    """The operations up to this place that move the state of the tables."""
    position, *within = place
    yield from operations[: position - 1]
    last = operations[position - 1]
    if within:
        yield from _until(last.database_operations, tuple(within))
    else:
        yield last


def _default(migration: DjangoMigration, operation: AddField | AlterField, each: bool) -> Default:
    position, *within = _place(migration.operations, operation) or (0,)
    return Default(
        migration=dotted((migration.app_label, migration.name)),
        position=position,
        within=tuple(within),
        calls=_name_of(operation.field),
        each=each,
    )


def _place(operations: Sequence[Any], wanted: MigrationOperation) -> tuple[int, ...]:
    """The operation's place: its position, and those inside SeparateDatabaseAndState."""
    for position, operation in enumerate(operations, 1):
        if operation is wanted:
            return (position,)
        inside = getattr(operation, "database_operations", ())
        if inner := _place(inside, wanted):
            return (position, *inner)
    return ()


def _name_of(field: Field[Any, Any]) -> str:
    """The callable for people: its dotted path, or its description."""
    made = field.default if field.has_default() else _now
    while isinstance(made, functools.partial):
        made = made.func
    named = made if hasattr(made, "__qualname__") else type(made)
    return f"{named.__module__}.{named.__qualname__}"


def _now() -> None:
    """Represents the callable that Django calls for a field with auto_now or auto_now_add."""


_now.__module__, _now.__qualname__ = "django.utils.timezone", "now"


def _is_called(field: Any) -> bool:
    """Does the default come from code instead of being a constant?"""
    if field.has_default():
        own = type(field).get_default
        made = callable(field.default) and field.default not in _CONSTANTS
        return made or not own.__module__.startswith("django.")
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))


def _has_value(field: Any) -> bool:
    return bool(field.has_default()) or _is_called(field)


def _is_unique(bound: Any) -> bool:
    """Must all rows have different values, by the field itself or by a constraint on it alone?"""
    constraints = bound.model._meta.total_unique_constraints
    return bool(bound.unique) or any(each.fields == (bound.name,) for each in constraints)


def _literal(connection: BaseDatabaseWrapper, bound: Any, given: Any) -> str | None:
    """The value as SQL that Django's schema editor would write, by the default of `given`."""
    editor = connection.schema_editor(collect_sql=True)
    known, bound.default = bound.default, given.default
    bound.__dict__.pop("_get_default", None)
    try:
        value = editor.effective_default(bound)
    finally:
        bound.default = known
        bound.__dict__.pop("_get_default", None)
    return None if value is None else str(editor.quote_value(value))

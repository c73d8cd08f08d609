"""Relations of Django's models in one state: which column or table follows which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.db.migrations.operations import AddField, AlterField, CreateModel
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field

from zanith_django.timeline.unstated import Key, Relation, Side

TABLE = "table name"
PRIMARY_KEY = "primary key"


@dataclass(frozen=True, slots=True)
class _Pointer:
    """A relation: `field` of `source` follows what `depends_on` names of its target."""

    source: Key
    field: str
    target: Key
    depends_on: frozenset[str]


def _pointers(state: ProjectState) -> Iterator[_Pointer]:
    concrete, _ = state._get_concrete_models_mapping_and_proxy_models()  # type: ignore[attr-defined]  # no stub
    for key, model in state.models.items():
        for name, field in model.fields.items():
            if field.remote_field and not has_through(field):
                target = resolve_relation(field.remote_field.model, *key)
                named = {to for to in getattr(field, "to_fields", ()) if to}
                depends_on = frozenset({TABLE, *(named or {PRIMARY_KEY})})
                yield _Pointer(key, name, concrete.get(target, target), depends_on)


def target_of(field: Field[Any, Any], source: Key) -> tuple[Key, tuple[str, ...]] | None:
    """The model and the fields that a relation points at."""
    if not field.remote_field:
        return None
    target = resolve_relation(field.remote_field.model, *source)
    return target, tuple(getattr(field, "to_fields", ()))


def targets_of(operation: MigrationOperation, app_label: str) -> set[Key]:
    """The models that the fields of an operation point at."""
    model = getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", "")
    found = (target_of(field, (app_label, str(model))) for _, field in fields_of(operation))
    return {target for target, _ in filter(None, found)}


def fields_of(operation: MigrationOperation) -> list[tuple[str, Field[Any, Any]]]:
    """The fields that an operation creates or alters, by name."""
    if isinstance(operation, CreateModel):
        return list(operation.fields)
    if isinstance(operation, AddField | AlterField):
        return [(operation.name, operation.field)]
    return []


def pointing_at(state: ProjectState, key: Key, field: str | None) -> Iterator[Relation]:
    """The relations whose foreign keys point at a column, or at a table if `field` is None."""
    own = state.models[key]
    if field is not None and not _is_unique(own, field):
        return
    is_key = field is None or own.fields[field].primary_key
    reached = {TABLE} if field is None else {field, *([PRIMARY_KEY] if is_key else ())}
    for pointer in _pointers(state):
        goes = field is None and pointer.source == key
        if pointer.target == key and pointer.depends_on & reached and not goes:
            automatic = state.models[pointer.source].fields[pointer.field].many_to_many
            side = Side.TARGET if automatic else Side.OWN
            yield Relation(pointer.source, pointer.field, side)
    if field is not None and is_key:
        for name, each in own.fields.items():
            if storage_of(each) is Storage.AUTOMATIC_TABLE:
                yield Relation(key, name, Side.SOURCE)


def _is_unique(model: ModelState, name: str) -> bool:
    """Whether foreign keys may point at a field."""
    field = model.fields.get(name)
    constraints = model.options.get("constraints") or ()
    alone = any(getattr(item, "fields", None) == (name,) for item in constraints)
    return field is not None and (field.unique or alone)


def _changed(before: ProjectState, after: ProjectState, key: Key) -> set[str]:
    """The changes that other models follow: the table, the key, fields by name."""
    old, new = before.models.get(key), after.models.get(key)
    if old is None or new is None:
        return set()
    fields = {*old.fields, *new.fields}
    changed = {name for name in fields if _meaning(old, name) != _meaning(new, name)}
    if old.options.get("db_table") != new.options.get("db_table"):
        changed.add(TABLE)
    if changed & _primary_keys(before, after, key):
        changed.add(PRIMARY_KEY)
    return changed


def _meaning(model: ModelState, name: str) -> object:
    field = model.fields.get(name)
    return field and field.deconstruct()[1:]


def _primary_keys(before: ProjectState, after: ProjectState, key: Key) -> set[str]:
    models = (state.models[key] for state in (before, after) if key in state.models)
    return {name for model in models for name, field in model.fields.items() if field.primary_key}


def with_referrers(before: ProjectState, after: ProjectState, keys: Iterable[Key]) -> set[Key]:
    """`keys`, and the models whose tables change with them, because they reference a changed table
    or key. A foreign key that is a primary key passes a change on to tables that reference it.
    """
    found = set(keys)
    changed = {key: change for key in found if (change := _changed(before, after, key))}
    while changed:
        following: dict[Key, set[str]] = defaultdict(set)
        for state in (before, after):
            for pointer in _pointers(state):
                if pointer.target in changed and changed[pointer.target] & pointer.depends_on:
                    following[pointer.source].add(pointer.field)
        changed = {
            key: fields | ({PRIMARY_KEY} if fields & _primary_keys(before, after, key) else set())
            for key, fields in following.items()
            if key not in found
        }
        found |= set(changed)
    return found


def neighbours(state: ProjectState, app_label: str) -> set[Key]:
    """The models of an app, those that they reference, and those that reference them."""
    found = {key for key in state.models if key[0] == app_label}
    for pointer in _pointers(state):
        if app_label in (pointer.source[0], pointer.target[0]):
            found |= {pointer.source, pointer.target}
    return found


def has_through(field: Field[Any, Any]) -> bool:
    """Does a many-to-many field use the table of an explicit model?"""
    if not field.many_to_many:
        return False
    through = getattr(field.remote_field, "through", None)
    return isinstance(through, str) or (through is not None and not through._meta.auto_created)


class Storage(Enum):
    """The place of a field's values: a column, an automatic table, or the table of a through
    model."""

    COLUMN = "a column"
    AUTOMATIC_TABLE = "a many-to-many table of its own"
    THROUGH = "the table of a through model"


def storage_of(field: Field[Any, Any]) -> Storage:
    if not field.many_to_many:
        return Storage.COLUMN
    return Storage.THROUGH if has_through(field) else Storage.AUTOMATIC_TABLE

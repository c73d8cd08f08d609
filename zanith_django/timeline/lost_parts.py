"""Constraints, indexes and types that a model asks for and that Django's history lost.

`RemoveField` drops a column with all that contains it or points at it, `DeleteModel` a table with
the foreign keys that point at it; both leave the names in the state. A field or a model of that
name that is added later does not bring them back, so no database that `migrate` made has them
(Django ticket 33673).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ModelState
from django.db.models import Model

from zanith_django.diff.differ import HARD
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.object_names import unquote
from zanith_django.schema.parts import CHECKS, EXCLUSIONS, INDEXES, UNIQUES
from zanith_django.timeline.meta_items import names_in
from zanith_django.timeline.relations import fields_of, targets_of
from zanith_django.timeline.states import RecordingState
from zanith_django.timeline.timeline import django_order, load_django
from zanith_django.timeline.unstated import Key
from zanith_django.timeline.walk import Walk

Named = tuple[TableName, str]


class LostParts(NamedTuple):
    """What the declared graph has and no migration makes again, as `DeclaredFacts` name it."""

    lost: frozenset[Named] = frozenset()
    """(table, name) of constraints and indexes."""
    followed: frozenset[tuple[TableName, Any]] = frozenset()
    """(table, constraint or index) of renamed columns, where the models have other columns."""
    left: frozenset[Named] = frozenset()
    """(table, column) of relations without a foreign key, of the type that they had with one."""


def lost_parts(connection: BaseDatabaseWrapper, declared: SchemaGraph) -> LostParts:
    labels, others = _apps_that_lose()
    if not labels:
        return LostParts()
    walk, loader = Walk(connection, HARD), load_django(None)
    for key in django_order(loader):
        if key[0] in labels | others:
            walk.skip(loader.graph.nodes[key])
    columns = frozenset(_loose_columns(walk.tables, declared))
    named = (
        part
        for key, model in walk.models.models.items()
        if key[0] in labels and key in walk.tables.models and _is_there(key)
        for part in _lost(model, walk.tables.models[key], declared)
    )
    lost = frozenset((*named, *_keys_of(columns, declared)))
    return LostParts(lost, frozenset(_followed(walk)), columns)


@dataclass(slots=True)
class _History:
    """Names of fields in the migrations of one model, under all names that it had."""

    gone: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    come: set[str] = field(default_factory=set)
    primary: set[str] = field(default_factory=set)
    unique: set[str] = field(default_factory=set)
    created: int = 0
    deleted: bool = False

    def note(self, operation: MigrationOperation) -> None:
        if isinstance(operation, RemoveField):
            self.gone.add(operation.name)
            self.removed.add(operation.name)
        elif isinstance(operation, RenameField):
            self.gone.add(operation.old_name)
            self.come.add(operation.new_name)
        elif isinstance(operation, AddField):
            self.come.add(operation.name)
        elif isinstance(operation, CreateModel):
            self.created += 1
        elif isinstance(operation, DeleteModel):
            self.deleted = True
        for name, each in fields_of(operation):
            if each.primary_key:
                self.primary.add(name)
            elif each.unique:
                self.unique.add(name)

    def may_lose(self, model: type[Model] | None, pointed_at: set[str]) -> bool:
        """Whether its table may lack what the model has. Foreign keys may point at unique fields
        of the names `pointed_at`."""
        if self.removed & (self.primary | self.unique & pointed_at):
            return True
        if self.deleted and self.created > 1:
            return True
        again = self.gone & self.come
        return bool(again and model and again & set(_in_parts(model)))


def _apps_that_lose() -> tuple[set[str], set[str]]:
    """Apps in which a removed field was a key, or is named by a constraint or an index and comes
    again, or a model that was deleted does; and those whose models point at them. Reads files
    alone, in any order: most projects have no such app."""
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    operations = [
        (label, operation)
        for (label, _), migration in loader.disk_migrations.items()
        for operation in _flat(migration.operations)
    ]
    names = _LaterNames()
    for label, operation in operations:
        if isinstance(operation, RenameModel):
            names.rename((label, operation.old_name_lower), (label, operation.new_name_lower))
    found: dict[Key, _History] = {}
    pointed_at: set[str] = set()
    pointing: dict[str, set[str]] = {}
    for label, operation in operations:
        name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
        found.setdefault(names.of((label, str(name).lower())), _History()).note(operation)
        for _, each in fields_of(operation):
            pointed_at.update(to for to in getattr(each, "to_fields", ()) if to)
        for target, _ in targets_of(operation, label):
            pointing.setdefault(target, set()).add(label)
    labels = {
        key[0]
        for key, history in found.items()
        if history.may_lose(apps.all_models[key[0]].get(key[1]), pointed_at)
    }
    return labels, {other for label in labels for other in pointing.get(label, ())}


class _LaterNames(dict[Key, Key]):
    """The last name of a model, whatever it is called."""

    def rename(self, old: Key, new: Key) -> None:
        if self.of(old) != self.of(new):
            self[self.of(old)] = self.of(new)

    def of(self, key: Key) -> Key:
        while key in self:
            key = self[key]
        return key


def _in_parts(model: type[Model]) -> Iterator[str]:
    """The fields that constraints and indexes of `Meta` contain."""
    options = model._meta
    for item in (*options.constraints, *options.indexes):
        yield from names_in(item)
    for names in options.unique_together:
        yield from names


def _flat(operations: Iterable[MigrationOperation]) -> Iterator[MigrationOperation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _flat((*operation.database_operations, *operation.state_operations))
        else:
            yield operation


def _is_there(key: Key) -> bool:
    return key[1] in apps.all_models[key[0]]


def _followed(walk: Walk) -> Iterator[tuple[TableName, Any]]:
    """Constraints and indexes that contain a renamed column, as they are then."""
    names = {each for each in walk.tables.unstated.followed if _is_there(each[0])}
    for table in walk.declared(sorted({key for key, _ in names})).graph.tables if names else ():
        yield from (
            (table.name, item)
            for part in (CHECKS, EXCLUSIONS, INDEXES, UNIQUES)
            for item in part.of(table)
            if any(item.name == name for _, name in names)
        )


def _loose_columns(tables: RecordingState, declared: SchemaGraph) -> Iterator[Named]:
    for relation in tables.unstated.loose:
        if _is_there(relation.model):
            yield relation.place(apps.get_model(*relation.model), declared.default_schema)


def _keys_of(columns: Iterable[Named], declared: SchemaGraph) -> Iterator[Named]:
    """The foreign keys of these columns."""
    for name, column in columns:
        table = declared.table(name)
        for key in table.foreign_keys if table else ():
            if key.columns == (column,):
                yield name, key.name


def _lost(
    named: ModelState, there: ModelState, declared: SchemaGraph
) -> Iterator[tuple[TableName, str]]:
    """Constraints and indexes that the model names and its table has not."""
    model = apps.get_model(named.app_label, named.name_lower)
    table = declared.table(table_name(model, declared.default_schema))
    if table is None:
        return
    for option in ("constraints", "indexes"):
        known = {item.name for item in there.options.get(option) or ()}
        for item in named.options.get(option) or ():
            if item.name not in known:
                yield table.name, item.name
    together = {tuple(names) for names in named.options.get("unique_together") or ()}
    for names in together - {tuple(names) for names in there.options.get("unique_together") or ()}:
        columns = tuple(unquote(model._meta.get_field(name).column) for name in names)
        for unique in table.uniques:
            if unique.columns == columns:
                yield table.name, unique.name

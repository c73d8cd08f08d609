"""Constraints, indexes and types that a model asks for and that Django's history lost.

`RemoveField` drops a column with all that contains it or points at it, `DeleteModel` a table with
the foreign keys that point at it; both leave the names in the state. A field or a model of that
name that is added later does not bring them back, so no database that `migrate` made has them
(Django ticket 33673).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ModelState
from django.db.models import Field

from zanith_django.diff.differ import HARD
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.object_names import unquote
from zanith_django.schema.parts import CHECKS, EXCLUSIONS, INDEXES, UNIQUES
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
    labels = set(_apps_that_lose())
    if not labels:
        return LostParts()
    walk, loader = Walk(connection, HARD), load_django(None)
    for key in django_order(loader):
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
class _Names:
    """Names in the migrations of one app, of all its models together."""

    removed: set[str] = field(default_factory=set)
    come: set[str] = field(default_factory=set)
    renamed: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    models: Counter[str] = field(default_factory=Counter)

    def note(self, operation: MigrationOperation) -> None:
        if isinstance(operation, RemoveField):
            self.removed.add(operation.name.lower())
        elif isinstance(operation, RenameField):
            self.renamed.add(operation.old_name.lower())
            self.come.add(operation.new_name.lower())
        elif isinstance(operation, AddField):
            self.come.add(operation.name.lower())
            self._note_key(operation.name, operation.field)
        elif isinstance(operation, AlterField):
            self._note_key(operation.name, operation.field)
        elif isinstance(operation, CreateModel):
            self.models[operation.name_lower] += 1
            for name, each in operation.fields:
                self._note_key(name, each)
        elif isinstance(operation, RenameModel):
            self.models[operation.new_name_lower] += 1
        elif isinstance(operation, DeleteModel):
            self.deleted.add(operation.name_lower)

    def _note_key(self, name: str, each: Field[Any, Any]) -> None:
        if each.unique:  # a primary key is unique too
            self.keys.add(name.lower())

    def may_lose(self) -> bool:
        """Whether what models and tables have may differ."""
        again = (name for name in self.deleted if self.models[name] > 1)
        came = bool(self.removed & (self.come | self.keys)) or any(again)
        return came or bool(self.renamed & self.come)


def _apps_that_lose() -> Iterator[str]:
    """Apps in which a removed field was a key or has the name of one that comes, or a deleted
    model has such a name. Reads files alone, and no order: most projects have none."""
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    found: dict[str, _Names] = {}
    for (label, _), migration in loader.disk_migrations.items():
        names = found.setdefault(label, _Names())
        for operation in _flat(migration.operations):
            names.note(operation)
    yield from (label for label, names in found.items() if names.may_lose())


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

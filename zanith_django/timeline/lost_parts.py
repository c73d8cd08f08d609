"""Constraints and indexes that a model names and that Django's history lost with a column.

`RemoveField` drops a column with all that contains it, and leaves the names in the state. A field
of that name that is added later does not bring them back, so no database that `migrate` made has
them (Django ticket 33673).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    RemoveField,
    RenameField,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ModelState

from zanith_django.diff.differ import HARD
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.object_names import unquote
from zanith_django.timeline.timeline import django_order, load_django
from zanith_django.timeline.walk import Walk


def lost_parts(
    connection: BaseDatabaseWrapper, declared: SchemaGraph
) -> frozenset[tuple[TableName, str]]:
    """(table, name) of the parts of the declared graph that no migration creates again."""
    labels = set(_with_a_name_again())
    if not labels:
        return frozenset()
    walk, loader = Walk(connection, HARD), load_django(None)
    for key in django_order(loader):
        walk.skip(loader.graph.nodes[key])
    return frozenset(
        part
        for key, model in walk.models.models.items()
        if key[0] in labels and key in walk.tables.models and key[1] in apps.all_models[key[0]]
        for part in _lost(model, walk.tables.models[key], declared)
    )


def _with_a_name_again() -> Iterator[str]:
    """Apps in which a field that is removed has the name of one that is added or renamed. Reads
    files alone, and no order: most projects have none."""
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    removed: dict[str, set[str]] = {}
    come: dict[str, set[str]] = {}
    for (label, _), migration in loader.disk_migrations.items():
        for operation in _flat(migration.operations):
            if isinstance(operation, RemoveField):
                removed.setdefault(label, set()).add(operation.name.lower())
            elif isinstance(operation, AddField):
                come.setdefault(label, set()).add(operation.name.lower())
            elif isinstance(operation, RenameField):
                come.setdefault(label, set()).add(operation.new_name.lower())
    yield from (label for label, names in removed.items() if names & come.get(label, set()))


def _flat(operations: Iterable[MigrationOperation]) -> Iterator[MigrationOperation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _flat((*operation.database_operations, *operation.state_operations))
        else:
            yield operation


def _lost(
    named: ModelState, there: ModelState, declared: SchemaGraph
) -> Iterator[tuple[TableName, str]]:
    """What the model names and its table has not."""
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

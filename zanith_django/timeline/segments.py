"""A sequence of Django's operations that becomes one difference of two states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterOrderWithRespectTo,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.models import Model

from zanith_django.diff.differ import Fill, Hints
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared
from zanith_django.timeline.defaults import Filling, fill_of
from zanith_django.timeline.identities import Carried, Identities, own_fields
from zanith_django.timeline.states import RecordingState
from zanith_django.timeline.unstated import Key


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rendered models of one state, and their declared graph."""

    graph: SchemaGraph
    declared: Declared
    models: dict[Key, type[Model]]


@dataclass(slots=True)
class Segment:
    """The operations between two cuts, and the facts that only they have: identities, and the
    values of existing rows."""

    before: RecordingState
    migration: DjangoMigration
    identities: Identities = field(default_factory=Identities)
    values: dict[tuple[Key, str], list[Filling]] = field(default_factory=dict)

    def note(self, app_label: str, operation: MigrationOperation) -> None:
        self.identities.follow(app_label, operation)
        if isinstance(operation, RenameModel):
            self._rename_model(
                (app_label, operation.old_name_lower), (app_label, operation.new_name_lower)
            )
        elif isinstance(operation, RenameField):
            key = (app_label, operation.model_name_lower)
            old, new = operation.old_name.lower(), operation.new_name.lower()
            if (key, old) in self.values:
                self.values[key, new] = self.values.pop((key, old))
        elif isinstance(operation, RemoveField):
            key = (app_label, operation.model_name_lower)
            self.values.pop((key, operation.name.lower()), None)
        elif isinstance(operation, AddField):
            key = (app_label, operation.model_name_lower)
            self.values[key, operation.name.lower()] = [operation]
        elif isinstance(operation, AlterField):
            key = (app_label, operation.model_name_lower)
            self.values.setdefault((key, operation.name.lower()), []).append(operation)
        elif isinstance(operation, AlterOrderWithRespectTo):
            self.values[(app_label, operation.name_lower), "_order"] = [operation]
        elif isinstance(operation, DeleteModel):
            self._take_values((app_label, operation.name_lower))

    def _rename_model(self, old: Key, new: Key) -> None:
        self.values |= {(new, name): given for name, given in self._take_values(old).items()}

    def _take_values(self, key: Key) -> dict[str, list[Filling]]:
        names = [name for known, name in self.values if known == key]
        return {name: self.values.pop((key, name)) for name in names}

    def hints(self, connection: BaseDatabaseWrapper, before: Rendered, after: Rendered) -> Hints:
        carried = Carried.between(self.identities, before.models, after.models, before.graph)
        return Hints(
            tables=carried.renamed_tables(),
            columns=carried.renamed_columns(),
            ended_tables=carried.ended_tables(),
            ended_columns=carried.ended_columns(),
            fills=dict(self._fills(connection, after, after.graph.default_schema)),
            labels={**before.declared.labels, **after.declared.labels},
        )

    def _fills(
        self, connection: BaseDatabaseWrapper, after: Rendered, schema: str
    ) -> Iterator[tuple[tuple[TableName, str], Fill]]:
        for (key, name), operations in self.values.items():
            model = after.models.get(key)
            bound = _field(model, name) if model else None
            if model is None or bound is None or not bound.column or bound.many_to_many:
                continue
            fills = (fill_of(connection, self.migration, each, bound) for each in operations)
            if fill := next(filter(None, fills), None):  # after the first one no row is NULL
                yield (table_name(model, schema), bound.column), fill


def _field(model: type[Model], name: str) -> Any:
    return next((f for f in own_fields(model) if f.name.lower() == name), None)


def key_of_model(model: type[Model]) -> Key:
    return model._meta.app_label, str(model._meta.model_name)

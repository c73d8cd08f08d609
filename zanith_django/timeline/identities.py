"""Identities: maps models and fields of a state to those of an earlier state.

The difference of two states does not show Django's operations. `CreateModel` creates a model and
`DeleteModel` ends it, `AddField` and `RemoveField` do so with a field: one that is removed and
added under the same name is new and empty. Renames and alterations keep the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.migrations.operations import (
    AddField,
    AlterOrderWithRespectTo,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.models import Model

from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.object_names import unquote
from zanith_django.timeline.unstated import Key

ORDER = "_order"
"""The field that `order_with_respect_to` gives a model."""


@dataclass(slots=True)
class Identities:
    """Maps models and fields to those of the state in which this began. A name that is not mapped
    means the same model or field as then; None means that it did not exist then.
    """

    models: dict[Key, Key | None] = field(default_factory=dict)
    fields: dict[tuple[Key, str], str | None] = field(default_factory=dict)

    def follow(self, app_label: str, operation: MigrationOperation) -> None:
        """Applies the models and fields that an operation creates, renames or ends."""
        if isinstance(operation, CreateModel | DeleteModel):
            self._forget((app_label, operation.name_lower))
        elif isinstance(operation, RenameModel):
            self._rename_model(
                (app_label, operation.old_name_lower), (app_label, operation.new_name_lower)
            )
        elif isinstance(operation, AddField | RemoveField):
            self.fields[(app_label, operation.model_name_lower), operation.name.lower()] = None
        elif isinstance(operation, RenameField):
            key = (app_label, operation.model_name_lower)
            self._rename_field(key, operation.old_name.lower(), operation.new_name.lower())
        elif isinstance(operation, AlterOrderWithRespectTo) and not (
            operation.order_with_respect_to
        ):
            self.fields[(app_label, operation.name_lower), ORDER] = None

    def _forget(self, key: Key) -> None:
        self.models[key] = None
        self.fields = {known: name for known, name in self.fields.items() if known[0] != key}

    def _rename_model(self, old: Key, new: Key) -> None:
        identity = self.models.get(old, old)
        fields = {name: was for (key, name), was in self.fields.items() if key == old}
        self._forget(old)
        self._forget(new)
        self.models[new] = identity
        self.fields |= {(new, name): was for name, was in fields.items()}

    def _rename_field(self, key: Key, old: str, new: str) -> None:
        identity = self.fields.get((key, old), old)
        self.fields[key, old] = None
        self.fields[key, new] = identity

    def model(self, key: Key) -> Key | None:
        return self.models.get(key, key)

    def field(self, key: Key, name: str) -> str | None:
        return self.fields.get((key, name), name)


@dataclass(slots=True)
class Carried:
    """The tables and columns of one graph that still exist in another one, by identity."""

    before: SchemaGraph
    tables: dict[TableName, TableName] = field(default_factory=dict)
    columns: dict[tuple[TableName, str], str] = field(default_factory=dict)

    @classmethod
    def between(
        cls,
        identities: Identities,
        before: Mapping[Key, type[Model]],
        after: Mapping[Key, type[Model]],
        graph: SchemaGraph,
    ) -> Carried:
        """From the models of two states; `graph` is that of the first."""
        carried = cls(graph)
        for key, model in after.items():
            was = identities.model(key)
            old = before.get(was) if was else None
            if old is not None and _has_table(old) and _has_table(model):
                carried._model(key, old, model, identities)
        return carried

    def _model(self, key: Key, old: type[Model], new: type[Model], identities: Identities) -> None:
        """A model's table, and the automatic many-to-many tables of its fields."""
        old_fields = {each.name.lower(): each for each in own_fields(old)}
        kept = []
        for now in own_fields(new):
            name = identities.field(key, now.name.lower())
            was = old_fields.get(name) if name else None
            if was is None:
                continue
            if was.many_to_many and now.many_to_many:
                self._table(*_through(was, now))
            elif was.column and now.column:
                kept.append((was.column, now.column))
        self._table(old, new, kept)

    def _table(
        self, old: type[Model], new: type[Model], columns: Iterable[tuple[str, str]]
    ) -> None:
        schema = self.before.default_schema
        name = table_name(old, schema)
        self.tables[name] = table_name(new, schema)
        self.columns |= {(name, unquote(was)): unquote(now) for was, now in columns}

    def renamed_tables(self) -> dict[TableName, TableName]:
        return {old: new for old, new in self.tables.items() if old != new}

    def renamed_columns(self) -> dict[tuple[TableName, str], str]:
        """{(the table's name after renames, old name): new name}."""
        return {
            (self.tables[table], old): new
            for (table, old), new in self.columns.items()
            if old != new
        }

    def ended_tables(self) -> frozenset[TableName]:
        return frozenset(name for name in self.before.table_names if name not in self.tables)

    def ended_columns(self) -> frozenset[tuple[TableName, str]]:
        """(the table's name after renames, column) of columns that end while their table stays."""
        return frozenset(
            (self.tables[table.name], column)
            for table in self.before.tables
            for column in table.column_names
            if table.name in self.tables and (table.name, column) not in self.columns
        )


def own_fields(model: type[Model]) -> list[Any]:
    """The fields of which the columns and tables are the model's own."""
    return [*model._meta.local_fields, *model._meta.local_many_to_many]


def _has_table(model: type[Model]) -> bool:
    return not model._meta.proxy and model._meta.managed


def _through(old: Any, new: Any) -> tuple[type[Model], type[Model], Iterator[tuple[str, str]]]:
    """The automatic tables of a many-to-many field before and after, with the pairs of their
    columns."""
    tables = old.remote_field.through, new.remote_field.through
    key, now = (table._meta.pk.column for table in tables)
    old_names = (key, old.m2m_column_name(), old.m2m_reverse_name())
    new_names = (now, new.m2m_column_name(), new.m2m_reverse_name())
    return (*tables, zip(old_names, new_names, strict=True))

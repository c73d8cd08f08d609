"""The rows that Django deletes and updates together with those of a deleted queryset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.migrations.utils import resolve_relation
from django.db.models import Field

from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_of
from zanith_django.timeline.states import RecordingState, tables_of
from zanith_django.timeline.unstated import Key

_CASCADES = (models.CASCADE, getattr(models, "DB_CASCADE", models.CASCADE))
_REFUSES = (models.PROTECT, models.RESTRICT, models.DO_NOTHING)

Change = tuple[str, TableName]
"""A reason, and the table whose rows change."""


def changed_by_delete(
    state: RecordingState, table: TableName, schema: str, longest: int | None
) -> list[Change]:
    """What happens to rows of other tables when Django deletes rows of this one: relations with
    CASCADE are followed, from model to model."""
    return list(dict.fromkeys(_Deletes(state, schema, longest).of(table)))


class _Deletes:
    def __init__(self, state: RecordingState, schema: str, longest: int | None) -> None:
        self.models, self.seen = state.models, set[Key]()
        self.tables = {
            (key, field): table_of(name, schema)
            for key, model in state.models.items()
            for field, name in tables_of(model, longest).items()
        }

    def of(self, table: TableName) -> Iterator[Change]:
        for (key, field), name in self.tables.items():
            if name == table and not field:
                yield from self._of_model(key)

    def _of_model(self, target: Key) -> Iterator[Change]:
        self.seen.add(target)
        for source, model in self.models.items():
            for name, field in model.fields.items():
                if field.remote_field:
                    yield from self._of_relation(source, name, field, target)

    def _of_relation(
        self, source: Key, name: str, field: Field[Any, Any], target: Key
    ) -> Iterator[Change]:
        remote: Any = field.remote_field
        other = resolve_relation(remote.model, *source)
        if (source, name) in self.tables:  # an automatic many-to-many table
            if target in (source, other):
                yield "deletes_rows", self.tables[source, name]
        elif source == target and getattr(remote, "parent_link", False):
            yield from self._deleted(other)
        elif other == target and not field.many_to_many:
            if remote.on_delete in _CASCADES:
                yield from self._deleted(source)
            elif remote.on_delete not in _REFUSES and (source, "") in self.tables:
                yield "requires_backfill", self.tables[source, ""]

    def _deleted(self, key: Key) -> Iterator[Change]:
        if key not in self.seen and (key, "") in self.tables:
            yield "deletes_rows", self.tables[key, ""]
            yield from self._of_model(key)

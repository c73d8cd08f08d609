"""Which tables an operation of a Django migration creates, renames and ends."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.operations.moves import TableMove
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_of
from zanith_django.timeline.django_kinds import is_data_step, reaching_database
from zanith_django.timeline.identities import Identities
from zanith_django.timeline.states import RecordingState, db_table_of, tables_of
from zanith_django.timeline.unstated import Key

Part = tuple[Key, str]
"""A model and "", or one of its many-to-many fields."""


class DjangoTables:
    """The tables of the models, as their state moves along Django's migrations."""

    def __init__(self, schema: str, longest: int | None) -> None:
        self.schema, self.longest = schema, longest
        self.state = RecordingState()

    def skip(self, migration: DjangoMigration) -> None:
        for operation in migration.operations:
            operation.state_forwards(migration.app_label, self.state)

    def table(self, app_label: str, model: str) -> TableName | None:
        """The table of a model at this point."""
        known = self.state.models.get((app_label, model.lower()))
        return table_of(db_table_of(known, self.longest), self.schema) if known else None

    def take(self, app_label: str, operation: MigrationOperation) -> tuple[TableMove, ...]:
        """The operation's effect on tables; the state moves past it.

        The effect of a `SeparateDatabaseAndState` is that of its `database_operations`. The effect
        of its author's own SQL or Python is unknown, whatever its state operations declare.
        """
        if not isinstance(operation, SeparateDatabaseAndState):
            return self._moved(app_label, operation, self.state)
        state = self.state.clone()
        moves: list[TableMove] = []
        for inner in reaching_database(operation):
            if isinstance(inner, RunSQL | RunPython):
                continue
            try:
                moves += self._moved(app_label, inner, state)
            except KeyError:  # of a model that only state_operations created
                break
        operation.state_forwards(app_label, self.state)
        return tuple(moves)

    def _moved(
        self, app_label: str, operation: MigrationOperation, state: RecordingState
    ) -> tuple[TableMove, ...]:
        before = dict(self._parts(app_label, state))
        operation.state_forwards(app_label, state)
        if is_data_step(operation):
            return ()
        after = dict(self._parts(app_label, state))
        if before == after:
            return ()
        return tuple(_moves(app_label, operation, before, after))

    def _parts(self, app_label: str, state: RecordingState) -> Iterator[tuple[Part, TableName]]:
        for key, model in state.models.items():
            if key[0] == app_label:
                for field, name in tables_of(model, self.longest).items():
                    yield (key, field), table_of(name, self.schema)


def _moves(
    app_label: str,
    operation: MigrationOperation,
    before: dict[Part, TableName],
    after: dict[Part, TableName],
) -> Iterator[TableMove]:
    """The moves by identity: ended tables first, then renamed ones, then new ones."""
    identities = Identities()
    identities.follow(app_label, operation)
    found = [(before.get(_origin(identities, part)), name) for part, name in after.items()]
    kept = {old for old, _ in found}
    yield from (TableMove(old=name) for name in before.values() if name not in kept)
    yield from (TableMove(old, name) for old, name in found if old and old != name)
    yield from (TableMove(new=name) for old, name in found if old is None)


def _origin(identities: Identities, part: Part) -> Part:
    """The same model or field before the operation; for a new one, a key that no state has."""
    key, field = part
    name = identities.field(key, field) if field else ""
    return identities.model(key) or ("", ""), "?" if name is None else name

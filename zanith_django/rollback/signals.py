"""Django's signals around a rollback."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from django.apps import apps as registry
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.rollback.selection import (
    UndoMigration,
)
from zanith_django.run.django_signals import FinalModels
from zanith_django.timeline.historical import States
from zanith_django.timeline.project import read_timeline
from zanith_django.timeline.timeline import Timeline


class Signals:
    """Sends pre_migrate and post_migrate as a reversing `migrate` does."""

    def __init__(self, connection: BaseDatabaseWrapper, timeline: Timeline, verbosity: int) -> None:
        self.connection, self.timeline, self.verbosity = connection, timeline, verbosity
        self.states = States(timeline)
        self.injected: dict[str, list[MigrationOperation]] = {}

    def before(self, undone: Sequence[UndoMigration]) -> None:
        """Sends pre_migrate. Receivers may add operations, such as the renaming of a content type
        with its model."""
        shown: list[tuple[str, DjangoMigration, DjangoMigration]] = []
        for migration in undone:
            for original in self._known(migration):
                copied = copy.copy(original)
                copied.operations = list(original.operations)  # type: ignore[misc]  # as Django does
                shown.append((migration.id, original, copied))
        emit_pre_migrate_signal(
            self.verbosity,
            False,
            self.connection.alias,
            apps=self.states.current.apps if shown else registry,
            plan=[(copied, True) for _, _, copied in shown],
        )
        for migration_id, original, copied in shown:
            known = set(map(id, original.operations))
            new = [operation for operation in copied.operations if id(operation) not in known]
            self.injected.setdefault(migration_id, []).extend(new)

    def undo_injected(self, migration: UndoMigration) -> None:
        for operation in reversed(self.injected.get(migration.id, [])):
            with self.connection.schema_editor(atomic=False) as editor:
                state = self.states.current
                label = migration.covers[-1][0]
                operation.database_backwards(label, editor, state, state)

    def after(self, undone: Sequence[UndoMigration]) -> None:
        """Sends post_migrate, with the models after the rollback."""
        plan = [(m, True) for migration in undone for m in self._known(migration)]
        models = FinalModels(States(read_timeline(self.connection))).whole() if plan else registry
        emit_post_migrate_signal(
            self.verbosity, False, self.connection.alias, apps=models, plan=plan
        )

    def _known(self, migration: UndoMigration) -> list[DjangoMigration]:
        """The covered migrations that still exist, newest first: a squash may have replaced some.
        Django has no record of a migration that stopped half way."""
        if not migration.whole:
            return []
        return self.timeline.on_disk(reversed(migration.covers))

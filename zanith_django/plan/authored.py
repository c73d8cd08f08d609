"""The effects of steps that run code of authors: Django's operations, RunSQL, RunPython."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable
from contextlib import suppress

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.operations import Operation
from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.base import Context
from zanith_django.operations.data import WHOLE
from zanith_django.plan.effects.django_sql import detached, tables_of
from zanith_django.plan.effects.running_code import Released, released
from zanith_django.plan.effects.statements import effects, unreadable_code
from zanith_django.plan.effects.steps import Reader
from zanith_django.plan.effects.values import Effect, Scene
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.django_tables import DjangoTables
from zanith_django.timeline.states import RecordingState
from zanith_django.timeline.timeline import Entry, Key, Timeline, key_of

Read = tuple[tuple[Effect, ...], SchemaGraph]
"""The effects of a step, and the schema after it."""


class History:
    """The state of the models as it moves along the timeline, and the effects of authors' code on
    the way."""

    def __init__(self, timeline: Timeline, database: str, context: Context) -> None:
        self.timeline, self.database = timeline, database
        self.schema, self.version = context.graph.default_schema, context.server_version
        self.longest = connections[database].ops.max_name_length()
        self.tables, self.passed = DjangoTables(self.schema, self.longest), 0
        self._last: dict[str, _Inside] = {}

    @functools.cached_property
    def connection(self) -> BaseDatabaseWrapper:
        return detached(connections[self.database], self.version)

    def before(self, entry: Entry) -> DjangoTables:
        """The tables just before an entry; must be called in the order of the entries."""
        place = self.timeline.entries.index(entry)
        for earlier in self.timeline.entries[self.passed : place]:
            for migration in self.timeline.on_disk(earlier.covers):
                self.tables.skip(migration)
        self.passed = max(place, self.passed)
        return self.tables

    def moved_past(self, entry: Entry) -> None:
        """The tables were moved past this entry, operation by operation."""
        self.passed = self.timeline.entries.index(entry) + 1

    # --- what a release knows --------------------------------------------------------------------

    def applied(self) -> Released:
        """The models of the last release, which has all applied migrations."""
        entries = [entry for entry in self.timeline.entries if self._is_applied(entry)]
        return self._known(entries)

    def _is_applied(self, entry: Entry) -> bool:
        return bool(entry.covers) and all(map(self.timeline.is_applied, entry.covers))

    def without(self, ids: Collection[str]) -> Released:
        """The models of the release before these entries: each app up to its first one."""
        found, begun = [], set[str]()
        for entry in self.timeline.entries:
            if entry.id in ids:
                begun.add(entry.app_label)
            elif entry.app_label not in begun:
                found.append(entry)
        return self._known(found)

    def at(self, absent: Collection[Key]) -> Released:
        """The models of the release that has all migrations but these."""
        return self._known(
            entry for entry in self.timeline.entries if not set(entry.covers) & set(absent)
        )

    def _known(self, entries: Iterable[Entry]) -> Released:
        tables = DjangoTables(self.schema, self.longest)
        for entry in entries:
            for migration in self.timeline.on_disk(entry.covers):
                with suppress(LookupError, FieldDoesNotExist):  # a record with a gap
                    tables.skip(migration)
        return released(tables.state, self.schema, self.longest)

    def completed(self, entry: Entry, scene: Scene) -> SchemaGraph:
        """The schema with those tables of the models before an entry that it does not have."""
        state = self.before(entry).state
        for text in tables_of(self.connection, state, entry.app_label, scene):
            scene = dataclasses.replace(scene, graph=effects(text, scene)[1])
        return scene.graph

    # --- steps -----------------------------------------------------------------------------------

    def read(self, entry: Entry, step: Operation, scene: Scene) -> Read:
        """The effects of a step of ours that runs code of its author."""
        if step.runs and step.runs.backwards:
            return self._inside(entry).read(step.runs, scene)
        if step.runs:
            return self._inside_of(entry).read(step.runs, scene)
        return effects("".join(filter(None, step.authored)), scene)

    def read_operation(self, operation: MigrationOperation, app_label: str, at: Scene) -> Read:
        """The effects of an operation that Django runs, on the tables before it."""
        return Reader(self.connection, self.tables.state, at).read(operation, app_label)

    def read_injected(
        self, entry: Entry, operation: MigrationOperation, at: Scene, *, backwards: bool = False
    ) -> Read:
        """The effects of an operation that runs after a file, or of its reverse."""
        reader = Reader(self.connection, self.after(entry).state, at)
        read = reader.read_reverse if backwards else reader.read
        return read(operation, entry.covers[-1][0])

    def after(self, entry: Entry) -> DjangoTables:
        """The tables after an entry."""
        tables = DjangoTables(self.schema, self.longest)
        tables.state = self.before(entry).state.clone()
        for migration in self.timeline.on_disk(entry.covers):
            tables.skip(migration)
        return tables

    def read_apply(self, migration: DjangoMigration, at: Scene) -> Read:
        """The effects of a migration with an `apply()` of its own."""
        return Reader(self.connection, self.tables.state, at).read_apply(migration)

    def _inside_of(self, entry: Entry) -> _Inside:
        if entry.id not in self._last:
            self._last = {entry.id: self._inside(entry)}
        return self._last[entry.id]

    def _inside(self, entry: Entry) -> _Inside:
        state = self.before(entry).state.clone()
        return _Inside(self.connection, state, self.timeline.on_disk(entry.covers))


class _Inside:
    """The Django migrations that a file covers, with the state before each of their operations."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        state: RecordingState,
        migrations: Iterable[DjangoMigration],
    ) -> None:
        self.connection, self.state = connection, state
        self.waiting = [(m, n, o) for m in migrations for n, o in enumerate(m.operations, 1)]
        self.migrations = {(m.app_label, m.name): m for m, _, _ in self.waiting}

    def read(self, step: DjangoCode, scene: Scene) -> Read:
        migration = self.migrations.get(key_of(step.migration))
        if migration is None:
            return (unreadable_code(str(step)),), scene.graph
        if step.position == WHOLE:
            reader = Reader(self.connection, self.state, scene)
            return (reader.read_unapply if step.backwards else reader.read_apply)(migration)
        self._move_to(migration, step.position)
        reader = Reader(self.connection, self.state, scene)
        read = reader.read_reverse if step.backwards else reader.read
        return read(migration.operations[step.position - 1], migration.app_label)

    def _move_to(self, migration: DjangoMigration, position: int) -> None:
        while self.waiting and self.waiting[0][:2] != (migration, position):
            passed, _, operation = self.waiting.pop(0)
            operation.state_forwards(passed.app_label, self.state)

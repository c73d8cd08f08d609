"""Walks one Django migration in two states and translates it to operations of zanith.

The model state is what Python knows, the database state describes the tables: an ordinary
operation moves both, `state_operations` only the first, `database_operations` only the second.
The walk is cut at every step that works on data: difference up to it, the step, difference after.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    ValidateConstraint,
)
from django.core.exceptions import FieldDoesNotExist
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import (
    AlterField,
    AlterModelOptions,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.models import Model

from zanith_django import operations as ops
from zanith_django.diff.diff import diff
from zanith_django.exceptions import CannotAlter, CannotDrop
from zanith_django.operations import Operation
from zanith_django.operations.data import WHOLE
from zanith_django.postgres.rows import one_value
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.models import Declared
from zanith_django.timeline.django_kinds import (
    can_go_back,
    does_nothing,
    has_own_apply,
    is_data_step,
    reaching_database,
    title,
)
from zanith_django.timeline.foundations import (
    authored_in,
    foundations,
    prelude_of,
    raw_prelude_of,
)
from zanith_django.timeline.reading import read_models
from zanith_django.timeline.relations import storage_of, targets_of, with_referrers
from zanith_django.timeline.segments import Rendered, Segment, key_of_model
from zanith_django.timeline.states import RecordingState, db_table_of, has_own_table, render
from zanith_django.timeline.timeline import dotted
from zanith_django.timeline.unstated import Key, Loose, is_pattern_of, loosened, unvalidated


class Walk:
    """The two states as they move along Django's migrations."""

    def __init__(self, connection: BaseDatabaseWrapper, drop: str) -> None:
        self.connection, self.drop = connection, drop
        self.models = RecordingState()
        self.tables = RecordingState()
        self.prelude: dict[str, None] = {}
        self.passed: list[MigrationOperation] = []
        self._names: list[tuple[str, bool]] = []

    def skip(self, migration: DjangoMigration) -> None:
        """Move past a migration that needs no zanith operations."""
        for operation in migration.operations:
            self._learn(operation)
            self._move(operation, migration.app_label)
        self.models.take_touched()
        self.tables.take_touched()

    def operations(self, migration: DjangoMigration) -> list[Operation]:
        """The changes of this migration to the database, as operations of zanith. A migration that
        applies itself is opaque; its author promises that the tables then match the models."""
        if has_own_apply(migration):
            self.skip(migration)
            return [_itself(migration)]
        work = _Work(self, migration)
        for position, operation in enumerate(migration.operations, 1):
            self._learn(operation)
            if self._cuts(operation, migration.app_label):
                work.cut()
                work.made += self._step(migration, operation, position)
                self._move(operation, migration.app_label)
                work.begin()
            else:
                self._move(operation, migration.app_label, work)
        work.cut()
        _refuse_keeping_twice(migration, work.made)
        return work.made

    def take_names(self) -> list[tuple[str, bool]]:
        """(`db_table`, whether it is created or dropped) of the tables since the last call."""
        names, self._names = self._names, []
        return names

    def declared(self, keys: Sequence[Key]) -> Declared:
        """The declared tables of these models at this point."""
        return self._read(self.tables, keys).declared

    # --- moving the states ---------------------------------------------------------------------

    def _move(
        self, operation: MigrationOperation, app_label: str, work: _Work | None = None
    ) -> None:
        if not isinstance(operation, SeparateDatabaseAndState):
            self._move_tables(operation, app_label, work)
            operation.state_forwards(app_label, self.models)
            return
        opaque = is_data_step(operation)
        for inner in operation.state_operations:
            if self._only_changes_managed(inner, app_label):
                inner.state_forwards(app_label, self.tables)
            inner.state_forwards(app_label, self.models)
        if opaque:  # its author promises that afterwards the tables match the models
            self._sync(self.models.take_touched())
            return
        for inner in reaching_database(operation):
            self._move_tables(inner, app_label, work)

    def _move_tables(
        self, operation: MigrationOperation, app_label: str, work: _Work | None
    ) -> None:
        if isinstance(operation, CreateModel):
            self._leave((app_label, operation.name_lower), work)
        targets = targets_of(operation, app_label) - self.tables.models.keys()
        if known := targets & self.models.models.keys():  # state_operations alone made them
            with _between(work):
                self._sync(known)
        if isinstance(operation, AlterField) and work:
            self._refuse_other_storage(operation, work.migration)
        try:
            self._forward(operation, app_label)
        except (KeyError, FieldDoesNotExist):
            # Only state_operations created or changed the model: from here on the table counts as
            # its models declare it.
            with _between(work):
                self._sync(key for key in self.models.models if key[0] == app_label)
            self._forward(operation, app_label)
        if work:
            work.segment.note(app_label, operation)

    def _refuse_other_storage(self, operation: AlterField, migration: DjangoMigration) -> None:
        """Django's schema editor raises `ValueError` for it; the difference would drop a table."""
        model = self.tables.models.get((migration.app_label, operation.model_name_lower))
        old = model.fields.get(operation.name) if model else None
        if old is not None and storage_of(old) is not storage_of(operation.field):
            label = f"{migration.app_label}.{operation.model_name}.{operation.name}"
            raise CannotAlter(label, dotted((migration.app_label, migration.name)))

    def _forward(self, operation: MigrationOperation, app_label: str) -> None:
        """Moves the state of the tables past an operation that reaches them."""
        naming = isinstance(operation, CreateModel | DeleteModel | RenameModel | AlterModelTable)
        before = self._named_in(app_label) if naming else set()
        self._lose(operation, app_label)
        operation.state_forwards(app_label, self.tables)
        after = self._named_in(app_label) if naming else set()
        self._names += [(name, False) for name in sorted(before - after)]
        self._names += [(name, True) for name in sorted(after - before)]

    def _lose(self, operation: MigrationOperation, app_label: str) -> None:
        """Note what the database loses or keeps though the state does not say so."""
        if isinstance(operation, RemoveField):
            key = app_label, operation.model_name_lower
            self.tables.forget_parts(key, operation.name)
            self.tables.forget_pointers(key, operation.name)
        elif isinstance(operation, RenameField):
            key = app_label, operation.model_name_lower
            self.tables.rename_in_parts(key, operation.old_name, operation.new_name)
        elif isinstance(operation, DeleteModel):
            key = app_label, operation.name_lower
            if has_own_table(self.tables.models[key]):
                self.tables.forget_pointers(key)
        elif isinstance(operation, AddConstraintNotValid):
            key = app_label, operation.model_name_lower
            self.tables.unstated.not_valid.add((key, operation.constraint.name))
        elif isinstance(operation, ValidateConstraint):
            key = app_label, operation.model_name.lower()
            self.tables.unstated.not_valid.discard((key, operation.name))

    def _named_in(self, app_label: str) -> set[str]:
        """`db_table` of the models of an app."""
        longest = self.connection.ops.max_name_length()
        models = (model for key, model in self.tables.models.items() if key[0] == app_label)
        return {db_table_of(model, longest) for model in models if has_own_table(model)}

    def _leave(self, key: Key, work: _Work | None) -> None:
        """Removes a model that only state_operations deleted: its table stays, without a model."""
        if key in self.tables.models:
            with _between(work):
                self.tables.remove_model(*key)

    def _sync(self, keys: Iterable[Key]) -> None:
        """Copies the state of these models to the tables."""
        for key in list(keys):
            known = self.models.models.get(key)
            if known is not None:
                self.tables.models[key] = known.clone()
            else:
                self.tables.models.pop(key, None)
        for key in [key for key in self.tables.models if key not in self.models.models]:
            del self.tables.models[key]
        self.tables._relations = None
        self.tables.take_touched()

    def _learn(self, operation: MigrationOperation) -> None:
        """Collects the objects that later tables depend on: the scratch creates them too."""
        self.prelude |= dict.fromkeys(prelude_of([operation]))
        self.passed.append(operation)

    def _with_raw(self) -> Iterator[list[str]]:
        yield [*self.prelude, *raw_prelude_of(authored_in(self.passed))]

    # --- steps that are no difference of tables ------------------------------------------------

    def _cuts(self, operation: MigrationOperation, app_label: str) -> bool:
        """Does the operation change data or foundations instead of tables?"""
        if foundations(operation):
            return True
        if isinstance(operation, AddConstraintNotValid | ValidateConstraint):
            return True
        if self._only_changes_managed(operation, app_label):
            return True
        return is_data_step(operation)

    def _only_changes_managed(self, operation: MigrationOperation, app_label: str) -> bool:
        """Does the operation only change `managed`? Then the table stays as it is."""
        if isinstance(operation, SeparateDatabaseAndState):
            inner = operation.state_operations
            return any(self._only_changes_managed(each, app_label) for each in inner)
        if not isinstance(operation, AlterModelOptions):
            return False
        known = self.tables.models.get((app_label, operation.name_lower))
        now = known.options.get("managed", True) if known else True
        return bool(operation.options.get("managed", True) != now)

    def _step(
        self, migration: DjangoMigration, operation: MigrationOperation, position: int
    ) -> list[Operation]:
        """The zanith operations for one that cuts the walk."""
        made = foundations(operation)
        if made:
            return list(made)
        if isinstance(operation, AddConstraintNotValid | ValidateConstraint):
            return self._validity(migration, operation)
        if all(_is_noop(item) for item in reaching_database(operation)):
            return []
        return [
            ops.RunPython(
                migration=dotted((migration.app_label, migration.name)),
                position=position,
                description=title(operation),
                reversible=operation.reversible,
                atomic=migration.atomic or bool(operation.atomic),
            )
        ]

    def _validity(
        self,
        migration: DjangoMigration,
        operation: AddConstraintNotValid | ValidateConstraint,
    ) -> list[Operation]:
        """A check that is added NOT VALID, or validated later."""
        key = (migration.app_label, operation.model_name.lower())
        table = table_name(render(self.tables, [key])[0], self._default_schema())
        label = f"{key[0]}.{self.tables.models[key].name}"
        if isinstance(operation, ValidateConstraint):
            return [ops.ValidateConstraint(table=table, name=operation.name, model=label)]
        after = self.tables.clone()
        operation.state_forwards(migration.app_label, after)
        wanted = self._read(after, [key]).graph.table(table)
        name = operation.constraint.name
        checks = wanted.checks if wanted else ()
        return [
            ops.AddCheck(table=table, check=dataclasses.replace(c, valid=False), model=label)
            for c in checks
            if c.name == name
        ]

    def _default_schema(self) -> str:
        return str(one_value(self.connection, "SELECT current_schema()"))

    # --- differences ---------------------------------------------------------------------------

    def _difference(self, segment: Segment) -> list[Operation]:
        touched = self.tables.take_touched()
        if not touched:
            return []
        keys = sorted(with_referrers(segment.before, self.tables, touched))
        before, after = self._read(segment.before, keys), self._read(self.tables, keys)
        hints = segment.hints(self.connection, before, after)
        return list(diff(before.graph, after.graph, hints, drop=self.drop))

    def _read(self, state: RecordingState, keys: Sequence[Key]) -> Rendered:
        models = render(state, keys)
        declared = read_models(
            self.connection, models, prelude=list(self.prelude), more=self._with_raw()
        )
        rendered = {key_of_model(model): model for model in models}
        graph = self._as_tables_are(declared.graph, state, rendered)
        return Rendered(graph, declared, rendered)

    def _as_tables_are(
        self, graph: SchemaGraph, state: RecordingState, models: dict[Key, type[Model]]
    ) -> SchemaGraph:
        """The graph of the models, with what is true of their tables beside it."""
        schema = graph.default_schema
        for key, name in state.unstated.not_valid:
            if key in models:
                table = table_name(models[key], schema)
                graph = graph.changed(table, partial(unvalidated, name=name))
        for relation, was in state.unstated.loose.items():
            if relation.model in models:
                table, name = relation.place(models[relation.model], schema)
                graph = graph.changed(table, partial(self._loosened, name=name, was=was))
        return graph

    def _loosened(self, table: Table, name: str, was: Loose[RecordingState]) -> Table:
        state, relation = was
        read = self._read(state, [relation.model])
        old_name, old = relation.place(read.models[relation.model], read.graph.default_schema)
        before = read.graph.table(old_name)
        column = before.column(old) if before else None
        if before is None or column is None:
            return table
        patterns = (index for index in before.indexes if is_pattern_of(index, old))
        return loosened(table, name, column, patterns)


class _Work:
    """The operations found so far, and the segment since the last cut."""

    def __init__(self, walk: Walk, migration: DjangoMigration) -> None:
        self._walk, self.migration = walk, migration
        self.made: list[Operation] = []
        self.begin()

    def begin(self) -> None:
        self._walk.tables.take_touched()
        self.segment = Segment(self._walk.tables.clone(), self.migration)

    def cut(self) -> None:
        self.made += self._walk._difference(self.segment)


@contextmanager
def _between(work: _Work | None) -> Iterator[None]:
    """Changes the state of the tables without an operation for the change."""
    if work:
        work.cut()
    yield
    if work:
        work.begin()


def _refuse_keeping_twice(migration: DjangoMigration, made: Iterable[Operation]) -> None:
    """Refuses a migration that keeps one column or table twice, because kept objects are found by
    name."""
    known = set()
    for operation in made:
        if not operation.keeps_by_target:
            continue
        if operation.target in known:
            name = dotted((migration.app_label, migration.name))
            hint = "Split that Django migration at the data step in between."
            raise CannotDrop(operation.target, f"{name} drops or rewrites it twice", hint)
        known.add(operation.target)


# --- kinds of Django's operations ----------------------------------------------------------------


def _itself(migration: DjangoMigration) -> Operation:
    return ops.RunPython(
        migration=dotted((migration.app_label, migration.name)),
        position=WHOLE,
        description="apply() of its own",
        reversible=can_go_back(migration),
        atomic=migration.atomic,
    )


def works_on_data(migration: DjangoMigration) -> bool:
    """Does the migration change what no state of the models shows?"""
    parts = (part for operation in migration.operations for part in reaching_database(operation))
    return has_own_apply(migration) or any(is_data_step(p) and not _is_noop(p) for p in parts)


def _is_noop(operation: MigrationOperation) -> bool:
    return isinstance(operation, AlterModelOptions) or does_nothing(operation)

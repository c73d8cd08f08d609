"""The effects of one operation of a Django migration: its SQL and its Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    RenameField,
    RenameModel,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState as Separate,
)
from django.db.migrations.operations.base import Operation, OperationCategory

from zanith_django.plan.effects.django_sql import sql_of
from zanith_django.plan.effects.orm_deletes import Change, changed_by_delete
from zanith_django.plan.effects.python import python_effects
from zanith_django.plan.effects.sources import calls_super
from zanith_django.plan.effects.statements import effects, unreadable_code
from zanith_django.plan.effects.texts import without_parameters
from zanith_django.plan.effects.values import Effect, Scene
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_of
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.values import replaced
from zanith_django.timeline.django_kinds import follows_rename, is_harmless
from zanith_django.timeline.states import RecordingState, db_table_of, is_swapped
from zanith_django.timeline.unstated import Key

_DJANGO = "django."


@dataclass(slots=True)
class Reader:
    """Reads operations; `state` and `scene` are those before the next one. The state that is given
    stays as it is.

    `connection` gives the spelling of SQL and the names of tables; no query goes to it.
    """

    connection: BaseDatabaseWrapper
    state: RecordingState
    scene: Scene

    def read(self, operation: Operation, app_label: str) -> tuple[tuple[Effect, ...], SchemaGraph]:
        """The effects of an operation, and the schema after it."""
        return self._read(operation, self._effects(operation, app_label))

    def read_reverse(
        self, operation: Operation, app_label: str
    ) -> tuple[tuple[Effect, ...], SchemaGraph]:
        """The effects of the operation's reverse, and the schema after it. The state is still the
        one before the operation, the scene the one after it."""
        return self._read(operation, self._reversed(operation, app_label))

    def _read(
        self, operation: Operation, effects: Iterator[Effect]
    ) -> tuple[tuple[Effect, ...], SchemaGraph]:
        before = self.scene.graph
        try:
            found = tuple(effects)
        except Exception:  # of a class of any package, or on a state that is not there yet
            return (_unreadable(operation),), before
        return found, self.scene.graph

    def read_apply(self, migration: Migration) -> tuple[tuple[Effect, ...], SchemaGraph]:
        """The same for a migration with an `apply()` of its own, which may run its operations or
        not."""
        found = [*self._run_python(migration.apply)]
        for operation in migration.operations:
            found += self._effects(operation, migration.app_label)
            self.state = self._forwarded(operation, migration.app_label)
        return tuple(found), self.scene.graph

    def read_unapply(self, migration: Migration) -> tuple[tuple[Effect, ...], SchemaGraph]:
        """The same of its `unapply()`, which may reverse its operations or not."""
        found = [*self._run_python(migration.unapply)]
        found += self._all_reversed(migration.operations, migration.app_label)
        return tuple(found), self.scene.graph

    def _effects(self, operation: Operation, app_label: str) -> Iterator[Effect]:
        if is_harmless(operation):
            return
        if isinstance(operation, RunSQL | RunPython) and _is_own(operation.database_forwards):
            yield from self._run_python(operation.database_forwards)
        if isinstance(operation, Separate):
            for inner in operation.database_operations:
                yield from self._effects(inner, app_label)
                self.state = self._forwarded(inner, app_label)
        elif isinstance(operation, RunSQL):
            yield from self._run_sql(texts_of(operation.sql))
        elif isinstance(operation, RunPython):
            yield from self._run_python(operation.code)
        else:
            yield from self._of_class(operation, app_label)

    def _reversed(self, operation: Operation, app_label: str) -> Iterator[Effect]:
        """RunPython's reverse receives the models as they are after the operation."""
        if follows_rename(operation):
            return
        if isinstance(operation, RunSQL | RunPython) and _is_own(operation.database_backwards):
            yield from self._run_python(operation.database_backwards)
        if isinstance(operation, Separate):
            yield from self._all_reversed(operation.database_operations, app_label)
        elif isinstance(operation, RunSQL):
            yield from self._run_sql(texts_of(operation.reverse_sql))
        elif isinstance(operation, RunPython):
            if operation.reverse_code is not RunPython.noop:
                yield from self._run_python(operation.reverse_code)
        else:
            yield from self._of_class(operation, app_label, backwards=True)

    def _all_reversed(self, operations: Sequence[Operation], app_label: str) -> Iterator[Effect]:
        states = [self.state]
        for operation in operations:
            self.state = self._forwarded(operation, app_label)
            states.append(self.state)
        for before, operation in reversed([*zip(states[:-1], operations, strict=True)]):
            self.state = before
            yield from self._reversed(operation, app_label)

    def _of_class(
        self, operation: Operation, app_label: str, *, backwards: bool = False
    ) -> Iterator[Effect]:
        """An operation of Django, or one that a package or the project derived."""
        own = operation.database_backwards if backwards else operation.database_forwards
        if _is_own(own):
            yield from self._run_python(own)
        known = next((c for c in type(operation).__mro__ if c.__module__.startswith(_DJANGO)), None)
        if known is None or known in (Operation, RunPython, RunSQL, Separate):
            return
        if _is_own(own) and not calls_super(own):
            return
        after = self._forwarded(operation, app_label)
        if _is_swapped(operation, app_label, after):
            return
        plain = operation if type(operation) is known else _as_plain(operation, known)
        way = (plain, app_label, self.state, after)
        texts = sql_of(self.connection, *way, self.scene, backwards=backwards)
        if texts is None:
            unknown = _unreadable(operation)
            self.scene = self.scene.after((unknown,), self.scene.graph)
            yield unknown
            return
        for effect in self._run_sql(texts.now):
            yield replaced(effect, given={}) if _calls_default(operation) else effect
        for effect in self._run_sql(texts.later):
            yield replaced(effect, deferred=True)

    def _forwarded(self, operation: Operation, app_label: str) -> RecordingState:
        after = copied(self.state, operation, app_label)
        operation.state_forwards(app_label, after)
        return after

    def _run_sql(self, texts: Iterable[str]) -> Iterator[Effect]:
        for text in texts:
            found, graph = effects(text, self.scene)
            self.scene = self.scene.after(found, graph)
            yield from found

    def _run_python(self, code: Any) -> tuple[Effect, ...]:
        """Its title, and what was read."""
        found, graph = python_effects(code, self.scene, self.table_of, self.also_changed)
        self.scene = self.scene.after(found, graph)
        title = f"-- Python: {getattr(code, '__name__', type(code).__name__)}()"
        return (Effect(title, titled=True), *found)

    def table_of(self, app_label: str, model: str) -> TableName | None:
        known = self.state.models.get((app_label, model.lower()))
        if known is None:
            return None
        longest = self.connection.ops.max_name_length()
        return table_of(db_table_of(known, longest), self.scene.schema)

    def also_changed(self, table: TableName) -> list[Change]:
        """What Django changes with the rows that it deletes from a table."""
        longest = self.connection.ops.max_name_length()
        return changed_by_delete(self.state, table, self.scene.schema, longest)


def _unreadable(operation: Operation) -> Effect:
    drops = operation.category is OperationCategory.REMOVAL
    return unreadable_code(f"Django: {operation.describe()}", drops=drops)


def _calls_default(operation: Operation) -> bool:
    """Is the value of its field known only when it runs?"""
    field = getattr(operation, "field", None)
    clock = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    return bool(clock) or callable(getattr(field, "default", None))


def _is_own(method: Any) -> bool:
    """Is it a method of a package or of the project that reaches the database?"""
    return not method.__module__.startswith(_DJANGO)


def texts_of(given: Any) -> list[str]:
    """The SQL of a RunSQL: a text, or a list of texts and of pairs with their parameters."""
    if isinstance(given, str):
        return [given]
    texts = []
    for each in given or ():
        if isinstance(each, list | tuple):
            texts.append(without_parameters(str(each[0])) if len(each) > 1 and each[1] else each[0])
        else:
            texts.append(str(each))
    return texts


def copied(state: RecordingState, operation: Operation, app_label: str) -> RecordingState:
    """A copy that the operation may change. Operations that touch other apps copy them all."""
    if isinstance(operation, RenameModel | RenameField | Separate) or not (
        type(operation).__module__.startswith(_DJANGO)
    ):
        return state.clone()
    models: dict[Key, Any] = {
        key: model.clone() if key[0] == app_label else model for key, model in state.models.items()
    }
    return RecordingState(models, state.real_apps)


def _is_swapped(operation: Operation, app_label: str, state: RecordingState) -> bool:
    named = (getattr(operation, each, "") for each in ("model_name", "name"))
    name = next((name for name in named if isinstance(name, str) and name), "")
    known = state.models.get((app_label, name.lower()))
    return known is not None and is_swapped(known)


def _as_plain(operation: Operation, known: type[Operation]) -> Operation:
    """The operation without what its own class adds to it."""
    plain = object.__new__(known)
    plain.__dict__.update(operation.__dict__)
    return plain

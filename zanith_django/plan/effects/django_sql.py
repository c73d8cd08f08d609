"""The SQL that Django's schema editor would run for an operation, without a database.

The editor's questions about constraints and indexes are answered from the graph. Defaults that are
callables are not called.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.operations import CreateExtension
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import (
    AlterField,
    AlterModelTable,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.state import StateApps
from django.db.models import NOT_PROVIDED, Field, Model
from psycopg import sql as psycopg_sql

from zanith_django.plan.effects.statements import effects
from zanith_django.plan.effects.values import Scene
from zanith_django.schema.ddl import table_name, table_of
from zanith_django.schema.graph import Table
from zanith_django.schema.object_names import unquote
from zanith_django.timeline.relations import has_through, neighbours, with_referrers
from zanith_django.timeline.states import RecordingState, db_table_of, has_own_table, render
from zanith_django.timeline.unstated import Key


class NoConnection(Exception):
    """Something asked the database for what no graph has."""


@dataclass(frozen=True, slots=True)
class Computed:
    """The placeholder of a default that is called when the migration runs."""

    name: str


class Editor(BaseDatabaseSchemaEditor):
    """Collects SQL; mixed in before the connection's own editor class."""

    connection: Any
    collected_sql: list[str]
    deferred_sql: list[Any]

    def __init__(self, connection: BaseDatabaseWrapper, scene: Scene) -> None:
        super().__init__(connection, collect_sql=True, atomic=False)
        self.collected_sql, self.deferred_sql = [], []
        self._scene, self._passed = scene, 0

    @property
    def scene(self) -> Scene:
        """What is known after the SQL so far: an operation that renames a table looks for
        constraints under the new name."""
        for text in self.collected_sql[self._passed :]:
            self._scene = self._scene.after(*effects(text, self._scene))
        self._passed = len(self.collected_sql)
        return self._scene

    def execute(self, sql: Any, params: Sequence[Any] | None = ()) -> None:
        text = str(sql)
        if params:
            text %= tuple(map(_literal, params))
        self.collected_sql.append(text.rstrip(";"))

    def effective_default(self, field: Field[Any, Any]) -> Any:
        default = field.default
        if default is not NOT_PROVIDED and callable(default) and field.has_default():
            return Computed(f"{getattr(default, '__name__', type(default).__name__)}()")
        return super().effective_default(field)

    def _constraint_names(
        self,
        model: type[Model],
        column_names: Iterable[str] | None = None,
        unique: bool | None = None,
        primary_key: bool | None = None,
        index: bool | None = None,
        foreign_key: bool | None = None,
        check: bool | None = None,
        type_: str | None = None,
        exclude: Iterable[str] | None = None,
    ) -> list[str]:
        table = self.scene.table(table_name(model, self.scene.schema))
        wanted = {"unique": unique, "primary_key": primary_key, "index": index}
        wanted |= {"foreign_key": foreign_key, "check": check}
        named = None if column_names is None else [unquote(name) for name in column_names]
        return [
            known.name
            for known in _known(table)
            if (named is None or list(known.columns) == named)
            and all(value is None or value == (key in known.kinds) for key, value in wanted.items())
            and (type_ is None or known.type == type_)
            and known.name not in (exclude or ())
        ]

    def _get_sequence_name(self, table: str, column: str) -> str | None:
        found = self.scene.table(self.scene.name("", unquote(table)))
        known = found.column(unquote(column)) if found else None
        return f"{table}_{column}_seq" if known and known.identity == "serial" else None

    def _is_collation_deterministic(self, collation_name: str) -> bool | None:
        known = self.scene.graph.collations
        return next(
            (each.deterministic for each in known if each.name.name == collation_name), True
        )


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    columns: tuple[str, ...]
    kinds: frozenset[str]
    type: str = ""


def _known(table: Table | None) -> list[_Known]:
    """Constraints and indexes, as Django's introspection describes them."""
    if table is None:
        return []
    found = [_Known(each.name, each.columns, _FOREIGN) for each in table.foreign_keys]
    found += [_Known(each.name, each.columns, _CHECK) for each in table.checks]
    found += [_Known(each.name, each.columns, _UNIQUE) for each in table.uniques]
    if table.primary_key:
        found.append(_Known(table.primary_key.name, table.primary_key.columns, _PRIMARY))
    for each in table.indexes:
        keys = tuple(key.column for key in each.keys if key.column)
        kinds = _UNIQUE if each.unique else _INDEX
        found.append(
            _Known(each.name, keys, kinds, "idx" if each.method == "btree" else each.method)
        )
    return found


_FOREIGN, _CHECK, _INDEX = (frozenset([kind]) for kind in ("foreign_key", "check", "index"))
_UNIQUE = frozenset(("unique", "index"))
_PRIMARY = frozenset(("primary_key", "unique", "index"))


def _literal(value: Any) -> str:
    if isinstance(value, Computed):
        value = value.name
    try:
        return psycopg_sql.Literal(value).as_string(None)
    except Exception:  # a value of a type that only a connection can adapt
        return psycopg_sql.Literal(str(value)).as_string(None)


# --- a connection that connects to nothing -------------------------------------------------------


def detached(connection: BaseDatabaseWrapper, version: int) -> BaseDatabaseWrapper:
    """A connection of the same backend and alias that refuses to connect."""
    copy: Any = type(connection)({**connection.settings_dict}, connection.alias)
    copy.__dict__["pg_version"] = version
    copy.connect = _refuse
    return copy  # type: ignore[no-any-return]


def _refuse(*arguments: Any) -> None:
    raise NoConnection


@functools.cache
def _editor_class(own: type[BaseDatabaseSchemaEditor]) -> type[Editor]:
    return type("CollectingEditor", (Editor, own), {})


# --- operations ----------------------------------------------------------------------------------


class _Shown:
    """A state of which the touched models are rendered."""

    def __init__(self, state: RecordingState, keys: Iterable[Key]) -> None:
        models = render(state, [key for key in keys if key in state.models])
        self.models = state.models
        self.apps = models[0]._meta.apps if models else StateApps([], {})


@dataclass(frozen=True, slots=True)
class Texts:
    """The statements of an operation, and those that Django runs at the end of the migration."""

    now: list[str]
    later: list[str]


def sql_of(
    connection: BaseDatabaseWrapper,
    operation: Operation,
    app_label: str,
    before: RecordingState,
    after: RecordingState,
    scene: Scene,
    *,
    backwards: bool = False,
) -> Texts | None:
    """The SQL of one of Django's own operations, or of its reverse; None if it cannot be known
    without running it.

    `after` has recorded the models that the operation touched.
    """
    if isinstance(operation, CreateExtension):
        return Texts([_extension(operation)], [])
    if _has_no_column(operation, app_label, (before, after)):
        return Texts([], [])
    touched = after.take_touched()
    followed = with_referrers(before, after, touched) if _is_followed(operation) else set(touched)
    keys = sorted(followed | _named(operation, app_label))
    own = type(connection.schema_editor())
    editor = _editor_class(own)(connection, scene)
    try:
        states: Any = (_Shown(before, keys), _Shown(after, keys))
        if backwards:
            operation.database_backwards(app_label, editor, *reversed(states))
        else:
            operation.database_forwards(app_label, editor, *states)
        deferred = [text for each in editor.deferred_sql if (text := str(each))]
    except Exception:  # of any field, constraint or index of any package
        return None
    return Texts(editor.collected_sql, deferred)


def _has_no_column(operation: Operation, app_label: str, states: Iterable[RecordingState]) -> bool:
    """Is its field a many-to-many field whose table belongs to a model of its own?"""
    if not isinstance(operation, FieldOperation):
        return False
    known = (state.models.get((app_label, operation.model_name_lower)) for state in states)
    names = {getattr(operation, each, "") for each in ("name", "old_name", "new_name")}
    fields = [model.fields[name] for model in known if model for name in names & {*model.fields}]
    return bool(fields) and all(map(has_through, fields))


def _extension(operation: CreateExtension) -> str:
    name = psycopg_sql.Identifier(operation.name).as_string(None)
    return f"CREATE EXTENSION IF NOT EXISTS {name}"


def _is_followed(operation: Operation) -> bool:
    """Do the tables of models that point at its model follow it?"""
    return isinstance(operation, AlterField | AlterModelTable | RenameField | RenameModel)


def _named(operation: Operation, app_label: str) -> set[Key]:
    names = (getattr(operation, each, "") for each in ("model_name", "name", "old_name"))
    return {(app_label, name.lower()) for name in names if isinstance(name, str) and name}


def tables_of(
    connection: BaseDatabaseWrapper, state: RecordingState, app_label: str, scene: Scene
) -> list[str]:
    """The SQL that makes the tables of an app, and those that they point at or that point at
    them, as far as `scene` does not have them."""
    return [
        text
        for model in _missing(connection, state, app_label, scene)
        for text in _made(connection, model, scene)
    ]


def _missing(
    connection: BaseDatabaseWrapper, state: RecordingState, app_label: str, scene: Scene
) -> list[type[Model]]:
    longest = connection.ops.max_name_length()
    unknown = [
        key
        for key, model in state.models.items()
        if has_own_table(model)
        and table_of(db_table_of(model, longest), scene.schema) not in scene.graph
    ]
    near = neighbours(state, app_label)
    return render(state, sorted(key for key in unknown if key in near))


def _made(connection: BaseDatabaseWrapper, model: type[Model], scene: Scene) -> list[str]:
    editor = _editor_class(type(connection.schema_editor()))(connection, scene)
    try:
        editor.create_model(model)
        deferred = [text for each in editor.deferred_sql if (text := str(each))]
    except Exception:  # of any field, constraint or index of any package
        return []
    return [*editor.collected_sql, *deferred]

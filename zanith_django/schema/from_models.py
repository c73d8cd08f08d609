"""The declared graph: Django's own DDL of the models, read back by PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, Field, ForeignKey, Model
from django.utils.connection import ConnectionProxy

from zanith_django.exceptions import UnreadableModel
from zanith_django.schema import collector
from zanith_django.schema.ddl import TableDDL, collecting_editor, table_name
from zanith_django.schema.equality import DeclaredFacts
from zanith_django.schema.graph import SchemaGraph, Table, TableName, encode
from zanith_django.schema.object_names import unquote, with_real_name
from zanith_django.schema.scratch import (
    Connection,
    ScratchTable,
    collations,
    raw_connection,
    read_in_scratch,
    scratch_connection,
    server_of,
)
from zanith_django.schema.table_cache import TableCache, key_of, reader_digest


@dataclass(frozen=True, slots=True)
class Declared:
    """What the models ask for.

    `labels` says which model asks for a table. `conflicts` are sentences about models that share
    a table and do not declare the same: the graph has what the first of them declares.
    """

    graph: SchemaGraph
    facts: DeclaredFacts
    labels: Mapping[TableName, str]
    conflicts: tuple[str, ...] = ()


def from_models(
    connection: BaseDatabaseWrapper,
    models: Iterable[type[Model]],
    *,
    prelude: Sequence[str] = (),
    cache: Path | None = None,
    scratch: str | None = None,
) -> Declared:
    """The graph that `models`, of the registry or of a historical state, ask for.

    `prelude` is SQL that pending migrations will have run (`CREATE EXTENSION IF NOT EXISTS …`),
    `cache` the folder of the table cache, `scratch` the alias or URL of another database to read
    in. Unmanaged, proxy and swapped models are left out; automatic many-to-many tables come with
    their models. Extensions are no part of the graph: models do not declare them.
    Raises `MissingRight` and `UnreadableModel`.
    """
    if isinstance(connection, ConnectionProxy):
        connection = connections[connection.alias]  # a third of the time goes into the proxy
    wanted = list(with_many_to_many(connection, models))
    default_schema = server_of(raw_connection(connection)).default_schema
    with collector.paused(), scratch_connection(connection, scratch) as raw:
        ddl = _collect(connection, wanted, default_schema, collations(raw, prelude))
        one_per_table, conflicts = _settled(ddl)
        tables = tuple(_read(raw, one_per_table, prelude, TableCache(cache)))
    labels = {item.name: item.label for item in one_per_table}
    declaring = set(labels.values())
    return Declared(
        graph=SchemaGraph(tables=tables, default_schema=default_schema),
        facts=facts_of((m for m in wanted if m._meta.label in declaring), default_schema),
        labels=labels,
        conflicts=conflicts,
    )


def project_models(alias: str, app_configs: Iterable[AppConfig] | None = None) -> list[type[Model]]:
    """The models of the registry, or of some apps, that routers give to the database `alias`."""
    configs = apps.get_app_configs() if app_configs is None else app_configs
    models = (model for config in configs for model in config.get_models())
    return [model for model in models if router.allow_migrate_model(alias, model)]


def with_many_to_many(
    connection: BaseDatabaseWrapper, models: Iterable[type[Model]]
) -> Iterator[type[Model]]:
    """The models that have a table of their own, each once, then the many-to-many tables."""
    wanted = dict.fromkeys(m for m in models if m._meta.can_migrate(connection))
    yield from wanted
    fields = (field for model in wanted for field in model._meta.local_many_to_many)
    throughs = dict.fromkeys(field.remote_field.through for field in fields)
    yield from (t for t in throughs if t and t._meta.auto_created and t not in wanted)


def facts_of(models: Iterable[type[Model]], default_schema: str) -> DeclaredFacts:
    """What the models say and a graph cannot: `DeclaredFacts` tells."""
    named: set[tuple[TableName, str]] = set()
    automatic: set[tuple[TableName, str]] = set()
    many_to_many: set[TableName] = set()
    for model in models:
        meta, table = model._meta, table_name(model, default_schema)
        names = [item.name for item in (*meta.constraints, *meta.indexes)]
        named |= {(table, unquote(name)) for name in names if name}
        keys = [field.column for field in meta.local_concrete_fields if _is_automatic(field)]
        automatic |= {(table, unquote(column)) for column in keys if column}
        if meta.auto_created:
            many_to_many.add(table)
    return DeclaredFacts(frozenset(named), frozenset(automatic), frozenset(many_to_many))


def _is_automatic(field: Field[Any, Any]) -> bool:
    """An automatic key, or a foreign key that ends at one."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    return isinstance(field, AutoField) and field.auto_created


def _collect(
    connection: BaseDatabaseWrapper,
    models: Iterable[type[Model]],
    default_schema: str,
    known_collations: Mapping[str, bool],
) -> Iterator[TableDDL]:
    editor = collecting_editor(connection)
    editor.collations.update(known_collations)
    return (editor.collect(model, default_schema) for model in models)


def _settled(collected: Iterable[TableDDL]) -> tuple[list[TableDDL], tuple[str, ...]]:
    """One DDL a table: the first. A later one that says something else is a conflict."""
    first: dict[TableName, TableDDL] = {}
    conflicts = []
    for ddl in collected:
        known = first.setdefault(ddl.name, ddl)
        if replace(ddl, label=known.label) != known:
            conflicts.append(f"{known.label} and {ddl.label} declare table {ddl.name} differently")
    return list(first.values()), tuple(conflicts)


def _read(
    raw: Connection, wanted: Sequence[TableDDL], prelude: Sequence[str], cache: TableCache
) -> Iterator[Table]:
    """The tables of the graph, from the cache or else from the scratch."""
    context = json.dumps([reader_digest(), asdict(server_of(raw)), *prelude], sort_keys=True)
    keys = [key_of(context, str(ddl.name), ddl.statements) for ddl in wanted]
    found = [cache.get(key) for key in keys]
    missing = [ddl for ddl, table in zip(wanted, found, strict=True) if table is None]
    fresh = dict(_read_fresh(raw, missing, prelude))
    for key, ddl, known in zip(keys, wanted, found, strict=True):
        table = known or fresh[ddl.name]
        if known is None:
            cache.put(key, table)
        yield ddl.completed(table)
    cache.save()


def _read_fresh(
    raw: Connection, wanted: Sequence[TableDDL], prelude: Sequence[str]
) -> Iterator[tuple[TableName, Table]]:
    names = {f"_zs_{number:04}": ddl for number, ddl in enumerate(wanted, start=1)}
    made = [ScratchTable(name, ddl.under(name), ddl.label) for name, ddl in names.items()]
    read = read_in_scratch(raw, made, prelude=prelude) if made else {}
    for name, ddl in names.items():
        table = with_real_name(read[name], ddl.name)
        _refuse_traces(table, name, ddl)
        yield ddl.name, table


def _refuse_traces(table: Table, neutral: str, ddl: TableDDL) -> None:
    """A graph that knew of its scratch would differ from every live one."""
    text = json.dumps(encode(table))
    said = "".join(ddl.statements)
    for trace in (neutral, "pg_temp"):
        if trace in text and trace not in said:
            raise UnreadableModel(ddl.label, f"{trace} remains in what PostgreSQL printed")

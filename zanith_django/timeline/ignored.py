"""Tables that are never compared: those of setting IGNORE."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.rows import one_value
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import SchemaGraph

PUBLIC = "public"


def compared(graph: SchemaGraph, default_schema: str = "") -> SchemaGraph:
    """The graph without the tables of setting IGNORE. `default_schema` is that of the names in the
    setting, by default the graph's."""
    if not conf.ignore:
        return graph
    ignored = {_in_schema(name, default_schema or graph.default_schema) for name in conf.ignore}
    return graph.only([name for name in graph.table_names if name not in ignored])


def is_table(name: str, databases: Iterable[str]) -> bool:
    """Is it the table of a model, or does one of these databases have it?"""
    models = apps.get_models(include_auto_created=True)
    if any(table_name(model, PUBLIC) == _in_schema(name, PUBLIC) for model in models):
        return True
    asked = (connections[alias] for alias in databases)
    return any(_has(each, name) for each in asked if each.vendor == "postgresql")


def _in_schema(name: str, default_schema: str) -> TableName:
    """The name of the table in a graph with this default schema."""
    table = TableName.of(name)
    return TableName("" if table.schema == default_schema else table.schema, table.name)


def _has(connection: BaseDatabaseWrapper, name: str) -> bool:
    table = TableName.of(name)
    spelled = sql.qualified(*table) if table.schema else sql.ident(table.name)
    return bool(one_value(connection, "SELECT to_regclass(%s) IS NOT NULL", [str(spelled)]))

"""Compares any two schemas, or prints one with the facts that a plan elsewhere needs."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from zanith_django.ledger.ledger import Ledger
from zanith_django.plan.comparison import LIVE, Difference, Sources
from zanith_django.plan.live_facts import live_context
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.surroundings import surroundings, to_json


def compare(connection: BaseDatabaseWrapper, before: str, after: str) -> Difference:
    """The operations from schema `before` to `after`. Raises `UnknownSchema`, `UnreadableGraph`."""
    return Sources(connection).compare(before, after)


def with_sizes(connection: BaseDatabaseWrapper, name: str) -> dict[str, Any]:
    """The graph as JSON; of the live database with the sizes of its tables, the migrations that are
    applied, and the objects that a graph does not have: CI can plan and verify without it."""
    graph = Sources(connection).graph(name)
    data = graph.to_json()
    if name == LIVE:
        facts = live_context(connection, graph).facts
        data["rows"] = {
            _spell(table, graph): {"rows": fact.rows, "bytes": fact.bytes}
            for table, fact in sorted(facts.items())
            if table in graph
        }
        data["history"] = {
            "django": [".".join(key) for key in MigrationRecorder(connection).applied_migrations()],
            "zanith": list(Ledger(connection).applied()),
        }
        with connection.wrap_database_errors, connection.cursor() as cursor:
            data["surroundings"] = to_json(surroundings(cursor))
    return data


def _spell(name: TableName, graph: SchemaGraph) -> str:
    return str(TableName(name.schema or graph.default_schema, name.name))

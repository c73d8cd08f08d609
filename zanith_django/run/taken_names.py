"""Names that were taken before a migration began: it did not make what has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zanith_django.ledger.ledger import Ledger
from zanith_django.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddUnique,
    MergeColumns,
    Operation,
    SplitColumn,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph


def stood_before(ledger: Ledger, migration_id: str, operation: Operation) -> list[str]:
    """Names of what the operation adds that were taken before its migration began."""
    data = ledger.snapshot(migration_id, "before")
    before = SchemaGraph.from_json(data) if data else SchemaGraph()
    return [item for item in _named(operation) if item in _names(before, operation.tables)]


def _named(operation: Operation) -> list[str]:
    """Names of what the operation adds."""
    if isinstance(operation, AddColumn):
        return [operation.column.name]
    if isinstance(operation, SplitColumn):
        return [item.name for item in operation.into] if not operation.resumed else []
    if isinstance(operation, MergeColumns):
        return [operation.into.name] if not operation.resumed else []
    if isinstance(operation, AddIndex):
        return [operation.index.name]
    if isinstance(operation, AddUnique):
        return [operation.unique.name]
    if isinstance(operation, AddForeignKey):
        return [operation.foreign_key.name]
    return [operation.check.name] if isinstance(operation, AddCheck) else []


def _names(graph: SchemaGraph, tables: Iterable[TableName]) -> set[str]:
    """Names that a table has in its columns and constraints, and a schema in its indexes."""
    names: set[str] = set()
    for wanted in tables:
        for table in graph.tables:
            if table.name == wanted:
                parts = (table.columns, table.foreign_keys, table.checks)
                names.update(item.name for part in parts for item in part)
            if table.name.schema == wanted.schema:
                owners: tuple[Any, ...] = (*table.uniques, *table.exclusions, *table.indexes)
                names.update(item.name for item in owners)
    return names

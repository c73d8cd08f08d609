"""Names that existed before a migration began: it did not create their objects."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django.ledger.ledger import Ledger
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import constraint_names, index_names


def taken_before(ledger: Ledger, migration_id: str, operation: Operation) -> list[str]:
    """The names among those that the operation adds that existed before its migration began."""
    data = ledger.snapshot(migration_id, "before")
    before = SchemaGraph.from_json(data) if data else SchemaGraph()
    taken = _names(before, operation.tables)
    return [piece.name for piece in operation.pieces if piece.name in taken]


def _names(graph: SchemaGraph, tables: Iterable[TableName]) -> set[str]:
    """The names of columns and constraints in tables, and of indexes in schemas."""
    names: set[str] = set()
    for wanted in tables:
        for table in graph.tables:
            if table.name == wanted:
                names.update((*table.column_names, *constraint_names(table)))
            if table.name.schema == wanted.schema:
                names.update(index_names(table))
    return names

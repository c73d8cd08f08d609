"""The same operation in the names of the database at hand.

A migration file takes the names of constraints and indexes that nobody named from the states of
the models. A database may have others: an older Django chose them, or another field at its time,
or its table was called otherwise then. Django's own operations look such things up by what they
are; here ours are found the same way, just before they run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from zanith_django.operations import (
    AlterForeignKey,
    AlterPrimaryKey,
    ArchiveColumn,
    ArchiveTable,
    CreateTable,
    DropIndex,
    SoftDropColumn,
    SoftDropTable,
)
from zanith_django.operations.base import OnTable, Operation
from zanith_django.operations.dependents import what_contains
from zanith_django.operations.parts import AddPart, DropPart, RenamePart, dropping, renaming
from zanith_django.schema.equality import DeclaredFacts, as_declared
from zanith_django.schema.findings import Comparison
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import (
    FOREIGN_KEYS,
    INDEXES,
    UNIQUES,
    Part,
    part_of,
)


def as_live(operation: Operation, graph: SchemaGraph) -> Operation | None:
    """The operation as this database needs it; None where it has nothing to do there.

    `graph` is the schema just before the operation. What it does not know stays as it is written,
    so that PostgreSQL says what is wrong.
    """
    if isinstance(operation, SoftDropTable | ArchiveTable):
        table = graph.table(operation.table.name)
        return dataclasses.replace(operation, table=table) if table else operation
    if has_already(operation, graph):
        return None
    found = graph.table(operation.table) if isinstance(operation, OnTable) else None
    if found is None:
        return operation
    if isinstance(operation, SoftDropColumn | ArchiveColumn):
        return _whole_column(operation, found)
    if isinstance(operation, DropPart) and operation.drops.renamed:
        return _drop(operation, found)
    if isinstance(operation, RenamePart):
        return _rename(operation, found)
    if isinstance(operation, AlterForeignKey):
        return _foreign_key(operation, found)
    if isinstance(operation, AlterPrimaryKey) and operation.old:
        return dataclasses.replace(operation, old=found.primary_key)
    return operation


def has_already(operation: Operation, graph: SchemaGraph) -> bool:
    """What the operation adds is in this schema exactly so: it came back with a column, or an
    attempt made it that was cut off before it recorded that."""
    if isinstance(operation, CreateTable):
        return _is_there(operation.table, graph)
    if not isinstance(operation, AddPart):
        return False
    found = graph.table(operation.table)
    return found is not None and operation.item in operation.adds.of(found)


def _is_there(wanted: Table, graph: SchemaGraph) -> bool:
    """Exactly this table, as zanith_recover brought it back: it is taken with its rows."""
    live = graph.table(wanted.name)
    if live is None or {item.name for item in live.columns} != {c.name for c in wanted.columns}:
        return False
    alone, declared = SchemaGraph(tables=(live,)), SchemaGraph(tables=(wanted,))
    return as_declared(alone, declared).live.tables == declared.tables


def _whole_column(
    operation: SoftDropColumn | ArchiveColumn, table: Table
) -> SoftDropColumn | ArchiveColumn:
    """Whatever contains the live column would trip up code that knows the column no more, or is
    to come back with it."""
    column = table.column(operation.column.name)
    if column is None:
        return operation
    parts = what_contains(table, column.name)
    return dataclasses.replace(operation, column=column, **parts)


def _drop(operation: DropPart, table: Table) -> Operation | None:
    part, wanted = operation.drops, operation.item
    if _has(part.of(table), wanted.name):
        return operation
    seen = comparison(table, part, wanted)
    if wanted not in part.of(seen.live.tables[0]):
        return operation
    strangers = [extra.item for extra in seen.extras]
    twin = next((item for item in part.of(table) if item not in strangers), None)
    if twin is not None:
        return dropping(table.name, twin, operation.model)
    if part is UNIQUES:  # a plain unique index does its work
        index = next(item for item in table.indexes if item not in strangers)
        return DropIndex(table=operation.table, index=index, model=operation.model)
    return None  # an index for LIKE, which some databases never had


def _rename(operation: RenamePart, table: Table) -> Operation | None:
    """A name that is not there belongs to what looks the same, if anything does."""
    if any(_has(part.of(table), operation.old) for part in operation.renames):
        return operation
    for wanted in operation.known:
        twin = _twin(table, part_of(wanted), wanted)
        if twin and twin.name != operation.new:
            return renaming(table.name, twin, twin.name, operation.new, operation.model)
    return None


def _foreign_key(operation: AlterForeignKey, table: Table) -> AlterForeignKey:
    wanted = operation.foreign_key
    if wanted is None or _has(table.foreign_keys, operation.name):
        return operation
    twin = _twin(table, FOREIGN_KEYS, wanted)
    if twin is None:
        return operation
    return dataclasses.replace(operation, name=twin.name, foreign_key=twin)


def _twin(table: Table, part: Part, wanted: Any) -> Any:
    """What stands in the database for `wanted`, under another name."""
    seen = comparison(table, part, wanted)
    if wanted not in part.of(seen.live.tables[0]):
        return None
    strangers = [extra.item for extra in seen.extras]
    return next((item for item in part.of(table) if item not in strangers), None)


def comparison(table: Table, part: Part, wanted: Any) -> Comparison:
    """The live table against itself with nothing but `wanted` in one of its parts: another item
    would be paired with itself, whatever its name."""
    without: dict[str, Any] = {INDEXES.field: ()} if part is UNIQUES else {}
    declared = dataclasses.replace(table, **{**without, part.field: (wanted,)})
    facts = DeclaredFacts(many_to_many=frozenset([table.name]))
    return as_declared(SchemaGraph(tables=(table,)), SchemaGraph(tables=(declared,)), facts)


def _has(items: Iterable[Any], name: str) -> bool:
    return any(item.name == name for item in items)

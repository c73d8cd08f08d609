"""The same operation in the names of the database at hand.

A migration file takes the names of constraints and indexes that nobody named from the states of
the models. A database may have others: an older Django chose them, or another field at its time,
or its table was called otherwise then. Django's own operations look such things up by what they
are; here ours are found the same way, just before they run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

from zanith_django.operations import (
    AddCheck,
    AddForeignKey,
    AddIndex,
    AddUnique,
    AlterForeignKey,
    AlterPrimaryKey,
    ArchiveColumn,
    ArchiveTable,
    CreateTable,
    DropCheck,
    DropExclusion,
    DropForeignKey,
    DropIndex,
    DropUnique,
    RenameConstraint,
    RenameIndex,
    SoftDropColumn,
    SoftDropTable,
)
from zanith_django.operations.base import OnTable, Operation
from zanith_django.operations.dependents import what_contains
from zanith_django.schema.equality import DeclaredFacts, as_declared
from zanith_django.schema.findings import Comparison
from zanith_django.schema.graph import SchemaGraph, Table

_Drop = DropUnique | DropForeignKey | DropCheck | DropExclusion | DropIndex

# {kind: (the part of a table it drops from, its field with the dropped thing)}
_DROPS: Final[dict[type[Operation], tuple[str, str]]] = {
    DropUnique: ("uniques", "unique"),
    DropForeignKey: ("foreign_keys", "foreign_key"),
    DropCheck: ("checks", "check"),
    DropExclusion: ("exclusions", "exclusion"),
    DropIndex: ("indexes", "index"),
}

_Add = AddUnique | AddForeignKey | AddCheck | AddIndex

# {kind: (the part of a table it adds to, its field with what it adds)}. What is there exactly so
# came back with a column, or was made by an attempt that was cut off before it said so.
_ADDS: Final[dict[type[Operation], tuple[str, str]]] = {
    AddUnique: ("uniques", "unique"),
    AddForeignKey: ("foreign_keys", "foreign_key"),
    AddCheck: ("checks", "check"),
    AddIndex: ("indexes", "index"),
}


def as_live(operation: Operation, graph: SchemaGraph) -> Operation | None:
    """The operation as this database needs it; None where it has nothing to do there.

    `graph` is the schema just before the operation. What it does not know stays as it is written,
    so that PostgreSQL says what is wrong.
    """
    if isinstance(operation, SoftDropTable | ArchiveTable):
        table = graph.table(operation.table.name)
        return dataclasses.replace(operation, table=table) if table else operation
    if isinstance(operation, CreateTable):
        return None if _is_there(operation.table, graph) else operation
    found = graph.table(operation.table) if isinstance(operation, OnTable) else None
    if found is None:
        return operation
    if isinstance(operation, SoftDropColumn | ArchiveColumn):
        return _whole_column(operation, found)
    if isinstance(operation, _Drop):
        return _drop(operation, found)
    if isinstance(operation, _Add):
        part, field = _ADDS[type(operation)]
        return None if getattr(operation, field) in getattr(found, part) else operation
    if isinstance(operation, RenameIndex | RenameConstraint):
        return _rename(operation, found)
    if isinstance(operation, AlterForeignKey):
        return _foreign_key(operation, found)
    if isinstance(operation, AlterPrimaryKey) and operation.old:
        return dataclasses.replace(operation, old=found.primary_key)
    return operation


def has_already(operation: Operation, graph: SchemaGraph) -> bool:
    """What the operation adds is in this schema exactly so."""
    return isinstance(operation, CreateTable | _Add) and as_live(operation, graph) is None


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


def _drop(operation: _Drop, table: Table) -> Operation | None:
    part, field = _DROPS[type(operation)]
    wanted, there = getattr(operation, field), getattr(table, part)
    if _has(there, wanted.name):
        return operation
    seen = _comparison(table, part, wanted)
    if wanted not in getattr(seen.live.tables[0], part):
        return operation
    strangers = [extra.item for extra in seen.extras]
    twin = next((item for item in there if item not in strangers), None)
    if twin is not None:
        return dataclasses.replace(operation, **{field: twin})
    if isinstance(operation, DropUnique):  # a plain unique index does its work
        index = next(item for item in table.indexes if item not in strangers)
        return DropIndex(table=operation.table, index=index, model=operation.model)
    return None  # an index for LIKE, which some databases never had


def _rename(
    operation: RenameIndex | RenameConstraint, table: Table
) -> RenameIndex | RenameConstraint | None:
    """A name that is not there belongs to what looks the same, if anything does."""
    there = table.indexes if isinstance(operation, RenameIndex) else _constraints(table)
    if _has(there, operation.old):
        return operation
    for part, field in _DROPS.values():
        wanted = getattr(operation, field, None)
        twin = _twin(table, part, wanted) if wanted else None
        if twin and twin.name != operation.new:
            return dataclasses.replace(operation, old=twin.name, **{field: twin})
    return None


def _foreign_key(operation: AlterForeignKey, table: Table) -> AlterForeignKey:
    wanted = operation.foreign_key
    if wanted is None or _has(table.foreign_keys, operation.name):
        return operation
    twin = _twin(table, "foreign_keys", wanted)
    if twin is None:
        return operation
    return dataclasses.replace(operation, name=twin.name, foreign_key=twin)


def _twin(table: Table, part: str, wanted: Any) -> Any:
    """What stands in the database for `wanted`, under another name."""
    seen = _comparison(table, part, wanted)
    if wanted not in getattr(seen.live.tables[0], part):
        return None
    strangers = [extra.item for extra in seen.extras]
    return next((item for item in getattr(table, part) if item not in strangers), None)


def _comparison(table: Table, part: str, wanted: Any) -> Comparison:
    """The live table against itself with nothing but `wanted` in one of its parts."""
    without: dict[str, Any] = {"indexes": ()} if part == "uniques" else {}
    declared = dataclasses.replace(table, **{**without, part: (wanted,)})
    facts = DeclaredFacts(many_to_many=frozenset([table.name]))
    return as_declared(SchemaGraph(tables=(table,)), SchemaGraph(tables=(declared,)), facts)


def _has(items: Iterable[Any], name: str) -> bool:
    return any(item.name == name for item in items)


def _constraints(table: Table) -> list[Any]:
    key = (table.primary_key,) if table.primary_key else ()
    return [*key, *table.uniques, *table.foreign_keys, *table.checks, *table.exclusions]

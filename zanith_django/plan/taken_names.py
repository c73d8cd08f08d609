"""Names that an operation gives although the schema has something of that name already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations import AddColumn, CreateTable
from zanith_django.operations.base import Operation
from zanith_django.operations.keep.restored import is_restored
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

_PARTS = {
    "columns": "column",
    "checks": "check",
    "foreign_keys": "foreign key",
    "indexes": "index",
    "uniques": "unique constraint",
    "exclusions": "exclusion constraint",
}


@dataclass(frozen=True, slots=True)
class TakenName:
    """A table, or a part of one; `invalid` is an index whose build failed."""

    kind: str
    name: str
    table: TableName
    invalid: bool = False

    @property
    def target(self) -> str:
        return str(self.table) if self.kind == "table" else f"{self.table}.{self.name}"

    def __str__(self) -> str:
        whole = self.kind == "table"
        return f"table {self.table}" if whole else f"{self.kind} {self.name} of {self.table}"


def taken_names(operation: Operation, before: SchemaGraph) -> Iterator[TakenName]:
    """What the operation adds and the schema before it has: a table, or parts of its tables.

    A column that zanith_recover brought back is none if the operation takes it over.
    """
    if isinstance(operation, CreateTable) and operation.table.name in before:
        yield TakenName("table", operation.table.name.name, operation.table.name)
        return
    after, inverse = operation.apply_to(before), operation.inverse()
    without = inverse.apply_to(after) if inverse else after
    for name in operation.tables:
        old, new, rest = before.table(name), after.table(name), without.table(name)
        if old and new and rest:
            yield from _parts(operation, before, old, new, rest)


def _parts(
    operation: Operation, before: SchemaGraph, old: Table, new: Table, rest: Table
) -> Iterator[TakenName]:
    found = {part: [*_added_again(part, old, new, rest)] for part in _PARTS}
    if any(_is_adopted(column, operation, before) for column in found["columns"]):
        return  # with its checks and indexes
    for part, items in found.items():
        for item in items:
            invalid = part == "indexes" and not item.valid
            yield TakenName(_PARTS[part], item.name, old.name, invalid)


def _added_again(part: str, old: Table, new: Table, rest: Table) -> Iterator[Any]:
    """Items of the old table whose names the new one has from the operation."""
    there = {item.name: item for item in getattr(old, part)}
    stays = {item.name for item in getattr(rest, part)}
    for item in getattr(new, part):
        if item.name in there and item.name not in stays:
            yield there[item.name]


def _is_adopted(column: Column, operation: Operation, before: SchemaGraph) -> bool:
    if not is_restored(column):
        return False
    return not isinstance(operation, AddColumn) or operation.adopts(before)

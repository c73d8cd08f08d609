"""Names of an operation's new objects that the schema has already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.base import Operation
from zanith_django.operations.keep.restored import is_restored
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.parts import CHANGED, COLUMNS, INDEXES, Part


@dataclass(frozen=True, slots=True)
class TakenName:
    """A table, or an item of `part` of one; `invalid` is an index whose build failed."""

    table: TableName
    part: Part | None = None
    name: str = ""
    invalid: bool = False

    @property
    def kind(self) -> str:
        return self.part.noun if self.part else "table"

    @property
    def target(self) -> str:
        return f"{self.table}.{self.name}" if self.part else str(self.table)

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.table}" if self.part else f"table {self.table}"


def taken_names(operation: Operation, before: SchemaGraph) -> Iterator[TakenName]:
    """The tables and parts that the operation adds and the schema before it already has. A column
    that zanith_recover restored is left out if the operation adopts it.
    """
    created = operation.creates_table
    if created and created.name in before:
        yield TakenName(created.name)
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
    found = {part: [*_added_again(part, old, new, rest)] for part in (COLUMNS, *CHANGED)}
    if any(_is_adopted(column, operation, before) for column in found[COLUMNS]):
        return  # with its checks and indexes
    for part, items in found.items():
        for item in items:
            yield TakenName(old.name, part, item.name, part is INDEXES and not item.valid)


def _added_again(part: Part, old: Table, new: Table, rest: Table) -> Iterator[Any]:
    """Items of the old table whose names the new one has from the operation."""
    there = {item.name: item for item in part.of(old)}
    stays = {item.name for item in part.of(rest)}
    for item in part.of(new):
        if item.name in there and item.name not in stays:
            yield there[item.name]


def _is_adopted(column: Column, operation: Operation, before: SchemaGraph) -> bool:
    if not is_restored(column):
        return False
    return operation.adds is not COLUMNS or operation.adopts(before)

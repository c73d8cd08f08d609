"""The answers of an operation about itself, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zanith_django.postgres.names import TableName
from zanith_django.schema.parts import Column, Part


@dataclass(frozen=True, slots=True)
class Piece:
    """One item of a table that an operation adds, and the part that it belongs to."""

    table: TableName
    part: Part
    item: Any

    @property
    def name(self) -> str:
        return str(self.item.name)

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


@dataclass(frozen=True, slots=True)
class ColumnRename:
    """A column that an operation gives another name."""

    table: TableName
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Loss:
    """The object that a drop removes permanently: one column of a table, or the whole table."""

    table: TableName
    column: Column | None = None


@dataclass(frozen=True, slots=True)
class DjangoCode:
    """The operation of a Django migration ("shop.0007_…") that a step runs, by its position;
    `backwards` runs its reverse. With `reversible`, Django can reverse it."""

    migration: str
    position: int
    description: str = ""
    reversible: bool = True
    backwards: bool = False

    def __str__(self) -> str:
        return f"{self.migration}#{self.position}"

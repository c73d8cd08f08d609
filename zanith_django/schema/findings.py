"""The findings of a comparison that are no operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph


@dataclass(frozen=True, slots=True)
class Extra:
    """Something on an owned table that no model names; `item` is the value itself."""

    kind: str
    table: TableName
    name: str
    item: Any = field(default=None, compare=False)

    @property
    def description(self) -> str:
        if not self.name:
            return f"{self.kind} of {self.table}"
        return f"{self.kind} {self.name} on {self.table}"


@dataclass(frozen=True, slots=True)
class Note:
    """A difference worth a word and no operation."""

    table: TableName
    name: str
    what: str

    @property
    def description(self) -> str:
        return f"{self.name} on {self.table} {self.what}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`live` holds the declared tables, in the words of the models if the two are equal.

    Objects that differ keep the names that they have in the database, so that an operation on
    them finds them.
    """

    live: SchemaGraph
    extras: tuple[Extra, ...] = ()
    notes: tuple[Note, ...] = ()

"""The results of a comparison that are not operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import Part, Setting


@dataclass(frozen=True, slots=True)
class Extra:
    """Something on an owned table that no model names: an item of `part`, a setting of an item, or
    a setting of the table. `item` is the item itself, or the value of the table's setting."""

    table: TableName
    part: Part | None = None
    setting: Setting | None = None
    name: str = ""
    item: Any = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        return " of ".join(each.noun for each in (self.setting, self.part) if each)

    @property
    def description(self) -> str:
        if not self.name:
            return f"{self.kind} of {self.table}"
        return f"{self.kind} {self.name} on {self.table}"


@dataclass(frozen=True, slots=True)
class Note:
    """A difference that is reported without an operation; an `important` one is always shown."""

    table: TableName
    name: str
    what: str
    important: bool = False

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

"""What is true of tables and no state of Django's models says.

A check may be NOT VALID. A column or a table that is dropped takes the foreign keys that point at
it, while the state keeps the relations; what comes under that name later does not bring them back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from django.db.models import Model

from zanith_django.postgres.names import TableName
from zanith_django.schema.canonical import is_like
from zanith_django.schema.ddl import table_name
from zanith_django.schema.graph import Column, Index, Table
from zanith_django.schema.object_names import unquote

Key = tuple[str, str]
"""App label and lower-case name of a model, as `ProjectState.models` has them."""

State = TypeVar("State")


class Side(Enum):
    """Which column of a relation is meant."""

    OWN = "the column of a foreign key"
    SOURCE = "in a many-to-many table the column of the model that has the field"
    TARGET = "in a many-to-many table the column of the other model"


class Relation(NamedTuple):
    """A column that Django makes for a relation."""

    model: Key
    field: str
    side: Side

    def place(self, model: type[Model], default_schema: str) -> tuple[TableName, str]:
        """Its table and its name, where `model` is the rendered one."""
        found: Any = model._meta.get_field(self.field)
        if self.side is Side.OWN:
            return table_name(model, default_schema), unquote(found.column)
        through = table_name(found.remote_field.through, default_schema)
        is_source = self.side is Side.SOURCE
        return through, unquote(found.m2m_column_name() if is_source else found.m2m_reverse_name())


class Loose(NamedTuple, Generic[State]):
    """A relation without a foreign key: the state, and its name there, when it last had one."""

    state: State
    relation: Relation


@dataclass(slots=True)
class Unstated(Generic[State]):
    """These facts of one state. They follow what models and fields are renamed to."""

    not_valid: set[tuple[Key, str]] = field(default_factory=set)
    followed: set[tuple[Key, str]] = field(default_factory=set)
    """Constraints and indexes that contain a renamed column under its old name in the models."""
    loose: dict[Relation, Loose[State]] = field(default_factory=dict)

    def copy(self) -> Unstated[State]:
        return Unstated(set(self.not_valid), set(self.followed), dict(self.loose))

    def forget_model(self, key: Key) -> None:
        self.not_valid = {each for each in self.not_valid if each[0] != key}
        self.followed = {each for each in self.followed if each[0] != key}
        self.loose = {each: was for each, was in self.loose.items() if each.model != key}

    def forget_field(self, key: Key, name: str) -> None:
        self.loose = {each: was for each, was in self.loose.items() if each[:2] != (key, name)}

    def rename_field(self, key: Key, old: str, new: str) -> None:
        self.loose = {
            each._replace(field=new) if each[:2] == (key, old) else each: was
            for each, was in self.loose.items()
        }

    def renamed_model(self, old: Key, new: Key) -> Unstated[State]:
        return Unstated(
            {(new if key == old else key, name) for key, name in self.not_valid},
            {(new if key == old else key, name) for key, name in self.followed},
            {
                each._replace(model=new) if each.model == old else each: was
                for each, was in self.loose.items()
            },
        )


def unvalidated(table: Table, name: str) -> Table:
    """The table with this check NOT VALID."""
    checks = tuple(
        dataclasses.replace(c, valid=False) if c.name == name else c for c in table.checks
    )
    return dataclasses.replace(table, checks=checks)


def loosened(table: Table, name: str, was: Column, pattern_indexes: Iterable[Index]) -> Table:
    """The table without the foreign key of one column, which stays as it was."""
    keys = tuple(key for key in table.foreign_keys if key.columns != (name,))
    columns = tuple(
        dataclasses.replace(c, type=was.type, collation=was.collation) if c.name == name else c
        for c in table.columns
    )
    others = (index for index in table.indexes if not is_pattern_of(index, name))
    own = (
        dataclasses.replace(i, keys=(dataclasses.replace(i.keys[0], column=name),))
        for i in pattern_indexes
    )
    return dataclasses.replace(
        table, foreign_keys=keys, columns=columns, indexes=tuple(sorted((*others, *own), key=_name))
    )


def is_pattern_of(index: Index, column: str) -> bool:
    """Is it the index that Django makes for LIKE beside that of this column?"""
    return is_like(index) and index.keys[0].column == column


def _name(index: Index) -> str:
    return index.name

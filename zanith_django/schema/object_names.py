"""The names that PostgreSQL chooses for objects without a name, and how it truncates names.

The rules are `makeObjectName`, `ChooseRelationName`, `ChooseConstraintName` and
`ChooseIndexNameAddition` of PostgreSQL's source; a test compares them with the server.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from zanith_django.postgres.names import TableName
from zanith_django.postgres.sql import NAME_BYTES
from zanith_django.schema.graph import Check, Exclusion, Index, PrimaryKey, Table, Unique
from zanith_django.schema.parts import NAMED, PARTS, PRIMARY_KEY

Named = TypeVar("Named", PrimaryKey, Unique, Check, Exclusion, Index)


def clip(name: str, size: int = NAME_BYTES) -> str:
    """The name as PostgreSQL keeps it: cut to `size` bytes, never inside a character."""
    return name.encode()[:size].decode(errors="ignore")


@functools.lru_cache(maxsize=100_000)
def unquote(name: str) -> str:
    """A name as the catalog has it, from a name as SQL spells it with or without quotes."""
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = name[1:-1]
    return clip(name.replace('""', '"'))


def make_object_name(table: str, columns: str, label: str) -> str:
    """`<table>_<columns>_<label>` in 63 bytes: the longer of the first two is cut first."""
    room = NAME_BYTES - len(label) - 1 - (1 if columns else 0)
    first, second = len(table.encode()), len(columns.encode())
    while first + second > room:
        if first > second:
            first -= 1
        else:
            second -= 1
    parts = [clip(table, first), clip(columns, second), label]
    return "_".join(part for part in parts if part)


def joined_columns(names: Iterable[str]) -> str:
    """How PostgreSQL joins column names in the name of an index: it stops past 63 bytes."""
    text = ""
    for name in names:
        if len(text.encode()) > NAME_BYTES:
            break
        text = f"{text}_{name}" if text else name
    return text


def chosen_name(table: str, columns: str, label: str, taken: Collection[str]) -> str:
    """The first free one of `…_label`, `…_label1`, `…_label2`."""
    labels = (f"{label}{number or ''}" for number in count())
    names = (make_object_name(table, columns, label) for label in labels)
    return next(name for name in names if name not in taken)


def with_real_name(table: Table, name: TableName) -> Table:
    """A table that was created under a neutral name, as if it had been created under `name`. Names
    that PostgreSQL chose begin with the neutral name; they become those that it would have chosen
    for `name`. It ignores that another table may have taken such a name before. Triggers, rules and
    statistics, whose text names the table, are left out: Django declares none.
    """
    rename = _Renaming(table, name.name)
    parts: dict[str, Any] = {part.field: () for part in NAMED if part.read_only}
    for part in (part for part in PARTS if part.label):
        items = rename.each(part.of(table), part.label)
        parts[part.field] = next(iter(items), None) if part is PRIMARY_KEY else items
    return replace(table, name=name, **parts)


class _Renaming:
    """Gives the parts of one table their names, in the order in which PostgreSQL makes them."""

    def __init__(self, table: Table, real: str) -> None:
        self.prefix = f"{table.name.name}_"
        self.real = real
        self.position = {column: n for n, column in enumerate(table.column_names)}
        self.taken: set[str] = set()

    def each(self, items: Sequence[Named], label: str) -> tuple[Named, ...]:
        chosen = [item for item in items if item.name.startswith(self.prefix)]
        names: dict[str, str] = {}
        for item in self._as_made(chosen):
            name = chosen_name(self.real, _name_part(item), label, self.taken)
            names[item.name] = name
            self.taken.add(name)
        return tuple(
            replace(item, name=names[item.name]) if item.name in names else item for item in items
        )

    def _as_made(self, items: Sequence[Named]) -> list[Named]:
        """The items in the order of their columns; columns that would get the same name are ordered
        by number."""
        first: dict[str, list[int]] = {}
        for item in items:
            positions = [self.position.get(column, -1) for column in _columns(item)]
            part = _name_part(item)
            first[part] = min(first.get(part, positions), positions)
        return sorted(items, key=lambda i: (first[_name_part(i)], len(i.name), i.name))


def _columns(item: PrimaryKey | Unique | Check | Exclusion | Index) -> tuple[str, ...]:
    if isinstance(item, Index):
        return tuple(key.column or "expr" for key in item.keys)
    return item.columns


def _name_part(item: PrimaryKey | Unique | Check | Exclusion | Index) -> str:
    """The middle of a chosen name: a check has it only if it reads a single column."""
    if isinstance(item, PrimaryKey):
        return ""
    columns = _columns(item)
    if isinstance(item, Check):
        return columns[0] if len(columns) == 1 else ""
    return joined_columns(columns)

"""The renames of a difference: tables, columns, and parts of tables."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ
from zanith_django.diff.pairs import relation_names
from zanith_django.operations.base import Operation
from zanith_django.operations.parts import renaming
from zanith_django.postgres.names import TableName
from zanith_django.schema.parts import NAMED, PRIMARY_KEY, Part, constraint_names

ASIDE = "_zanith_renamed_"
Name = TypeVar("Name", bound=Hashable)


def renamed_tables(d: Differ) -> Iterator[Operation]:
    tables = [(old, new) for old, new in d.hints.tables.items() if old in d.now]
    for old, new in _in_order(tables, lambda name: name in d.now, _table_aside):
        yield ops.RenameTable(old=old, new=new, model=d.label(new))


def renamed_columns(d: Differ) -> Iterator[Operation]:
    for table in dict.fromkeys(table for table, _ in d.hints.columns):

        def taken(name: str, table: TableName = table) -> bool:
            return d.current(table).column(name) is not None

        columns = [(old, new) for (t, old), new in d.hints.columns.items() if t == table]
        there = [(old, new) for old, new in columns if taken(old)]
        for old_column, new_column in _in_order(there, taken, name_aside):
            yield ops.RenameColumn(
                table=table, old=old_column, new=new_column, model=d.label(table)
            )


def _in_order(
    pairs: list[tuple[Name, Name]], taken: Callable[[Name], bool], aside: Callable[[Name], Name]
) -> Iterator[tuple[Name, Name]]:
    """Renames in an order in which every new name is free. A cycle uses a temporary name. A rename
    to a name that another object keeps is left out.
    """
    waiting = [(old, new) for old, new in pairs if old != new]
    while waiting:
        ready = next((pair for pair in waiting if not taken(pair[1])), None)
        if ready is not None:
            waiting.remove(ready)
            yield ready
            continue
        old, new = waiting.pop(0)
        if any(new == other for other, _ in waiting):
            yield old, aside(old)
            waiting.append((aside(old), new))


def name_aside(name: str) -> str:
    """A temporary name that no object has. The temporary name of a temporary name is itself."""
    if name.startswith(ASIDE):
        return name
    return f"{ASIDE}{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _table_aside(name: TableName) -> TableName:
    return TableName(name.schema, name_aside(name.name))


def renamed_parts(d: Differ) -> Iterator[Operation]:
    """Renames constraints and indexes that changed only their name, instead of rebuilding them. A
    cycle of names uses a temporary one."""
    waiting = [
        _NameChange(pair.name, part, old.name, new.name, old)
        for pair in d.pairs()
        for part in (*NAMED, PRIMARY_KEY)
        for old, new in pair.renamed(part)
    ]
    taken = relation_names(d.now) if waiting else set()
    while waiting:
        free = [change for change in waiting if change.is_free(d, taken)]
        if not free:
            change = waiting.pop(0)
            if change.old == name_aside(change.old):
                continue
            free = [dataclasses.replace(change, new=name_aside(change.old))]
            waiting.append(dataclasses.replace(change, old=name_aside(change.old)))
        for change in free:
            old, new, label = change.old, change.new, d.label(change.table)
            yield renaming(change.table, change.item, old, new, label)
            if change.part.owns_index:
                taken.discard(TableName(change.table.schema, old))
                taken.add(TableName(change.table.schema, new))
        done = set(free)
        waiting = [change for change in waiting if change not in done]


@dataclass(frozen=True, slots=True)
class _NameChange:
    """A constraint or index of a table that gets another name."""

    table: TableName
    part: Part
    old: str
    new: str
    item: Any

    def is_free(self, d: Differ, taken: set[TableName]) -> bool:
        """Is the new name free? `taken` are the names of tables and indexes."""
        if self.part.is_constraint and self.new in constraint_names(d.current(self.table)):
            return False
        return not (self.part.owns_index and TableName(self.table.schema, self.new) in taken)

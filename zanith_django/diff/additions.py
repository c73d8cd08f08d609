"""The part of a difference that adds objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ
from zanith_django.diff.fills import fill_rows, null_forbidden
from zanith_django.diff.pairs import has_key, same_key
from zanith_django.diff.renames import name_aside
from zanith_django.operations.base import Operation
from zanith_django.operations.parts import adding
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, Table
from zanith_django.schema.parts import (
    BUILT,
    FOREIGN_KEYS,
    Part,
    constraint_names,
    index_names,
)


def new_tables(d: Differ) -> Iterator[Operation]:
    """Tables in the order of their foreign keys. A key that closes a cycle comes later, and so does
    one to columns that an old table does not have yet."""
    new = [table for table in d.after.tables if table.name not in d.now]
    made: set[TableName] = set()
    for table in by_dependency(new):
        made.add(table.name)
        keys = tuple(
            key for key in table.foreign_keys if key.references in made or _is_ready(d, key)
        )
        created = dataclasses.replace(table, foreign_keys=keys)
        yield ops.CreateTable(table=created, model=d.label(table.name))


def _is_ready(d: Differ, key: ForeignKey) -> bool:
    """Do the referenced columns of an old table have their final form? A table that neither graph
    has does not change."""
    current, wanted = d.now.table(key.references), d.after.table(key.references)
    if current is None and wanted is None:
        return True
    if current is None or wanted is None:
        return False
    same = all(current.column(c) == wanted.column(c) for c in key.referenced_columns)
    old, new = current.primary_key, wanted.primary_key
    stable = old == new or (old is not None and same_key(old, new))
    return same and stable and has_key(current, key.referenced_columns)


def by_dependency(tables: Iterable[Table]) -> list[Table]:
    """Sorts referenced tables before those that reference them; cycles are cut anywhere."""
    by_name = {table.name: table for table in tables}
    ordered: dict[TableName, Table] = {}
    visiting: set[TableName] = set()
    stack = [(table, False) for table in reversed(by_name.values())]
    while stack:
        table, expanded = stack.pop()
        if expanded:
            ordered[table.name] = table
        elif table.name not in visiting:
            visiting.add(table.name)
            stack.append((table, True))
            needed = sorted({key.references for key in table.foreign_keys}, reverse=True)
            stack += [(by_name[n], False) for n in needed if n in by_name and n not in visiting]
    return list(ordered.values())


def added_columns(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for column in pair.new_columns:
            if not column.generated:
                yield from _added_column(d, pair.name, column)


def new_generated(d: Differ) -> Iterator[Operation]:
    """Generated columns, after the columns that they read have their types."""
    for pair in d.pairs():
        for column in pair.new_columns:
            yield ops.AddGeneratedColumn(table=pair.name, column=column, model=d.label(pair.name))


def _added_column(d: Differ, table: TableName, column: Column) -> Iterator[Operation]:
    label, fill = d.label(table), d.hints.fills.get((table, column.name))
    if fill is None or column.default is not None or column.identity:
        yield ops.AddColumn(table=table, column=column, model=label)
    elif fill.default and fill.default.each:
        empty = dataclasses.replace(column, nullable=True)
        yield ops.AddColumn(table=table, column=empty, model=label)
        yield from fill_rows(d, table, column)
        if not column.nullable:
            yield null_forbidden(table, column, fill, label)
    elif fill.default:
        yield ops.AddColumn(table=table, column=column, default=fill.default, model=label)
    else:  # rows that running code inserts meanwhile get the value too
        filled = dataclasses.replace(column, default=fill.expression)
        yield ops.AddColumn(table=table, column=filled, model=label)
        yield ops.AlterColumnDefault(
            table=table, column=column.name, old=fill.expression, model=label
        )


def new_parts(d: Differ) -> Iterator[Operation]:
    yield from _added(d, BUILT)


def new_foreign_keys(d: Differ) -> Iterator[Operation]:
    yield from _added(d, (FOREIGN_KEYS,))


def _added(d: Differ, parts: Iterable[Part]) -> Iterator[Operation]:
    """New parts. A replacement of the same name is built under a temporary name, and renamed after
    the drop of the old one."""
    for part in parts:
        for pair in d.pairs():
            kept = {new.name for _, new in pair.kept(part)}
            taken = {*constraint_names(pair.current), *index_names(pair.current)}
            for item in part.of(pair.wanted):
                if item.name in kept:
                    continue
                if item.name in taken:
                    item = dataclasses.replace(item, name=name_aside(item.name))
                yield adding(pair.name, item, d.label(pair.name))

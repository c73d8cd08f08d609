"""The demands of a step on existing rows: the difference between the schema before and after it,
whatever the form of the step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zanith_django.operations.base import Context, Operation
from zanith_django.operations.moves import TableMove
from zanith_django.operations.online.rewrites import keeps_values
from zanith_django.operations.touches import Effect
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Index, SchemaGraph, Table, Unique
from zanith_django.schema.parts import COLUMNS, DEMANDING, INDEXES, UNIQUES, Part


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to the schema: the graph after it, the tables that it touches and moves.

    Of code of an author, its statements say what rows get: `unfilled` are the tables whose rows get
    no value for a new NOT NULL column, `written` those whose rows it writes; None of other steps.
    `given` are the constants that existing rows get in new columns, as SQL.
    """

    after: SchemaGraph
    tables: tuple[TableName, ...]
    moves: tuple[TableMove, ...]
    unfilled: frozenset[TableName] | None = None
    written: frozenset[TableName] = frozenset()
    given: Mapping[TableName, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A column whose values get another type, by the expression `using` if there is one."""

    old: Column
    new: Column
    using: str = ""


@dataclass(frozen=True, slots=True)
class Demands:
    """What every row of a table must fulfil for a step to succeed.

    `wanted` has only the parts that are new. `missing` are new NOT NULL columns for which existing
    rows have no value.
    """

    wanted: Table
    conversions: tuple[Conversion, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def table(self) -> TableName:
        return self.wanted.name

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the demands read."""
        items = (item for part in DEMANDING for item in part.of(self.wanted))
        named = {name for item in items for name in item.columns}
        types = {conversion.old.name for conversion in self.conversions}
        return frozenset(named | types | {column.name for column in self.wanted.columns})

    def without(self, columns: Collection[str]) -> Demands:
        """The demands that read none of these columns."""
        parts: dict[str, Any] = {
            part.field: tuple(i for i in part.of(self.wanted) if not set(i.columns) & set(columns))
            for part in DEMANDING
        }
        own = tuple(column for column in self.wanted.columns if column.name not in columns)
        types = tuple(c for c in self.conversions if c.old.name not in columns)
        return Demands(Table(self.table, own, **parts), types, self.missing)

    def __bool__(self) -> bool:
        items = any(part.of(self.wanted) for part in (COLUMNS, *DEMANDING))
        return bool(items or self.conversions or self.missing)


def demands(operation: Operation, context: Context, change: Change) -> Iterator[Demands]:
    """The demands on each table that the operation changes and that existed before it."""
    moved = {name for move in change.moves for name in (move.old, move.new)}
    renamed = renames(operation, context)
    for name in change.tables:
        old, new = context.graph.table(name), change.after.table(name)
        if old and new and name not in moved and name not in renamed:
            found = _between(old, new, operation, change)
            if found:
                yield found


def renames(operation: Operation, context: Context) -> dict[TableName, dict[str, str]]:
    """{table: {old name of a column: its new name}} of the columns that the operation renames."""
    touches = [t for t in operation.touches(context) if t.effect is Effect.RENAME_COLUMN]
    after = operation.apply_to(context.graph) if touches else context.graph
    return {
        touch.table: _pairs(touch.table, touch.columns, context.graph, after) for touch in touches
    }


def _pairs(
    name: TableName, columns: tuple[str, ...], before: SchemaGraph, after: SchemaGraph
) -> dict[str, str]:
    old, new = before.table(name), after.table(name)
    if old is None or new is None:
        return {}
    come = [column for column in new.column_names if column not in old.column_names]
    return dict(zip(columns, come, strict=False))


def _between(old: Table, new: Table, operation: Operation, change: Change) -> Demands:
    unfilled, values = change.unfilled, change.given.get(new.name, {})
    own = [] if operation.writes else [*_now_required(old, new, operation)]
    given = bool(operation.writes) or (unfilled is not None and new.name not in unfilled)
    types = tuple(_conversions(old, new, operation))
    parts: dict[str, Any] = {
        part.field: (*_come(old, new, part), *_again(old, new, part, types)) for part in DEMANDING
    }
    key = new.primary_key
    if key and (old.primary_key is None or old.primary_key.columns != key.columns):
        parts[UNIQUES.field] += (Unique(key.name, key.columns),)
    found = Demands(
        Table(new.name, tuple(own), **parts),
        types,
        tuple(_without_value(old, new)) if not given else (),
    )
    come = {name for name in new.column_names if old.column(name) is None} - set(values)
    return found.without(come) if come else found


def _come(old: Table, new: Table, part: Part) -> tuple[Any, ...]:
    """Constraints and indexes that are new, or valid from now on."""
    known = {item.name: item for item in part.of(old)}
    return tuple(item for item in part.of(new) if known.get(item.name) != item)


def _again(
    old: Table, new: Table, part: Part, types: Sequence[Conversion]
) -> Iterator[Unique | Index]:
    """What was unique and may repeat once other values have become the same."""
    changed = {
        each.new.name
        for each in types
        if each.using or not keeps_values(each.old.type, each.new.type)
    }
    for item in part.of(new) if part in (UNIQUES, INDEXES) else ():
        if changed.intersection(item.columns) and item in part.of(old):
            yield item
    key = new.primary_key if part == UNIQUES else None
    if key and key == old.primary_key and changed.intersection(key.columns):
        yield Unique(key.name, key.columns)


def _now_required(old: Table, new: Table, operation: Operation) -> Iterator[Column]:
    """A step that adds a column fills one that is restored already with its default."""
    for column in new.columns:
        before = old.column(column.name)
        filled = operation.adds is COLUMNS and column.default is not None
        if before and before.nullable and not column.nullable and not filled:
            yield column


def _without_value(old: Table, new: Table) -> Iterator[str]:
    for column in new.columns:
        given = column.default is not None or column.identity or column.generated
        if old.column(column.name) is None and not column.nullable and not given:
            yield column.name


def _conversions(old: Table, new: Table, operation: Operation) -> Iterator[Conversion]:
    for column in new.columns:
        before = old.column(column.name)
        if before and before.type != column.type and not before.generated:
            yield Conversion(before, column, str(getattr(operation, "using", "")))

"""The part of a difference that changes objects in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ, Fill
from zanith_django.diff.drops import drop_column
from zanith_django.diff.fills import fill_rows, null_forbidden
from zanith_django.diff.pairs import (
    Pair,
    is_rebuilt,
    only_validated,
    same_key,
)
from zanith_django.operations.base import Operation
from zanith_django.schema.graph import Column
from zanith_django.schema.parts import ADDED, COLUMNS, FOREIGN_KEYS, INDEXES, PARTS


def altered_columns(d: Differ) -> Iterator[Operation]:
    """Altered columns. Those that stop being generated come first, those that become generated come
    last, because they read other columns."""
    for pair in d.pairs():
        for old, new in sorted(pair.columns, key=_generated_order):
            if old != new:
                yield from _altered_column(d, pair, old, new)


def _generated_order(pair: tuple[Column, Column]) -> int:
    old, new = pair
    if old.generated:
        return 1 if new.generated else 0
    return 3 if new.generated else 2


def _altered_column(d: Differ, pair: Pair, old: Column, new: Column) -> Iterator[Operation]:
    table, name = pair.name, new.name
    label = d.label(table)
    if new.generated and not old.generated:
        yield drop_column(d, d.current(table), old)
        yield ops.AddGeneratedColumn(table=table, column=new, model=label)
        return
    if is_rebuilt(old, new):
        kept = dataclasses.replace(new, nullable=old.nullable, comment=old.comment)
        yield ops.AlterGenerated(table=table, old=old, new=kept, model=label)
        old = kept
    elif old.generated and not new.generated:
        kept = dataclasses.replace(old, generated="", virtual=False)
        yield ops.AlterGenerated(table=table, old=old, new=kept, model=label)
        old = kept
    if old.identity and not new.identity:
        yield ops.AlterColumnIdentity(table=table, column=name, old=old.identity, model=label)
        old = dataclasses.replace(old, identity="")
    yield from _altered_values(d, pair, old, new)
    if old.nullable and not new.nullable:
        yield from fill_rows(d, table, new)
        fill = d.hints.fills.get((table, name), Fill())
        yield null_forbidden(table, new, fill, label)
    if new.identity and old.identity != new.identity:
        yield ops.AlterColumnIdentity(
            table=table, column=name, old=old.identity, new=new.identity, model=label
        )


def _altered_values(d: Differ, pair: Pair, old: Column, new: Column) -> Iterator[Operation]:
    """Type, collation and storage in one operation, with the policies that they change; a default
    in an operation of its own."""
    table, label = pair.name, d.label(pair.name)
    fields = ("type", "collation", "storage", "compression")
    changes = {f: getattr(new, f) for f in fields if getattr(old, f) != getattr(new, f)}
    if changes:
        after = dataclasses.replace(old, default=new.default, **changes)
        retyped = (old.type, old.collation) != (after.type, after.collation)
        policies = tuple(pair.policies_with(old.name)) if retyped else ()
        yield ops.AlterColumnType(table=table, old=old, new=after, policies=policies, model=label)
    elif old.default != new.default:
        yield ops.AlterColumnDefault(
            table=table, column=new.name, old=old.default, new=new.default, model=label
        )


def primary_keys(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        old, new, label = pair.current.primary_key, pair.wanted.primary_key, d.label(pair.name)
        if old == new or (old and new and old.name == new.name and same_key(old, new)):
            continue
        yield ops.AlterPrimaryKey(table=pair.name, old=old, new=new, model=label)


def columns_made_nullable(d: Differ) -> Iterator[Operation]:
    """Columns that allow NULL now, after the drop of a primary key, which forbids it."""
    for pair in d.pairs():
        for old, new in pair.columns:
            if new.nullable and not old.nullable:
                yield ops.AlterColumnNullable(
                    table=pair.name, column=new.name, nullable=True, model=d.label(pair.name)
                )


def deferred(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for old, new in pair.kept(FOREIGN_KEYS):
            if old.deferrable != new.deferrable:
                yield ops.AlterForeignKey(
                    table=pair.name,
                    name=new.name,
                    old=old.deferrable,
                    new=new.deferrable,
                    foreign_key=old,
                    model=d.label(pair.name),
                )


def validated(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for part in (part for part in ADDED if part.validated):
            for old, new in pair.kept(part):
                if only_validated(old, new):
                    yield ops.ValidateConstraint(
                        table=pair.name, name=new.name, model=d.label(pair.name)
                    )


def table_settings(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        yield from _comments(pair, d.label(pair.name))
        yield from _options(pair, d.label(pair.name))


def _comments(pair: Pair, label: str) -> Iterator[Operation]:
    table, current, wanted = pair.name, pair.current, pair.wanted
    if current.comment != wanted.comment:
        yield ops.SetComment(table=table, old=current.comment, new=wanted.comment, model=label)
    for part in (part for part in PARTS if part.commented):
        for old, new in pair.columns if part is COLUMNS else pair.kept(part):
            if old.comment != new.comment:
                named = {part.commented_as: new.name}
                yield ops.SetComment(
                    table=table, old=old.comment, new=new.comment, model=label, **named
                )


def _options(pair: Pair, label: str) -> Iterator[Operation]:
    old, new = pair.current.options, pair.wanted.options
    if old != new:
        yield ops.AlterTableOptions(table=pair.name, old=old, new=new, model=label)
    for index, wanted in pair.kept(INDEXES):
        if index.options != wanted.options:
            yield ops.AlterIndexOptions(
                table=pair.name,
                index=index.name,
                method=index.method,
                old=index.options,
                new=wanted.options,
                model=label,
            )

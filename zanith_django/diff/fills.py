"""Values for the existing rows before a column forbids NULL."""

from __future__ import annotations

from collections.abc import Iterator

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ, Fill
from zanith_django.operations.base import Operation
from zanith_django.operations.online.rewrites import is_computed, volatile
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column


def fill_rows(d: Differ, table: TableName, column: Column) -> Iterator[Operation]:
    """Fills rows in which the column is NULL. A value that Python computes once for all rows
    belongs to the step that forbids NULL, which needs it too."""
    fill, label = d.hints.fills.get((table, column.name), Fill()), d.label(table)
    value = fill.value(column)
    if value:
        once = fill.by_database and is_computed(value) and not volatile(value)
        yield ops.Backfill(table=table, column=column.name, value=value, once=once, model=label)
    elif fill.default and fill.default.each:
        yield ops.Backfill(table=table, column=column.name, default=fill.default, model=label)


def null_forbidden(table: TableName, column: Column, fill: Fill, label: str) -> Operation:
    return ops.AlterColumnNullable(
        table=table,
        column=column.name,
        nullable=False,
        fill=fill.value(column),
        default=fill.default,
        model=label,
    )

"""The parts that a restore left out, added later; and a restored column that no model has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.base import Context, OnTable, Operation, Statement
from zanith_django.operations.column_values import AlterColumnDefault, AlterColumnNullable
from zanith_django.operations.constraints import ValidateConstraint
from zanith_django.operations.keep.kept import Restore
from zanith_django.operations.parts import adding
from zanith_django.operations.tables import SetComment
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.parts import ADDED, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(OnTable):
    """Several operations on one table as one. It is created when it runs and is in no file.
    `demanded` is a table with only the parts that rows must fulfil.
    """

    kind = "completion"
    in_files = False
    table: TableName
    steps: tuple[Operation, ...]
    demanded: Table

    def describe(self) -> str:
        return "; ".join(step.describe() for step in self.steps)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        made: list[Statement] = []
        for step in self.steps:
            made += step.statements(context)
            context = dataclasses.replace(context, graph=step.apply_to(context.graph))
        return tuple(made)

    def after(self, adopted: Operation | None) -> Completion:
        """The same, after an operation that completes the column itself."""
        if adopted is None:
            return self
        others = (step for step in self.steps if not isinstance(step, AlterColumnNullable))
        return dataclasses.replace(self, steps=(adopted, *others))

    def inverse(self) -> None:
        return None

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        for step in self.steps:
            graph = step.apply_to(graph)
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return tuple(code for step in self.steps for code in step.reasons(context))


def completion(restore: Restore, graph: SchemaGraph) -> Completion | None:
    """The missing parts of a restored column or table; None if nothing is missing."""
    name, holder = restore.home, restore.restored
    live = graph.table(name)
    if live is None:
        return None
    found = [*_required(restore.one_column, live)] if restore.one_column else []
    for part in (part for part in ADDED if part.carried):
        found += _missing(part, holder, live)
    demanded = Table(name)
    for field, item, _ in found:
        demanded = demanded.with_item(field, item)
    steps = tuple(step for _, _, step in found)
    return Completion(table=name, steps=steps, demanded=demanded) if steps else None


def returned(table: TableName, before: Column, now: Column) -> Completion:
    """Changes an adopted column back to its earlier definition; its values stay."""
    steps: list[Operation] = []
    if before.nullable != now.nullable:
        steps.append(AlterColumnNullable(table=table, column=now.name, nullable=before.nullable))
    if before.default != now.default:
        change = AlterColumnDefault(
            table=table, column=now.name, old=now.default, new=before.default
        )
        steps.append(change)
    comment = SetComment(table=table, column=now.name, old=now.comment, new=before.comment)
    return Completion(table=table, steps=(*steps, comment), demanded=Table(table))


# (part of a table, the wanted item, the operation that creates it)
type_of_lack = tuple[str, Any, Operation]


def _required(column: Column, live: Table) -> Iterator[type_of_lack]:
    there = live.column(column.name)
    if there and there.nullable and not column.nullable:
        step = AlterColumnNullable(table=live.name, column=there.name, nullable=False)
        yield "columns", dataclasses.replace(there, nullable=False), step


def _missing(part: Part, holder: Any, live: Table) -> Iterator[type_of_lack]:
    """The parts that the table lacks, also under another name, or that are not valid."""
    name, there = live.name, part.of(live)
    known = {dataclasses.replace(item, name="") for item in there}
    for item in part.of(holder):
        twin = next((each for each in there if each.name == item.name), None)
        if twin is None and dataclasses.replace(item, name="") not in known:
            yield part.field, item, adding(name, item)
        elif twin is not None and not getattr(twin, "valid", True) and item.valid:
            yield part.field, item, ValidateConstraint(table=name, name=item.name)

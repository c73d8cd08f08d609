"""The plans that a shadow schema supports: those without effects outside of the schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from zanith_django.exceptions import ShadowUnsuited
from zanith_django.operations import Operation
from zanith_django.plan.plan import Plan
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.verify.shadow import SCHEMA


def refuse_what_leaves(planned: Plan, graph: SchemaGraph, source: str) -> None:
    """Raises `ShadowUnsuited` for the first thing that a schema of the live database cannot take:
    it would be made, or changed, outside of it."""
    if source:
        raise ShadowUnsuited(SCHEMA, f"--from {source}")
    for table in graph.tables:
        if any(name.schema for name in _names(table)):
            raise ShadowUnsuited(SCHEMA, f"table {table.name}, which needs another schema")
    for _, step in planned.steps:
        refuse_operation(step.operation)


def refuse_operation(operation: Operation) -> None:
    if not operation.own_sql or any(name.schema for name in _names(operation)):
        raise ShadowUnsuited(SCHEMA, operation.describe())


def _names(value: Any) -> Iterator[TableName]:
    """Every table that a value names, at any depth."""
    if isinstance(value, TableName):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _names(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _names(getattr(value, field.name))

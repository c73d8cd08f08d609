"""Explains each difference that a run on a shadow leaves: both sides, as SQL and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from zanith_django.operations import Operation
from zanith_django.operations.base import Context, script
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import PARTS

MISSING, EXTRA, DIFFERENT = "missing", "extra", "different"


def leftovers(found: Iterable[tuple[Operation, str]], context: Context) -> Iterator[dict[str, str]]:
    """JSON data of (operation, origin) pairs. `context` is that of the shadow after the run.

    `sql` makes what the models have, `undo` what the shadow has; either is "" if there is nothing
    to make.
    """
    for operation, origin in found:
        graph = operation.apply_to(context.graph)
        difference = _difference(context.graph, graph)
        undo = operation.inverse()
        after = dataclasses.replace(context, graph=graph)
        yield {
            "kind": operation.kind,
            "target": operation.target,
            "description": operation.describe(),
            "origin": origin,
            "difference": difference,
            "sql": "" if difference == EXTRA else _sql(operation, context),
            "undo": _sql(undo, after) if undo and difference != MISSING else "",
            "undo_description": undo.describe() if undo and difference != MISSING else "",
        }
        context = after


def _sql(operation: Operation, context: Context) -> str:
    return script(operation.statements(context))


def _difference(before: SchemaGraph, after: SchemaGraph) -> str:
    """Do the models have more than the shadow, less, or something different?"""
    sizes = _size(before), _size(after)
    if sizes[0] == sizes[1]:
        return DIFFERENT
    return MISSING if sizes[0] < sizes[1] else EXTRA


def _size(graph: SchemaGraph) -> int:
    """How many parts a schema has: a primary key is one, a default is none."""
    objects = len(graph.tables) + len(graph.extensions) + len(graph.collations) + len(graph.schemas)
    secured = sum(table.row_security for table in graph.tables)
    return objects + secured + sum(len(part.of(table)) for table in graph.tables for part in PARTS)

"""Steps of a file that Django's own `migrate` cannot have done: somebody added them by hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.plan.live_names import comparison
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import Part

# Kinds that no difference yields.
_NEVER_DERIVED = frozenset(
    ("rawSql", "archiveColumn", "archiveTable", "splitColumn", "mergeColumns", "rebuildTable")
)


def added_by_hand(operations: Sequence[Operation], live: SchemaGraph | None) -> frozenset[int]:
    """Numbers, from 1, of the steps that are left to do after Django did the work of a file.

    These are kinds that nobody derives from a Django migration, and what is to be there at the
    end of the file and is not. `live` is the schema as Django left it, None before it did.
    """
    if live is None:
        never = (n for n, each in enumerate(operations, 1) if each.kind in _NEVER_DERIVED)
        return frozenset(never)
    end = functools.reduce(lambda graph, operation: operation.apply_to(graph), operations, live)
    numbered = enumerate(operations, 1)
    return frozenset(n for n, operation in numbered if _is_left(operation, live, end))


def _is_left(operation: Operation, live: SchemaGraph, end: SchemaGraph) -> bool:
    if operation.kind in _NEVER_DERIVED:
        return True
    if isinstance(operation, ops.CreateTable):
        return operation.table.name in end and operation.table.name not in live
    return operation.adds is not None and _is_missing(operation, operation.adds, live, end)


def _is_missing(operation: Operation, part: Part, live: SchemaGraph, end: SchemaGraph) -> bool:
    """Whatever its name: Django and an old database may call it otherwise."""
    (name, *_), item = operation.tables, operation.item
    found, wanted = live.table(name), end.table(name)
    if found is None or wanted is None or item not in part.of(wanted):
        return False
    if any(known.name == item.name for known in part.of(found)):
        return False
    return item not in part.of(comparison(found, part, item).live.tables[0])

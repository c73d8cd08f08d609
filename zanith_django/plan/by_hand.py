"""Steps of a file that Django's own `migrate` cannot have done: somebody added them by hand."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.schema.equality import DeclaredFacts, as_declared
from zanith_django.schema.graph import SchemaGraph

# Kinds that no difference yields.
_NEVER_DERIVED = frozenset(
    ("rawSql", "archiveColumn", "archiveTable", "splitColumn", "mergeColumns", "rebuildTable")
)

# {kind: (part of the table, the operation's field with the thing that it adds)}
_PARTS = {
    "addColumn": ("columns", "column"),
    "addGeneratedColumn": ("columns", "column"),
    "addIndex": ("indexes", "index"),
    "addUnique": ("uniques", "unique"),
    "addForeignKey": ("foreign_keys", "foreign_key"),
    "addCheck": ("checks", "check"),
    "addExclusion": ("exclusions", "exclusion"),
    "createPolicy": ("policies", "policy"),
}


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
    if operation.kind not in _PARTS:
        return False
    return _is_missing(operation, live, end)


def _is_missing(operation: Operation, live: SchemaGraph, end: SchemaGraph) -> bool:
    """Whatever its name: Django and an old database may call it otherwise."""
    part, field = _PARTS[operation.kind]
    (name, *_), item = operation.tables, getattr(operation, field)
    found, wanted = live.table(name), end.table(name)
    if found is None or wanted is None or item not in getattr(wanted, part):
        return False
    if any(known.name == item.name for known in getattr(found, part)):
        return False
    # Alone in its part: what the database has would be paired with itself, whatever its name.
    alone: dict[str, Any] = {"indexes": ()} if part == "uniques" else {}
    asked = dataclasses.replace(found, **{**alone, part: (item,)})
    facts = DeclaredFacts(many_to_many=frozenset([name]))
    seen = as_declared(SchemaGraph(tables=(found,)), SchemaGraph(tables=(asked,)), facts)
    return item not in getattr(seen.live.tables[0], part)

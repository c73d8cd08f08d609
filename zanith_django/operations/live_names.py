"""Finds the objects of an operation in a live table, where they may have other names.

Django's own operations look constraints and indexes up by their definition. Those of zanith do so
too, just before they run: `Operation.in_names_of` calls these functions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from zanith_django.schema.equality import DeclaredFacts, as_declared
from zanith_django.schema.findings import Comparison
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import INDEXES, UNIQUES, Part, part_of


def is_in_graph(wanted: Table, graph: SchemaGraph) -> bool:
    """Does the graph have exactly this table, as after a restore? It is adopted with its rows."""
    live = graph.table(wanted.name)
    if live is None or {item.name for item in live.columns} != {c.name for c in wanted.columns}:
        return False
    alone, declared = SchemaGraph(tables=(live,)), SchemaGraph(tables=(wanted,))
    return as_declared(alone, declared).live.tables == declared.tables


def has_name(items: Iterable[Any], name: str) -> bool:
    return any(item.name == name for item in items)


def counterpart(table: Table, wanted: Any) -> Any:
    """The item of a live table that corresponds to `wanted`: the one with its name, or else one
    with its definition, such as a plain unique index for a constraint. `wanted` itself if the table
    has none; None if it may be missing: an index for LIKE, which some databases never had.
    """
    part = part_of(wanted)
    if has_name(part.of(table), wanted.name):
        return wanted
    seen = comparison(table, part, wanted)
    if wanted not in part.of(seen.live.tables[0]):
        return wanted
    found = _first(seen, part.of(table))
    return _first(seen, table.indexes) if found is None and part is UNIQUES else found


def twin(table: Table, wanted: Any) -> Any:
    """The equal item of a live table, under another name; None if there is none."""
    part = part_of(wanted)
    seen = comparison(table, part, wanted)
    return _first(seen, part.of(table)) if wanted in part.of(seen.live.tables[0]) else None


def _first(seen: Comparison, items: Iterable[Any]) -> Any:
    strangers = [extra.item for extra in seen.extras]
    return next((item for item in items if item not in strangers), None)


def comparison(table: Table, part: Part, wanted: Any) -> Comparison:
    """Compares the live table with itself, with only `wanted` in one of its parts: any other item
    would be paired with itself."""
    without: dict[str, Any] = {INDEXES.field: ()} if part is UNIQUES else {}
    declared = dataclasses.replace(table, **{**without, part.field: (wanted,)})
    facts = DeclaredFacts(many_to_many=frozenset([table.name]))
    return as_declared(SchemaGraph(tables=(table,)), SchemaGraph(tables=(declared,)), facts)

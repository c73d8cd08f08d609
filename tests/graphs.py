"""What differs between two graphs, for people who read a failing test."""

from __future__ import annotations

from typing import Any

from zanith_django.schema.encoding import stored_fields
from zanith_django.schema.graph import SchemaGraph, Table


def differences(found: SchemaGraph, expected: SchemaGraph) -> list[str]:
    """A line for everything that only one of the two has."""
    lines = []
    for name in sorted({*found.table_names, *expected.table_names}):
        one, other = found.table(name), expected.table(name)
        if one is None or other is None:
            lines.append(f"{name} {'is missing' if one is None else 'should be gone'}")
        else:
            lines += [f"{name}: {line}" for line in _in_table(one, other)]
    for part in ("extensions", "collations", "schemas"):
        lines += _between(getattr(found, part), getattr(expected, part))
    assert bool(lines) == (found != expected)
    return lines


def _in_table(found: Table, expected: Table) -> list[str]:
    lines = []
    for name, _, _ in stored_fields(Table):
        one, other = getattr(found, name), getattr(expected, name)
        pair = (one, other) if isinstance(one, tuple) else ((one,), (other,))
        lines += [f"{name} {line}" for line in _between(*pair)]
    return lines


def _between(found: tuple[Any, ...], expected: tuple[Any, ...]) -> list[str]:
    more = [f"has {item}" for item in found if item not in expected]
    return more + [f"lacks {item}" for item in expected if item not in found]

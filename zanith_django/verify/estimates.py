"""Estimates the duration of a step on the rows of production, from its duration on the shadow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def with_estimates(
    steps: Iterable[dict[str, Any]], shadow: Mapping[str, int], live: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Each step; one that worked on rows with the time that its table in production would take.

    `shadow` and `live` are the rows of each table. Work grows with the rows, at least.
    """
    for step in steps:
        found = [
            (statement["seconds"], table)
            for statement in step["statements"]
            if (table := _table(statement, shadow)) and live.get(table, 0) > 0
        ]
        seconds, table = max(found, default=(0.0, ""))
        if table:
            step = step | {"estimate": _estimate(table, seconds, shadow[table], live[table])}
        yield step


def _table(statement: Mapping[str, Any], shadow: Mapping[str, int]) -> str:
    """The largest table of which a statement read or wrote all rows; "" for none."""
    if not (statement["work"] or statement["rewrites"] or statement["rows"]):
        return ""
    known = [name for name in statement["locks"] if shadow.get(name)]
    return max(known, key=lambda name: shadow[name], default="")


def _estimate(table: str, seconds: float, shadow: int, live: int) -> dict[str, Any]:
    return {
        "table": table,
        "seconds": seconds * max(live / shadow, 1),
        "from_seconds": seconds,
        "shadow_rows": shadow,
        "live_rows": live,
    }

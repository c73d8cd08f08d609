"""How risky an operation is: its own reasons, judged by what is known of the live table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.operations.base import Context, Operation, Statement
from zanith_django.plan.collisions import Collision
from zanith_django.plan.reasons import REASONS, Level

# From here on a scan or a rewrite takes long enough to be planned for.
LARGE_BYTES = 1_000_000_000
LARGE_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one operation: the worst of its reasons decides."""

    level: Level
    reasons: tuple[str, ...] = ()

    @property
    def score(self) -> int:
        return int(self.level)


def assess(
    operation: Operation,
    context: Context,
    statements: tuple[Statement, ...],
    found: Iterable[Collision] = (),
) -> Assessment:
    """Facts come from the operation, judgement from here.

    What touches only tables that the same plan made is safe. What touches only empty tables is
    safe too, but for drops: code may read what is empty. `found` is in the way of an empty table
    as well.
    """
    tables = operation.tables
    if tables and all(name in context.fresh for name in tables):
        return Assessment(Level.SAFE)
    own = (*operation.reasons(context), *_size(context, statements))
    codes = tuple(dict.fromkeys((*own, *(collision.reason for collision in found))))
    level = max((REASONS[code].level for code in codes), default=Level.SAFE)
    if level < Level.DESTRUCTIVE and tables and all(context.quiet(name) for name in tables):
        return Assessment(Level.SAFE)
    return Assessment(level, codes)


def _size(context: Context, statements: tuple[Statement, ...]) -> tuple[str, ...]:
    """`large_table` where a statement works through a large table while others wait."""
    for statement in statements:
        if not (statement.rewrites or (statement.scans and statement.lock.blocks_writes)):
            continue
        for name in statement.tables:
            facts = context.facts.get(name)
            if facts and (facts.bytes >= LARGE_BYTES or facts.rows >= LARGE_ROWS):
                return ("large_table",)
    return ()

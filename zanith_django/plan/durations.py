"""How long a step takes, and how long others wait for it: estimates from the size of its table."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.base import Batches, Context, Statement, TableFacts
from zanith_django.postgres.locks import Lock

# Rows per second on a server with its tables in memory, measured on two million rows of PostgreSQL
# 15 and 18; a row counts as 100 bytes, and a larger one takes as much longer.
SCANNED, REWRITTEN, INDEXED, FILLED = 10_000_000, 1_000_000, 900_000, 200_000
_ROW_BYTES = 100
_INSTANT = 0.005


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds that a step takes, and those of them in which writers or readers wait."""

    seconds: float = 0.0
    waits: float = 0.0

    @property
    def noticed(self) -> bool:
        return self.seconds >= 1

    def __str__(self) -> str:
        wait = (
            f"others wait {_spelled(self.waits)}"
            if self.waits >= 1
            else "no session waits for long"
        )
        return f"about {_spelled(self.seconds)}, {wait}"


def duration(statements: tuple[Statement, ...], context: Context) -> Duration:
    """Of all statements of a step; of a table whose size is unknown, none."""
    took = [(statement, _seconds(statement, context)) for statement in statements]
    waits = sum(seconds for statement, seconds in took if statement.lock.blocks_writes)
    return Duration(sum(seconds for _, seconds in took), waits)


def _seconds(statement: Statement, context: Context) -> float:
    known = [context.facts[name] for name in statement.tables if name in context.facts]
    if not known or any(name in context.fresh for name in statement.tables[:1]):
        return _INSTANT
    pace = _pace(statement)
    return max(_INSTANT, _weight(known[0]) / pace) if pace else _INSTANT


def _weight(facts: TableFacts) -> float:
    """Its rows, as if each of them had the usual size."""
    return max(facts.rows, facts.bytes / _ROW_BYTES if facts.rows else 0)


def _pace(statement: Statement) -> int:
    """Rows per second of what works through the table; 0 for what does not."""
    if isinstance(statement, Batches):
        return FILLED
    if statement.rewrites:
        return REWRITTEN
    if statement.lock == Lock.SHARE or not statement.transactional:
        return INDEXED
    return SCANNED if statement.scans else 0


def _spelled(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

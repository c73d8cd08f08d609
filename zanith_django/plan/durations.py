"""Estimates of the duration of a step, and of the wait of other sessions, from the size of its
table and the rates of this server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from zanith_django.ledger.paces import Pace
from zanith_django.operations.base import Batches, Context, PythonCall, Statement, TableFacts
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

SCAN, REWRITE, INDEX, FILL = "scan", "rewrite", "index", "fill"
"""The kinds of work through the rows of a table."""

MEASURED, READ, CONSTANTS = "measured", "read", "constants"
"""The source of a rate, best first: earlier runs on this server, a timed read of one of its tables,
or another server."""

# Rows per second on a server with its tables in memory, measured on two million rows of PostgreSQL
# 15 and 18; a row counts as 100 bytes, and a larger one takes as much longer.
_USUAL: Mapping[str, float] = {
    SCAN: 10_000_000,
    REWRITE: 1_000_000,
    INDEX: 900_000,
    FILL: 100_000,
}
_ROW_BYTES = 100
_INSTANT = 0.003
# A backfill begins with small batches, and each of them waits for the disk.
_FIRST_BATCHES = 0.05
# A timed read measures how fast a server reads, and less exactly how fast it writes.
_SLOWEST, _FASTEST = 0.1, 2.0


def weight(rows: float, size: float) -> float:
    """The number of rows, converted to rows of the usual size."""
    return max(rows, size / _ROW_BYTES if rows else 0)


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows per second of each kind of work, with the source of each."""

    known: Mapping[str, tuple[float, str]] = field(
        default_factory=lambda: {work: (rate, CONSTANTS) for work, rate in _USUAL.items()}
    )

    @classmethod
    def of(cls, paces: Iterable[Pace]) -> Rates:
        """The rates by the medians of earlier runs."""
        found: dict[str, list[float]] = {}
        for pace in paces:
            rate = weight(pace.rows, pace.bytes) / max(pace.seconds, 1e-6)
            found.setdefault(pace.work, []).append(rate)
        known = {work: (median(rates), MEASURED) for work, rates in found.items() if work in _USUAL}
        return cls({**cls().known, **known})

    def __getitem__(self, work: str) -> tuple[float, str]:
        return self.known[work]

    @property
    def seeds(self) -> bool:
        """Would a timed read improve the estimates?"""
        return any(source == CONSTANTS for _, source in self.known.values())

    def seeded(self, scanned: float) -> Rates:
        """The rates with a timed read of `scanned` rows per second instead of the constants."""
        speed = min(max(scanned / _USUAL[SCAN], _SLOWEST), _FASTEST)
        known = {
            work: (rate * speed, READ) if source == CONSTANTS else (rate, source)
            for work, (rate, source) in self.known.items()
        }
        return Rates(known)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds that a step takes, and those of them in which writers or readers wait; not `known`
    if it runs Python, or works through a table of unknown size. `source` is that of the least
    certain rate."""

    seconds: float = 0.0
    waits: float = 0.0
    source: str = CONSTANTS
    known: bool = True

    @property
    def noticed(self) -> bool:
        return self.seconds >= 1

    def __str__(self) -> str:
        wait = (
            f"others wait {_spelled(self.waits)}"
            if self.waits >= 1
            else "no session waits for long"
        )
        return f"about {_spelled(self.seconds)} ({_SOURCES[self.source]}), {wait}"


_SOURCES = {
    MEASURED: "by earlier runs here",
    READ: "by a timed read",
    CONSTANTS: "by constants",
}


def duration(
    statements: tuple[Statement, ...], context: Context, rates: Rates | None = None
) -> Duration:
    """The duration of all statements of a step; unknown if the size of a table is."""
    rates = rates or Rates()
    took = [(statement, _seconds(statement, context, rates)) for statement in statements]
    waits = sum(seconds for statement, seconds in took if statement.lock.blocks_writes)
    used = {rates[work][1] for statement in statements if (work := work_of(statement))}
    source = next((each for each in (CONSTANTS, READ, MEASURED) if each in used), CONSTANTS)
    known = all(_is_known(statement, context) for statement in statements)
    return Duration(sum(seconds for _, seconds in took), waits, source, known)


def _is_known(statement: Statement, context: Context) -> bool:
    if isinstance(statement, PythonCall):
        return False
    sized = any(name in context.facts or name in context.fresh for name in statement.tables)
    return sized or not work_of(statement)


def _seconds(statement: Statement, context: Context, rates: Rates) -> float:
    known, work = facts_of(statement, context.facts), work_of(statement)
    if known is None or not work or any(name in context.fresh for name in statement.tables[:1]):
        return _INSTANT
    begun = _FIRST_BATCHES if work == FILL and rates[work][1] != MEASURED else _INSTANT
    return begun + weight(known.rows, known.bytes) / rates[work][0]


def facts_of(statement: Statement, facts: Mapping[TableName, TableFacts]) -> TableFacts | None:
    """Of the first of its tables that has any."""
    return next((facts[name] for name in statement.tables if name in facts), None)


def work_of(statement: Statement) -> str:
    """How it works through the rows of its table; "" if it does not."""
    if isinstance(statement, Batches):
        return FILL
    if statement.rewrites:
        return REWRITE
    if not statement.scans:
        return ""
    concurrent = not statement.transactional
    return INDEX if statement.lock == Lock.SHARE or concurrent else SCAN


def _spelled(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

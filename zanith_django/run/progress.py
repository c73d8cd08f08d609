"""How far a backfill is."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.postgres.names import TableName
from zanith_django.postgres.ranges import Range

FIRST_SIZE, SMALLEST, LARGEST = 1_000, 100, 1_000_000  # keys in a batch

# The largest batch after one that wrote little: the next one may have to write all of its rows.
LARGEST_SPARSE = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a backfill; `total_rows` is an estimate of the whole table, and the rate and
    the remaining time are those of this run."""

    table: TableName
    processed_rows: int
    total_rows: int
    rows_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Postponed:
    """A range with locked rows; `written` are the transactions that wrote the other ones."""

    range: Range
    written: tuple[str, ...] = ()


def unseen(snapshot: str) -> tuple[str, list[str]]:
    """(the first transaction that had not begun, those that were running), of a snapshot
    `xmin:xmax:xip,…`; without the epoch, as in the rows."""
    _, begun, running = snapshot.split(":")
    short = [str(int(number) % 2**32) for number in (begun, *filter(None, running.split(",")))]
    return short[0], short[1:]


def next_size(size: int, seconds: float, sparse: bool, wanted_seconds: float) -> int:
    """The size of the next batch after one of `size` keys: from half to twice of it. A sparse batch
    wrote less than half of its rows."""
    factor = min(max(wanted_seconds / max(seconds, 1e-6), 0.5), 2.0)
    wanted = int(size * factor)
    if sparse:
        wanted = min(wanted, max(size, LARGEST_SPARSE))
    return min(max(wanted, SMALLEST), LARGEST)

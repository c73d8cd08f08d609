"""Times the statements that work through tables, for the estimates of later plans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from zanith_django.ledger.paces import Pace
from zanith_django.operations.base import Batches, Statement, TableFacts
from zanith_django.plan.durations import facts_of, work_of
from zanith_django.postgres.names import TableName

# A shorter time measures the round trip rather than the table.
_SECONDS, _ROWS = 0.05, 5_000


class Stopwatch:
    """`facts` are the sizes of the tables before the run, `keep` receives each measurement.
    `written` are the rows that the batches of the statement have written so far."""

    def __init__(self, facts: Mapping[TableName, TableFacts], keep: Callable[[Pace], None]) -> None:
        self.facts, self.keep, self.written = facts, keep, 0

    @contextmanager
    def timing(self, group: Sequence[Statement]) -> Iterator[None]:
        """Times a group of statements. If several of them work through tables, it measures none."""
        self.written = 0
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        working = [statement for statement in group if work_of(statement)]
        if len(working) == 1 and seconds >= _SECONDS:
            self._note(working[0], seconds)

    def _note(self, statement: Statement, seconds: float) -> None:
        known = facts_of(statement, self.facts)
        if known is None or not known.rows:
            return
        rows, size = known.rows, known.bytes
        if isinstance(statement, Batches):  # the other rows already had a value
            share = min(self.written / rows, 1.0)
            rows, size = int(rows * share), int(size * share)
        if rows >= _ROWS:
            self.keep(Pace(work_of(statement), rows, size, round(seconds, 3)))

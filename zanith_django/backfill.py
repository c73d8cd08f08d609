"""Backfills: writes or copies the rows that a predicate selects, in small batches, resumable.

Each batch commits together with its checkpoint, and does not wait for the disk: a server that
crashes forgets the last of both, and the end of the backfill takes all along
(https://www.postgresql.org/docs/current/wal-async-commit.html).
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from zanith_django import sql
from zanith_django.exceptions import RowsHidden, RowsLeft
from zanith_django.ledger import DONE, RUNNING, Checkpoint, Ledger
from zanith_django.operations.base import Batches, Copies
from zanith_django.ranges import Cursor, Range, Ranges, estimated_rows, ranges_of, rows_of
from zanith_django.row_values import RowValues
from zanith_django.run_lock import NOT_DURABLE
from zanith_django.schema.graph import TableName
from zanith_django.session import sqlstate

FIRST_SIZE, SMALLEST, LARGEST = 1_000, 100, 1_000_000  # keys in a batch

# Batches that write little are quick, but the next one may meet nothing but rows to write.
LARGEST_SPARSE = 10_000

# Rows that appear behind the cursor are fetched by further passes, so many at most: clients who
# go on inserting such rows cannot keep a backfill from its end.
PASSES = 5

TRIES = 6
_PASSING = ("40001", "40P01")  # serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a backfill stands; `total_rows` is an estimate of the whole table, and the rate and
    the time left are those of this run."""

    table: TableName
    processed_rows: int
    total_rows: int
    rows_per_second: float
    seconds_left: float | None


def backfill(
    connection: BaseDatabaseWrapper,
    batches: Batches,
    *,
    ledger: Ledger,
    checkpoint_id: str,
    migration_id: str,
    schema: str,
    batch_seconds: float,
    pause: float = 0.0,
    progress: Callable[[Progress], None] | None = None,
    before_batch: Callable[[], None] | None = None,
) -> int:
    """Writes every row that `batches.where` selects; returns the rows written, counted over all
    runs of this checkpoint. One that is done already writes only rows that came since.

    Rows that others insert meanwhile are for a default or a trigger to keep right; those that
    come behind the cursor without are written too, as long as that is not an endless chase.
    Raises `RowsHidden` where row security hides rows, and `RowsLeft` where rows that stood there
    all the time cannot be written.
    The connection is in autocommit, the ledger on the same one. A batch waits for row locks as
    long as the session's `lock_timeout` lets it; a deadlock or serialization failure is retried.
    """
    run = _Run(
        connection,
        batches,
        ledger=ledger,
        schema=schema,
        checkpoint=ledger.checkpoint(checkpoint_id) or Checkpoint(checkpoint_id, migration_id),
        batch_seconds=batch_seconds,
        pause=pause,
        progress=progress,
        before_batch=before_batch,
    )
    return run.run()


class _Run:
    """One run of a backfill: the checkpoint as it stands, and the pace."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        batches: Batches,
        *,
        ledger: Ledger,
        schema: str,
        checkpoint: Checkpoint,
        batch_seconds: float,
        pause: float,
        progress: Callable[[Progress], None] | None,
        before_batch: Callable[[], None] | None,
    ) -> None:
        self.connection, self.ledger, self.checkpoint = connection, ledger, checkpoint
        self.name, self.table = batches.table, sql.table(batches.table, schema)
        self.regclass = sql.regclass(batches.table, schema)
        self.assignments = sql.catalog_text(batches.assignments)
        self.where = sql.catalog_text(batches.where)
        self.copies = batches if isinstance(batches, Copies) else None
        self.values = RowValues(connection, batches, self.table) if batches.python else None
        self.batch_seconds, self.pause = batch_seconds, pause
        self.progress, self.before_batch = progress, before_batch
        self.size, self.in_turns, self.visited = FIRST_SIZE, False, 0
        self.own_transactions: list[str] = []
        self.skipped: sql.Composable = sql.EMPTY
        self.processed_before = checkpoint.processed_rows
        self.started = time.monotonic()

    def run(self) -> int:
        self._refuse_hidden_rows()
        if self._is_left():
            self._save(status=RUNNING, total_rows=self._estimate())
            self._walk_until_none_is_missed()
            self._save(status=DONE, total_rows=self.checkpoint.processed_rows)
        return self.checkpoint.processed_rows

    def _is_left(self) -> bool:
        """Its step was begun again after it was done: old code may have inserted rows since. What
        a copy lacks is in its journal; the copy itself may have another name by now."""
        if self.checkpoint.status != DONE:
            return True
        if self.copies or not self._missed()[0]:
            return False
        self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
        return True

    def _refuse_hidden_rows(self) -> None:
        text = sql.compose(
            "SELECT row_security_active({it}::regclass), current_user", it=self.regclass
        )
        hidden, role = rows_of(self.connection, text)[0]
        if hidden:
            raise RowsHidden(str(self.name), role)

    def _walk_until_none_is_missed(self) -> None:
        allowed: float = float("inf")
        for _ in range(PASSES):
            ranges = ranges_of(self.connection, self.table, self.regclass)
            if self._reached and not ranges.fits(self._reached):
                self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
            since, before = self._snapshot(), self.checkpoint.processed_rows
            self._pass(ranges)
            missed, stuck = (0, 0) if self.copies else self._missed(since)
            nothing_written = self.checkpoint.processed_rows == before
            if not 0 < missed <= allowed or (stuck and nothing_written):
                break
            allowed = 2 * missed + FIRST_SIZE  # more than that: they come faster than we write
            self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
        if stuck:
            raise RowsLeft(str(self.name), stuck, str(self.where).strip())

    def _snapshot(self) -> str | None:
        """The transactions that are over as a pass begins: what they wrote, the whole pass sees.
        None where only the rest of a pass is left."""
        if self.checkpoint.cursor:
            return None
        return str(rows_of(self.connection, "SELECT pg_current_snapshot()::text")[0][0])

    def _pass(self, ranges: Ranges) -> None:
        first = True
        while found := ranges.after(self._reached, self.size, in_turns=self.in_turns):
            if self.pause and not first:
                time.sleep(self.pause)
            if self.before_batch:
                self.before_batch()
            seconds, written = self._write(found)
            if not found.later_turn:
                sparse = 2 * written < found.rows
                self.size = next_size(self.size, seconds, sparse, self.batch_seconds)
                self.in_turns = not (sparse or self.copies)
            self.visited += found.rows
            self._tell()
            first = False

    # --- one batch -----------------------------------------------------------------------------

    def _write(self, found: Range) -> tuple[float, int]:
        """(seconds, rows written) of the try that went through."""
        for number in range(1, TRIES):
            try:
                return self._try(found)
            except OperationalError as error:
                if sqlstate(error) not in _PASSING:
                    raise
            time.sleep(0.05 * 2**number * random.uniform(0.5, 1.5))
        return self._try(found)

    def _try(self, found: Range) -> tuple[float, int]:
        started = time.monotonic()
        with transaction.atomic(using=self.connection.alias, durable=True):
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT {NOT_DURABLE};\n{self._update(found)}")
                cursor.nextset()
                written = self.values.write(cursor, found) if self.values else cursor.rowcount
            moved = dataclasses.replace(
                self.checkpoint,
                cursor=list(found.reached),
                processed_rows=self.checkpoint.processed_rows + written,
            )
            own = self.ledger.save_checkpoint(moved)
        if written:
            self.own_transactions.append(own)
        self.checkpoint = moved
        return time.monotonic() - started, written

    def _update(self, found: Range) -> str:
        if self.values:
            return self.values.reading(found, self.where, self.skipped)
        if self.copies:
            return sql.compose(
                "{insert} FROM {table} AS {alias} WHERE {condition} AND ({where}) {ending}",
                insert=sql.catalog_text(self.copies.insert),
                table=found.table,
                alias=sql.ident(self.copies.alias),
                condition=found.condition,
                where=self.where,
                ending=sql.catalog_text(self.copies.ending),
            )
        return sql.compose(
            "UPDATE {table} SET {assignments} WHERE {condition} AND ({where}){skipped}",
            table=found.table,
            assignments=self.assignments,
            condition=found.condition,
            where=self.where,
            skipped=self.skipped,
        )

    # --- the checkpoint ------------------------------------------------------------------------

    @property
    def _reached(self) -> Cursor | None:
        return tuple(self.checkpoint.cursor) if self.checkpoint.cursor else None

    def _save(self, **fields: Any) -> None:
        self.checkpoint = dataclasses.replace(self.checkpoint, **fields)
        self.ledger.save_checkpoint(self.checkpoint)

    def _missed(self, since: str | None = None) -> tuple[int, int]:
        """How many rows are still to be written, by one snapshot of the whole table, and how many
        of them stood there when the pass began, by the snapshot `since`.

        A row that this run wrote and that matches still (its value was NULL, say) is told by the
        transaction that wrote it, and not written again.
        """
        own = sql.clause("xmin::text = ANY ({ids}::text[])", ids=sql.literal(self.own_transactions))
        begun, running = _unseen(since) if since else (None, [])
        text = sql.compose(
            "SELECT count(*), count(*) FILTER (WHERE {own}), "
            "count(*) FILTER (WHERE NOT ({own} OR age(xmin) BETWEEN 0 AND age({begun}::xid) "
            "OR xmin::text = ANY ({running}::text[]))) "
            "FROM {table} WHERE {where}",
            own=own,
            begun=sql.literal(begun),
            running=sql.literal(running),
            table=self.table,
            where=self.where,
        )
        matching, written, stuck = rows_of(self.connection, text)[0]
        self.skipped = sql.clause(" AND NOT {own}", own=own) if written else sql.EMPTY
        return matching - written, stuck

    # --- progress ------------------------------------------------------------------------------

    def _estimate(self) -> int:
        return max(estimated_rows(self.connection, self.table), self.checkpoint.processed_rows)

    def _tell(self) -> None:
        if self.progress is None:
            return
        processed, total = self.checkpoint.processed_rows, self.checkpoint.total_rows or 0
        elapsed = max(time.monotonic() - self.started, 1e-6)
        left = max(total - self.processed_before - self.visited, 0)
        self.progress(
            Progress(
                table=self.name,
                processed_rows=processed,
                total_rows=max(total, processed),
                rows_per_second=(processed - self.processed_before) / elapsed,
                seconds_left=left * elapsed / self.visited if self.visited else None,
            )
        )


def _unseen(snapshot: str) -> tuple[str, list[str]]:
    """(the first transaction that had not begun, those that ran) of `xmin:xmax:xip,…`, as rows
    have them: without the epoch."""
    _, begun, running = snapshot.split(":")
    short = [str(int(number) % 2**32) for number in (begun, *filter(None, running.split(",")))]
    return short[0], short[1:]


def next_size(size: int, seconds: float, sparse: bool, wanted_seconds: float) -> int:
    """The size of the batch after one of `size` keys; at most twice or half of it. A sparse batch
    wrote less than half of its rows."""
    factor = min(max(wanted_seconds / max(seconds, 1e-6), 0.5), 2.0)
    wanted = int(size * factor)
    if sparse:
        wanted = min(wanted, max(size, LARGEST_SPARSE))
    return min(max(wanted, SMALLEST), LARGEST)

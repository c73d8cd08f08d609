"""Backfills: writes or copies the rows that a predicate selects, in small batches, resumable.

Each batch commits together with its checkpoint and does not wait for the disk. A server that
crashes loses the last batches with their checkpoints; the last commit of the backfill flushes all
(https://www.postgresql.org/docs/current/wal-async-commit.html).

If a batch meets a row that another session has locked, it releases its own rows after a moment,
writes the unlocked rows, and returns to the others until they are written.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from zanith_django.exceptions import RowsHidden, RowsLeft
from zanith_django.ledger.checkpoints import Checkpoint
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.marks import place_of
from zanith_django.ledger.step_rows import DONE, RUNNING
from zanith_django.operations.base import Batches, Copies
from zanith_django.postgres import sql
from zanith_django.postgres.ranges import Cursor, Range, Ranges, estimated_rows, ranges_of, rows_of
from zanith_django.postgres.row_security import blinded_role
from zanith_django.postgres.run_lock import NOT_DURABLE
from zanith_django.postgres.session import milliseconds, sqlstate
from zanith_django.run.blockers import LOCKING_ROWS, blockers, named
from zanith_django.run.progress import (
    FIRST_SIZE,
    Postponed,
    Progress,
    next_size,
    unseen,
)
from zanith_django.run.row_values import MakeDefault, OnceValue, RowValues

_T = TypeVar("_T")

# The limit of passes. Later passes write rows that were inserted at keys before the cursor; the
# limit ends the backfill even if clients keep inserting such rows.
PASSES = 5
TRIES = 6
_PASSING = ("40001", "40P01")  # serialization failure, deadlock
_LOCK_NOT_AVAILABLE = "55P03"

# Seconds that a batch, which holds locks on rows, waits for a row of another session; seconds
# between two attempts to write locked rows; the number of ranges that may have postponed rows.
ROW_WAIT = 0.25
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
MOST_POSTPONED = 16
NAME_AGAIN = 10.0  # seconds between two lines about the same sessions


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
    say: Callable[[str], None] | None = None,
    make_default: MakeDefault | None = None,
) -> int:
    """Writes every row that `batches.where` selects; returns the rows written, counted over all
    runs of this checkpoint. A backfill that is done writes only rows inserted since.

    A default or a trigger should fill rows that other sessions insert meanwhile; without one, a
    limited number of further passes writes them too. Raises `RowsHidden` if row security hides
    rows, and `RowsLeft` if rows that existed from the beginning remain unwritten. The connection is
    in autocommit, the ledger on the same one. It waits without a limit for rows that other sessions
    have locked, and calls `say` with a line that names these sessions; no batch holds its own rows
    meanwhile. A deadlock or serialization failure is retried.
    """
    run = _Backfill(
        connection,
        batches,
        ledger=ledger,
        schema=schema,
        checkpoint=ledger.checkpoint(checkpoint_id) or Checkpoint(checkpoint_id, migration_id),
        batch_seconds=batch_seconds,
        pause=pause,
        progress=progress,
        before_batch=before_batch,
        say=say,
        make_default=make_default,
    )
    return run.run()


class _Backfill:
    """One run of a backfill: the current checkpoint, and the pace."""

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
        say: Callable[[str], None] | None,
        make_default: MakeDefault | None,
    ) -> None:
        self.connection, self.ledger, self.checkpoint = connection, ledger, checkpoint
        self.name, self.table = batches.table, sql.table(batches.table, schema)
        self.regclass = sql.regclass(batches.table, schema)
        self.assignments = sql.catalog_text(batches.assignments)
        self.where = sql.catalog_text(batches.where)
        self.copies = batches if isinstance(batches, Copies) else None
        each = batches.python or (batches.default and batches.default.each)
        self.values = RowValues(connection, batches, self.table, make_default) if each else None
        self.once = (
            OnceValue(
                connection,
                batches,
                self.table,
                ledger=ledger,
                place=place_of(checkpoint.id),
                make=make_default,
            )
            if batches.once or (batches.default and not each)
            else None
        )
        self.batch_seconds, self.pause = batch_seconds, pause
        self.progress, self.before_batch, self.say = progress, before_batch, say
        self.postponed: list[Postponed] = []
        self.left, self.named = 0, (set[int](), 0.0)
        self.size, self.in_turns, self.visited = FIRST_SIZE, False, 0
        self.own_transactions: list[str] = []
        self.skipped: sql.Fragment = sql.EMPTY
        self.processed_before = checkpoint.processed_rows
        self.started = time.monotonic()

    def run(self) -> int:
        self._refuse_hidden_rows()
        if self._is_left():
            self._save(status=RUNNING, total_rows=self._estimate())
            self._write_every_row()
            self._save(status=DONE, total_rows=self.checkpoint.processed_rows)
        return self.checkpoint.processed_rows

    def _is_left(self) -> bool:
        """Are rows left to write? If the step began again after its backfill was done, old code may
        have inserted some. A copy is complete: the journal has its missing rows, and it may have
        another name by now."""
        if self.checkpoint.status != DONE:
            return True
        if self.copies or not self._missed()[0]:
            return False
        self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
        return True

    def _refuse_hidden_rows(self) -> None:
        if role := blinded_role(self.connection, self.regclass):
            raise RowsHidden(str(self.name), role)

    def _write_every_row(self) -> None:
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
            allowed = (
                2 * missed + FIRST_SIZE
            )  # if there are more, clients insert faster than we write
            self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
        if stuck:
            raise RowsLeft(str(self.name), stuck, str(self.where).strip())

    def _snapshot(self) -> str | None:
        """The snapshot at the beginning of a pass: the pass sees all rows of transactions that
        ended before. None for a pass that an earlier run began."""
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
            self._report()
            first = False
            self._write_postponed(MOST_POSTPONED)
        self._write_postponed(0)

    # --- one batch -----------------------------------------------------------------------------

    def _write(self, found: Range) -> tuple[float, int]:
        """(seconds, rows written) of the attempt that succeeded."""
        try:
            return self._trying(found)
        except OperationalError as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise
        self._name_blockers(found)
        if self.copies:
            return self._patiently(found, lambda: self._trying(found))
        return self._patiently(found, lambda: self._free_rows(Postponed(found), found.reached))

    def _patiently(self, found: Range, attempt: Callable[[], _T]) -> _T:
        """Repeats the attempt while something other than a row of the table is locked; it writes
        nothing meanwhile."""
        for number in itertools.count(1):
            try:
                return attempt()
            except OperationalError as error:
                if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                    raise
            self._name_blockers(found)
            self._rest(number)
        raise AssertionError

    def _write_postponed(self, most: int) -> None:
        """Write postponed rows, until at most `most` ranges have any."""
        number = 1
        while len(self.postponed) > most:
            self._rest(number)
            number += 1
            again, self.postponed = self.postponed, []
            for each in again:
                self._patiently(each.range, partial(self._free_rows, each, self._reached))
            if len(self.postponed) == len(again):
                self._name_blockers(self.postponed[0].range)
            self._report()

    def _rest(self, number: int) -> None:
        pause = min(FIRST_PAUSE * 2 ** (number - 1), LONGEST_PAUSE)
        time.sleep(pause * random.uniform(0.8, 1.2))
        if self.before_batch:
            self.before_batch()

    def _free_rows(self, postponed: Postponed, reached: Cursor | None) -> tuple[float, int]:
        """Write the rows of a range that no other session has locked; the others are postponed."""
        own = sql.clause(
            " AND NOT xmin::text = ANY ({ids}::text[])", ids=sql.literal(list(postponed.written))
        )
        found, skipped = postponed.range, sql.clause("{a}{b}", a=self.skipped, b=own)
        before = len(self.own_transactions)
        left = sql.compose(
            "SELECT count(*) FROM {table} WHERE {condition} AND ({where}){skipped} "
            "AND xmin::text <> pg_current_xact_id()::xid::text",
            table=found.table,
            condition=found.condition,
            where=self.where,
            skipped=skipped,
        )
        seconds, written = self._trying(found, reached, skipped, left)
        if self.left:
            now = (*postponed.written, *self.own_transactions[before:])
            self.postponed.append(Postponed(found, now))
        return seconds, written

    def _trying(self, found: Range, *how: Any) -> tuple[float, int]:
        for number in range(1, TRIES):
            try:
                return self._try(found, *how)
            except OperationalError as error:
                if sqlstate(error) not in _PASSING:
                    raise
            time.sleep(0.05 * 2**number * random.uniform(0.5, 1.5))
        return self._try(found, *how)

    def _try(
        self,
        found: Range,
        reached: Cursor | None = None,
        skipped: sql.Fragment | None = None,
        left: str = "",
    ) -> tuple[float, int]:
        """With `left`, a query for the number of unwritten rows, locked rows are skipped."""
        started = time.monotonic()
        with transaction.atomic(using=self.connection.alias, durable=True):
            value = self.once.of(found, self.where) if self.once else None
            if self.once and value is not None:
                self.assignments = self.once.assignments(value)
            self.left = written = 0
            if self.once is None or value is not None:
                written = self._written(found, self.skipped if skipped is None else skipped, left)
            moved = dataclasses.replace(
                self.checkpoint,
                cursor=list(reached or found.reached),
                processed_rows=self.checkpoint.processed_rows + written,
            )
            own = self.ledger.save_checkpoint(moved)
            if self.once and value is not None and written:
                self.once.keep(value, self.checkpoint.migration_id)
        if self.once and value is not None and written:
            self.once.known = value
        if written:
            self.own_transactions.append(own)
        self.checkpoint = moved
        return time.monotonic() - started, written

    def _written(self, found: Range, skipped: sql.Fragment, left: str) -> int:
        update = self._update(found, skipped, free=bool(left))
        waits = f"set_config('lock_timeout', '{milliseconds(ROW_WAIT)}', true)"
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {NOT_DURABLE}, {waits};\n{update}")
            cursor.nextset()
            written = self.values.write(cursor, found) if self.values else int(cursor.rowcount)
        self.left = rows_of(self.connection, left)[0][0] if left else 0
        return written

    def _update(self, found: Range, skipped: sql.Fragment, *, free: bool) -> str:
        locked = sql.keyword(" SKIP LOCKED") if free else sql.EMPTY
        if self.values:
            return self.values.reading(found, self.where, skipped, locked)
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
        wanted = sql.clause(
            "{condition} AND ({where}){skipped}",
            condition=found.condition,
            where=self.where,
            skipped=skipped,
        )
        if free:
            wanted = sql.clause(
                "(tableoid, ctid) IN (SELECT tableoid, ctid FROM {table} WHERE {wanted} "
                "FOR NO KEY UPDATE{locked}) AND {wanted}",
                table=found.table,
                wanted=wanted,
                locked=locked,
            )
        return sql.compose(
            "UPDATE {table} SET {assignments} WHERE {wanted}",
            table=found.table,
            assignments=self.assignments,
            wanted=wanted,
        )

    def _name_blockers(self, found: Range) -> None:
        """Reports the sessions that have locked rows of the range, but not at every attempt."""
        pids, at = self.named
        text = sql.compose(
            LOCKING_ROWS, table=found.table, condition=found.condition, where=self.where
        )
        sessions = () if self.copies else blockers(rows_of(self.connection, text))
        now = {each.pid for each in sessions}
        if self.say and (now - pids or time.monotonic() - at > NAME_AGAIN):
            self.named = now, time.monotonic()
            who = named(sessions) or "another session"
            self.say(f"waiting for rows of {self.name}; locked by {who}")

    # --- the checkpoint ------------------------------------------------------------------------

    @property
    def _reached(self) -> Cursor | None:
        return tuple(self.checkpoint.cursor) if self.checkpoint.cursor else None

    def _save(self, **fields: Any) -> None:
        self.checkpoint = dataclasses.replace(self.checkpoint, **fields)
        self.ledger.save_checkpoint(self.checkpoint)

    def _missed(self, since: str | None = None) -> tuple[int, int]:
        """(rows still to be written, by one snapshot of the whole table; those of them that existed
        when the pass began, by the snapshot `since`).

        A row that this run wrote and that still matches (its value was NULL, say) is recognized by
        the transaction that wrote it, and not written again.
        """
        own = sql.clause("xmin::text = ANY ({ids}::text[])", ids=sql.literal(self.own_transactions))
        begun, running = unseen(since) if since else (None, [])
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

    def _report(self) -> None:
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

"""Backfills: writes or copies the rows that a predicate selects, in small batches, resumable.

A pass walks closed ranges of a key, or of pages where a table has no key. A range is found first
and updated then: an UPDATE joined to a LIMIT, or a prepared one, runs at a fraction of the speed.
Each batch commits together with its checkpoint, and does not wait for the disk: a server that
crashes forgets the last of both, and the end of the backfill takes all along
(https://www.postgresql.org/docs/current/wal-async-commit.html).
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from zanith_django import sql
from zanith_django.ledger import DONE, RUNNING, Checkpoint, Ledger
from zanith_django.operations.base import Batches, Copies
from zanith_django.run_lock import NOT_DURABLE
from zanith_django.schema.graph import TableName

FIRST_SIZE, SMALLEST, LARGEST = 1_000, 100, 1_000_000  # keys in a batch

# Batches that write little are quick, but the next one may meet nothing but rows to write.
LARGEST_SPARSE = 10_000

# Numbers of which so great a part are keys are counted on instead of looked through.
DENSE = 0.8

# Rows that appear behind the cursor are fetched by further passes, so many at most: clients who
# go on inserting such rows cannot keep a backfill from its end.
PASSES = 5

TRIES = 6
_PASSING = ("40001", "40P01")  # serialization failure, deadlock

# The primary key, else the smallest unique key without NULLs whose index has the default order.
# Dates are read as JSON prints them: ISO, whatever DateStyle the session that resumes has.
_KEY = """\
SELECT a.attname, t.typcategory = 'D', a.atttypid IN (20, 21, 23)
FROM (
    SELECT i.* FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    WHERE i.indrelid = {table}::regclass
      AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (
          SELECT FROM generate_series(0, i.indnkeyatts - 1) AS n
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
          JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[n]
          WHERE NOT a.attnotnull OR NOT o.opcdefault OR i.indoption[n] <> 0
             OR i.indcollation[n] <> a.attcollation
             OR EXISTS (
                 SELECT FROM pg_catalog.pg_constraint  -- PostgreSQL 18: NOT NULL NOT VALID
                 WHERE conrelid = i.indrelid AND contype = 'n' AND NOT convalidated
                   AND conkey[1] = a.attnum
             )
      )
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1
) AS i
CROSS JOIN generate_series(0, i.indnkeyatts - 1) AS n
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
ORDER BY n"""

_HEAPS = """\
WITH RECURSIVE family AS (
    SELECT {table}::regclass::oid AS oid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
)
SELECT n.nspname, c.relname,
       pg_relation_size(c.oid) / current_setting('block_size')::integer,
       CASE WHEN c.reltuples >= 1 AND c.relpages >= 1
            THEN greatest(c.reltuples / c.relpages, 1) ELSE 50 END
FROM family f
JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY n.nspname, c.relname"""

Key = tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class _Range:
    """The rows of one batch: `rows` of them at most, `reached` is the cursor behind them."""

    table: sql.Composable
    condition: sql.Composable
    reached: Key
    rows: int


class _KeyColumn(NamedTuple):
    """A row of `_KEY`."""

    name: str
    is_date: bool
    is_integer: bool


class _KeyPass:
    """Ranges of a key up to the highest one that the table has when the pass begins.

    The order of keys is PostgreSQL's alone. Values stand in the statements as literals without a
    type: each takes the type and collation of the column that it is compared with.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, table: sql.Composable, key: Sequence[_KeyColumn]
    ) -> None:
        self.connection, self.table = connection, table
        self.columns = sql.idents(column.name for column in key)
        # Qualified: ORDER BY would take a bare name for the text of the same name.
        self.ordered = [sql.clause("k.{name}", name=sql.ident(column.name)) for column in key]
        self.texts = sql.join(
            sql.clause(
                "to_json({name}) #>> '{{}}'" if column.is_date else "{name}::text", name=name
            )
            for name, column in zip(self.ordered, key, strict=True)
        )
        self.end = self._key_at(
            "ORDER BY {order} LIMIT 1",
            order=sql.join(sql.clause("{name} DESC", name=name) for name in self.ordered),
        )
        self.dense = len(key) == 1 and key[0].is_integer and self._is_dense()

    def after(self, reached: Key | None, size: int) -> _Range | None:
        """The next `size` keys; None at the end."""
        if self.end is None or reached == self.end:
            return None
        upper = self._upper(reached, size) or self.end
        condition = sql.clause(
            "({columns}) <= ({upper})", columns=self.columns, upper=_literals(upper)
        )
        if reached is not None:
            condition = sql.clause(
                "({columns}) > ({reached}) AND {condition}",
                columns=self.columns,
                reached=_literals(reached),
                condition=condition,
            )
        return _Range(self.table, condition, upper, size)

    def _is_dense(self) -> bool:
        """Are almost all numbers between the first key and the last one keys? Then a batch may take
        so many numbers as well as so many keys, and its end need not be looked for."""
        start = self._key_at("ORDER BY {key} LIMIT 1", key=sql.join(self.ordered))
        if start is None or self.end is None:
            return False
        return _estimated_rows(self.connection, self.table) > DENSE * (
            int(self.end[0]) - int(start[0])
        )

    def _upper(self, reached: Key | None, size: int) -> Key | None:
        """The key `size` rows further on; None where the end is nearer."""
        assert self.end is not None
        if self.dense and reached is not None:
            upper = int(reached[0]) + size
            return (str(upper),) if upper < int(self.end[0]) else None
        ordered = sql.join(self.ordered)
        above = (
            sql.EMPTY
            if reached is None
            else sql.clause("({key}) > ({reached}) AND ", key=ordered, reached=_literals(reached))
        )
        return self._key_at(
            "WHERE {above}({key}) < ({end}) ORDER BY {key} OFFSET {skipped} LIMIT 1",
            above=above,
            key=ordered,
            end=_literals(self.end),
            skipped=sql.literal(size - 1),
        )

    def _key_at(self, template: LiteralString, **parts: sql.Composable) -> Key | None:
        """The key that the template finds. Of the rows it passes over no text is made."""
        text = sql.compose(
            "SELECT {texts} FROM (SELECT {columns} FROM {table} AS k {rest}) AS k",
            texts=self.texts,
            columns=sql.join(self.ordered),
            table=self.table,
            rest=sql.clause(template, **parts),
        )
        rows = _rows(self.connection, text)
        return tuple(rows[0]) if rows else None


class _PagePass:
    """Ranges of pages, heap after heap, up to the pages that each has when the pass begins.

    A row that another client updates meanwhile may move behind the cursor: the next pass has it.
    """

    def __init__(self, connection: BaseDatabaseWrapper, table: sql.Composable) -> None:
        self.heaps = _rows(connection, sql.compose(_HEAPS, table=table))

    def after(self, reached: Key | None, size: int) -> _Range | None:
        """The pages of about `size` rows; None at the end."""
        for schema, name, pages, rows_per_page in self.heaps:
            start = self._start(reached, schema, name)
            if start < pages:
                end = start + max(1, int(size / rows_per_page))
                return self._range(schema, name, start, min(end, pages), int(rows_per_page))
        return None

    @staticmethod
    def _start(reached: Key | None, schema: str, name: str) -> float:
        if reached is None or (schema, name) > reached[:2]:
            return 0
        return int(reached[2]) if (schema, name) == reached[:2] else float("inf")

    @staticmethod
    def _range(schema: str, name: str, start: float, end: int, rows_per_page: int) -> _Range:
        condition = sql.clause(
            "ctid >= {start}::tid AND ctid < {end}::tid",
            start=sql.literal(f"({int(start)},0)"),
            end=sql.literal(f"({end},0)"),
        )
        heap = sql.clause("ONLY {table}", table=sql.qualified(schema, name))
        rows = (end - int(start)) * rows_per_page
        return _Range(heap, condition, (schema, name, str(end)), rows)


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
        self.batch_seconds, self.pause = batch_seconds, pause
        self.progress, self.before_batch = progress, before_batch
        self.size, self.visited = FIRST_SIZE, 0
        self.own_transactions: list[str] = []
        self.skipped: sql.Composable = sql.EMPTY
        self.processed_before = checkpoint.processed_rows
        self.started = time.monotonic()

    def run(self) -> int:
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
        if self.copies or not self._missed():
            return False
        self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)
        return True

    def _walk_until_none_is_missed(self) -> None:
        rows = _rows(self.connection, sql.compose(_KEY, table=self.regclass))
        key = [_KeyColumn(*row) for row in rows]
        allowed: float = float("inf")
        for _ in range(PASSES):
            self._pass(
                _KeyPass(self.connection, self.table, key)
                if key
                else _PagePass(self.connection, self.regclass)
            )
            missed = 0 if self.copies else self._missed()
            if not 0 < missed <= allowed:
                break
            allowed = 2 * missed + FIRST_SIZE  # more than that: they come faster than we write
            self.checkpoint = dataclasses.replace(self.checkpoint, cursor=None)

    def _pass(self, ranges: _KeyPass | _PagePass) -> None:
        first = True
        while (found := ranges.after(self._reached, self.size)) is not None:
            if self.pause and not first:
                time.sleep(self.pause)
            if self.before_batch:
                self.before_batch()
            seconds, written = self._write(found)
            self.size = next_size(self.size, seconds, written, self.batch_seconds)
            self.visited += found.rows
            self._tell()
            first = False

    # --- one batch -----------------------------------------------------------------------------

    def _write(self, found: _Range) -> tuple[float, int]:
        """(seconds, rows written) of the try that went through."""
        for number in range(1, TRIES):
            try:
                return self._try(found)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in _PASSING:
                    raise
            time.sleep(0.05 * 2**number * random.uniform(0.5, 1.5))
        return self._try(found)

    def _try(self, found: _Range) -> tuple[float, int]:
        started = time.monotonic()
        with transaction.atomic(using=self.connection.alias, durable=True):
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT {NOT_DURABLE};\n{self._update(found)}")
                cursor.nextset()
                written = cursor.rowcount
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

    def _update(self, found: _Range) -> str:
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
    def _reached(self) -> Key | None:
        return tuple(self.checkpoint.cursor) if self.checkpoint.cursor else None

    def _save(self, **fields: Any) -> None:
        self.checkpoint = dataclasses.replace(self.checkpoint, **fields)
        self.ledger.save_checkpoint(self.checkpoint)

    def _missed(self) -> int:
        """How many rows are still to be written, by one snapshot of the whole table.

        A row that this run wrote and that matches still (its value was NULL, say) is told by the
        transaction that wrote it, and not written again.
        """
        own = sql.clause("xmin::text = ANY ({ids}::text[])", ids=sql.literal(self.own_transactions))
        text = sql.compose(
            "SELECT count(*), count(*) FILTER (WHERE {own}) FROM {table} WHERE {where}",
            own=own,
            table=self.table,
            where=self.where,
        )
        matching, written = _rows(self.connection, text)[0]
        self.skipped = sql.clause(" AND NOT {own}", own=own) if written else sql.EMPTY
        return int(matching - written)

    # --- progress ------------------------------------------------------------------------------

    def _estimate(self) -> int:
        return max(_estimated_rows(self.connection, self.table), self.checkpoint.processed_rows)

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


def next_size(size: int, seconds: float, written: int, wanted_seconds: float) -> int:
    """The size of the batch after one of `size` keys; at most twice or half of it."""
    factor = min(max(wanted_seconds / max(seconds, 1e-6), 0.5), 2.0)
    wanted = int(size * factor)
    if written * 2 < size:
        wanted = min(wanted, max(size, LARGEST_SPARSE))
    return min(max(wanted, SMALLEST), LARGEST)


def _estimated_rows(connection: BaseDatabaseWrapper, table: sql.Composable) -> int:
    """What the planner takes a table's rows to be: right also before the first ANALYZE."""
    text = sql.compose("EXPLAIN (FORMAT JSON) SELECT FROM {table}", table=table)
    return int(_rows(connection, text)[0][0][0]["Plan"]["Plan Rows"])


def _literals(key: Key) -> sql.Composable:
    return sql.join(sql.literal(value) for value in key)


def _rows(connection: BaseDatabaseWrapper, text: str) -> list[tuple[Any, ...]]:
    """Without parameters: values in the text let the server plan for exactly this range."""
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())

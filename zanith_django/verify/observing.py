"""Observes each statement while the shadow runs it: locks, rewrites, scans, objects, rows, WAL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import Error as DjangoError
from psycopg.pq import TransactionStatus

from zanith_django.operations.base import Batches, Rounds, Statement
from zanith_django.plan.plan import PlannedStep
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.raw_sql import statements
from zanith_django.postgres.session import sqlstate
from zanith_django.run.observer import Observer
from zanith_django.verify.catalog_objects import CatalogObjects, Change, Key, Named, query

MOST = 200
"""The number of different statements of one step that are observed separately."""

# PostgreSQL announces work on rows at this level, from these functions of its source.
ANNOUNCING = b"SET client_min_messages = debug1"
WORK = ("ATRewriteTable", "index_build", "validateForeignKeyConstraint")

# SQL that would end the transaction in which a statement is tried.
ENDING = ("ABORT", "BEGIN", "COMMIT", "END", "PREPARE", "ROLLBACK", "START")
NOT_IN_TRANSACTION = "25001"

# Not of an index that no query can use any more: a concurrent drop takes ACCESS EXCLUSIVE on it.
_LOCKS_OF = b"""\
SELECT relation::bigint, mode, granted FROM pg_locks
WHERE pid = %s AND locktype IN ('relation', 'virtualxid') AND (relation IS NULL OR EXISTS (
  SELECT FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
  WHERE c.oid = relation AND indislive IS NOT FALSE))"""
GLANCE = 0.002  # seconds between two reads by another session

ROWS = ("inserted", "updated", "deleted")


@dataclass(slots=True)
class SeenStatement:
    """What one SQL text did, however often it ran. Tables are known by their numbers; `rows` are
    those that were inserted, updated and deleted, `changed` what reads a column that it renamed.
    Locks are `unseen` if the text ends transactions by itself."""

    sql: str
    times: int = 0
    seconds: float = 0.0
    wal: int = 0
    unseen: bool = False
    locks: dict[int, Lock] = field(default_factory=dict)
    rows: dict[int, list[int]] = field(default_factory=dict)
    work: list[str] = field(default_factory=list)
    rewrites: list[Named] = field(default_factory=list)
    made: list[Named] = field(default_factory=list)
    dropped: list[Named] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SeenStep:
    """One step with its statements; `step` is None for what Django deferred to the end."""

    migration: str
    number: int
    step: PlannedStep | None
    failed: bool = False
    statements: dict[str, SeenStatement] = field(default_factory=dict)

    def statement(self, text: str) -> SeenStatement:
        if text not in self.statements and len(self.statements) >= MOST:
            text = "-- more statements"
        return self.statements.setdefault(text, SeenStatement(text))


@dataclass(frozen=True, slots=True)
class _State:
    """What `state.sql` shows."""

    transaction: str
    wal: int
    catalogs: int
    locks: dict[int, Lock]
    rows: dict[int, list[int]]


class Watch(Observer):
    """Observes a run on a shadow. `steps` are the observed steps, in order; `before` are the
    objects that existed before the first."""

    looks = True

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.steps: list[SeenStep] = []
        self.objects = CatalogObjects()
        self.before: frozenset[Key] = frozenset()
        self._last: _State | None = None
        self._record: SeenStatement | None = None
        self._failure: tuple[BaseException, str] | None = None

    def start(self) -> None:
        """Let the server say what it does."""
        self._session.execute(ANNOUNCING)
        self._session.add_notice_handler(self._noticed)

    @property
    def _session(self) -> Any:
        return self.connection.connection

    def failing_statement(self, error: BaseException) -> str:
        """The SQL whose error led to this one; "" if none of the last statement did."""
        causes: list[BaseException] = []
        cause: BaseException | None = error
        while cause and cause not in causes:
            causes.append(cause)
            cause = cause.__cause__ or cause.__context__
        failure, text = self._failure or (None, "")
        return text if failure in causes else ""

    # --- called by the run ---------------------------------------------------------------------

    def begin(self, migration_id: str, number: int, step: PlannedStep | None) -> None:
        if not self.steps:
            self.objects.read(self._session)
            self.before = frozenset(self.objects.known)
        self.steps.append(SeenStep(migration_id, number, step))

    @contextmanager
    def statement(self, statement: Statement | None) -> Iterator[None]:
        one = type(statement) is Statement or isinstance(statement, Batches | Rounds)
        shown = statement.sql if one and statement else None
        self._last = self._state()
        try:
            with self.connection.execute_wrapper(partial(self._execute, shown)):
                yield
        except BaseException:
            self.steps[-1].failed = True
            raise
        self._look_at_rest(shown)

    def _execute(
        self,
        shown: str | None,
        execute: Callable[..., Any],
        text: Any,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        """A cursor of the server is declared once: it is not tried before."""
        record = self._record = self.steps[-1].statement(shown or str(text))
        run = partial(execute, text, params, many, context)
        alone = self._status == TransactionStatus.IDLE
        once = isinstance(context["cursor"].cursor, psycopg.ServerCursor)
        record.unseen |= alone and once
        held_up = alone and not once and not self._tried(run, str(text), record)
        started = time.monotonic()
        try:
            with self._held_up(record) if held_up else nullcontext():
                return run()
        except DjangoError as error:
            self._failure = error, record.sql
            raise
        finally:
            record.times += 1
            record.seconds += time.monotonic() - started
            self._record = None
            if alone:
                self._look_at_all(record)
            else:
                self._look(record)

    @property
    def _status(self) -> TransactionStatus:
        return TransactionStatus(self._session.info.transaction_status)

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        words = diagnostic.message_primary or ""
        record = self._record
        if record and diagnostic.source_function in WORK and words not in record.work:
            record.work.append(words)

    # --- looking -------------------------------------------------------------------------------

    def _state(self) -> _State | None:
        """None in a transaction that has failed."""
        if self._status not in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            return None
        row = self._session.execute(query("state")).fetchone()
        transaction, wal, catalogs, found, _ = row
        locks = {oid: max(map(Lock.from_catalog, modes)) for oid, modes, *_ in found}
        return _State(transaction, wal, catalogs, locks, {oid: rows for oid, _, *rows in found})

    def _look(self, record: SeenStatement) -> None:
        """Records the effects of the open transaction since the last call."""
        last, now = self._last, self._state()
        if last is None or now is None:
            return
        same = last.transaction == now.transaction
        record.wal += now.wal - last.wal
        if not same or now.catalogs != last.catalogs:
            self._note_objects(record, self.objects.refresh(self._session, now.locks))
        self._note_locks(record, now, last.locks if same else {})
        for oid, rows in now.rows.items():
            known = last.rows.get(oid, [0, 0, 0]) if same else [0, 0, 0]
            _add(record.rows, oid, [a - b for a, b in zip(rows, known, strict=True)])
        self._last = now

    def _look_at_all(self, record: SeenStatement) -> None:
        """Records the effects of a statement that was a transaction by itself: its locks are
        released."""
        last, now = self._last, self._state()
        if last is None or now is None:
            return
        record.wal += now.wal - last.wal
        self._note_objects(record, self.objects.read(self._session))
        self._last = now

    def _look_at_rest(self, shown: str | None) -> None:
        """Records effects without Django's cursors, such as COPY."""
        if self._status != TransactionStatus.INTRANS:
            return
        rest = SeenStatement(shown or "-- past Django's cursors")
        self._look(rest)
        if rest.locks or rest.rows or rest.made or rest.dropped:
            self.steps[-1].statements.setdefault(rest.sql, rest)

    def _note_objects(self, record: SeenStatement, change: Change) -> None:
        short = change.shortened
        record.made += short.made
        record.dropped += short.dropped
        record.rewrites += short.rewritten
        for column in short.renamed:
            given = {"table": column.relation, "column": column.sub}
            found = self._session.execute(query("followers"), given).fetchall()
            record.changed += [words for (words,) in found]

    def _note_locks(self, record: SeenStatement, now: _State, known: dict[int, Lock]) -> None:
        for oid, lock in now.locks.items():
            if lock > known.get(oid, Lock.NONE):
                self._note_lock(record, oid, lock)

    def _note_lock(self, record: SeenStatement, oid: int, lock: Lock) -> None:
        """A lock on an index counts for its table, unless the run made the index: no other session
        can use it yet."""
        table = self.objects.table_of(oid)
        is_new = table != oid and self.before.isdisjoint({("index", oid, 0), ("sequence", oid, 0)})
        if table in self.objects.names and not is_new:
            record.locks[table] = max(lock, record.locks.get(table, Lock.NONE))

    # --- statements that commit by themselves --------------------------------------------------

    def _tried(self, run: Callable[[], Any], text: str, record: SeenStatement) -> bool:
        """Run it in a transaction and roll that back, to see its locks. False if it cannot run in
        one."""
        if any(each.split(None, 1)[0].upper() in ENDING for each in statements(text)):
            record.unseen = True
            return True
        self._session.execute(b"BEGIN")
        try:
            run()
            if now := self._state():
                self._note_locks(record, now, {})
                for oid, rows in now.rows.items():
                    _add(record.rows, oid, rows)
        except DjangoError as error:
            return sqlstate(error) != NOT_IN_TRANSACTION
        finally:
            self._session.execute(b"ROLLBACK")
            self._last = self._state()
        return True

    @contextmanager
    def _held_up(self, record: SeenStatement) -> Iterator[None]:
        """Lets another session read the locks meanwhile. The open snapshot of a third session
        delays a concurrent build until they are read."""
        over = threading.Event()
        given = {**self.connection.get_connection_params(), "autocommit": True}
        with psycopg.connect(**given) as side, psycopg.connect(**given) as holder:
            holder.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ")
            holder.execute(b"SELECT 1")
            thread = threading.Thread(target=self._read_locks, args=(side, holder, over, record))
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()

    def _read_locks(
        self,
        side: psycopg.Connection[Any],
        holder: psycopg.Connection[Any],
        over: threading.Event,
        record: SeenStatement,
    ) -> None:
        pid = self._session.info.backend_pid
        with suppress(psycopg.Error):
            while not over.is_set():
                found = side.execute(_LOCKS_OF, [pid]).fetchall()
                for oid, mode, granted in found:
                    if oid and granted:
                        self._note_lock(record, oid, Lock.from_catalog(mode))
                waits = any(not granted for _, _, granted in found)
                if waits and holder.info.transaction_status == TransactionStatus.INTRANS:
                    holder.execute(b"COMMIT")
                over.wait(GLANCE)


def _add(rows: dict[int, list[int]], oid: int, new: list[int]) -> None:
    if any(number > 0 for number in new):
        known = rows.get(oid, [0, 0, 0])
        rows[oid] = [a + b for a, b in zip(known, new, strict=True)]

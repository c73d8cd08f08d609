"""Runs the statements of one step: in as few transactions as SQL allows, resumable after a kill."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.conf import conf
from zanith_django.exceptions import LockLost
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.marks import progress
from zanith_django.ledger.steps import TURN
from zanith_django.operations.base import Batches, PythonCall, Rounds, Statement, WithDefault
from zanith_django.operations.online.scaffold import removal
from zanith_django.postgres import patience
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.postgres.pipeline import Meanwhile, send
from zanith_django.postgres.rows import one_value
from zanith_django.postgres.run_lock import GUARD, check_held, guard, may_report_loss
from zanith_django.postgres.session import is_open, milliseconds, prepare, set_timeouts, sqlstate
from zanith_django.run import blockers as blocking
from zanith_django.run.backfill import backfill
from zanith_django.run.blockers import Blocker, blockers, named
from zanith_django.run.lookout import Lookout
from zanith_django.run.observer import Observer
from zanith_django.run.progress import Progress
from zanith_django.run.row_values import MakeDefault
from zanith_django.run.stopwatch import Stopwatch
from zanith_django.run.work import (
    Attempt,
    Finish,
    Transaction,
    is_costly,
    is_foreign,
    is_plain,
    is_transactional,
    transactions,
)

# The limit of rounds: it ends a step even if clients write faster than we catch up.
ROUNDS = 100

SHOWN_DELAY = 1.0  # seconds from which a delay before an attempt is reported

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
DUPLICATE = "42P07"
NOT_PREPARED = "26000"


class Executor:
    """Executes statements on the working connection.

    `call_python` runs a PythonCall inside the open transaction, `make_default` calls the default of
    a field there; `on_progress` receives the progress of backfills, `on_retry` a text about a lock
    that a step waits for, at times from another thread. Before each transaction the executor checks
    that the run lock is still held.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        *,
        call_python: Callable[[PythonCall], None] | None = None,
        make_default: MakeDefault | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_retry: Callable[[str], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.connection, self.ledger = connection, ledger
        self.stopwatch = Stopwatch({}, ledger.note)
        self.observer = observer or Observer()
        self.call_python, self.make_default = call_python, make_default
        self.on_progress, self.on_retry = on_progress, on_retry
        self.budget, self.lock_retries = patience.Budget(conf.lock_timeout), conf.lock_retries
        self.lookout = Lookout(connection, self._say)
        self.meanwhile: Meanwhile | None = None
        self.prepared = False

    def run(self, attempt: Attempt, statements: Sequence[Statement], finish: Finish) -> None:
        """Run the statements and then `finish`, which commits together with the last ones."""
        self.carry_out(self.ready(attempt, statements, finish))

    def ready(self, attempt: Attempt, statements: Sequence[Statement], finish: Finish) -> Attempt:
        """The attempt with its transactions, which `carry_out` runs."""
        groups = list(transactions(statements))
        if not groups or not groups[-1][0].transactional:
            groups.append([])
        before = [self._transaction(group, Finish()) for group in groups[:-1]]
        parts = (*before, self._transaction(groups[-1], finish))
        return dataclasses.replace(attempt, transactions=parts)

    def _transaction(
        self, group: Sequence[Statement], finish: Finish, seconds: float | None = None
    ) -> Transaction:
        if seconds is None:
            seconds = patience.length(1, self.budget, costly=is_costly(group))
        fused = not (finish.call or self.observer.looks) and all(map(is_plain, group))
        timeout = milliseconds(_lock_timeout(group, seconds))
        begin = guard(timeout, durable=finish.durable, prepared=fused)
        texts = [begin, *(statement.sql for statement in group), finish.sql]
        text = ";\n".join(filter(None, texts)) if fused else ""
        return Transaction(group, finish, seconds, begin, text)

    def carry_out(self, attempt: Attempt, meanwhile: Meanwhile | None = None) -> None:
        """Run what `ready` prepared. `meanwhile` is iterated while the server works, and must not
        use the connection. After a failure, objects that disturb other sessions are removed."""
        self.meanwhile = meanwhile
        begun = 0
        try:
            for begun, part in enumerate(attempt.transactions, 1):
                if part is not attempt.transactions[-1]:
                    self._one_part(attempt, part, begun)
                else:
                    # It commits together with `done`: it cannot have finished in an earlier attempt
                    # of an unfinished step.
                    self._in_transaction(part)
        except LockLost:
            raise  # the session that holds it now owns the objects
        except BaseException as error:
            self._remove_disruptive_of(attempt, begun, error)
            raise
        if any(map(is_foreign, attempt.statements)):
            set_timeouts(self.connection, conf.statement_timeout)
        if attempt.transactions[-1].finish.after:
            attempt.transactions[-1].finish.after()

    def _one_part(self, attempt: Attempt, part: Transaction, number: int) -> None:
        if self._finished(attempt, part.statements):
            return
        if part.statements[0].transactional:
            self._in_transaction(part)
        else:
            check_held(self.connection)
            self._alone(attempt, part.statements[0], number)

    def together(self, attempts: Sequence[Attempt], meanwhile: Meanwhile) -> bool:
        """Run several steps in a single round trip, each of them one text and a transaction of its
        own. Returns False if one of them failed: the ledger shows which are done."""
        if not self.prepared:
            self._prepare()
        text = ";\nCOMMIT AND CHAIN;\n".join(attempt.text for attempt in attempts)
        try:
            send(self.connection, f"BEGIN;\n{text};\nCOMMIT", meanwhile)
        except BaseException as error:
            try:
                self.connection.connection.rollback()
            except psycopg.Error:
                raise error from None  # the connection is lost
            if not isinstance(error, DatabaseError):
                raise
            if sqlstate(error) == LOCK_NOT_AVAILABLE:
                self.budget.spend(max(attempt.transactions[0].seconds for attempt in attempts))
            return False
        return True

    # --- what an earlier attempt left ----------------------------------------------------------

    def _finished(self, attempt: Attempt, group: Sequence[Statement]) -> bool:
        """Did an earlier attempt finish this group? An invalid index is removed."""
        if group[0].transactional and not attempt.resumed:
            return False
        states = [self._probe(statement) for statement in group if statement.probe]
        if "leftover" in states:
            for statement in group:
                if statement.cleanup:
                    self._execute(statement.cleanup)
        return bool(states) and all(state == "done" for state in states)

    def _probe(self, statement: Statement) -> str:
        return str(one_value(self.connection, statement.probe) or "")

    # --- what a failure leaves -----------------------------------------------------------------

    def _remove_disruptive_of(self, attempt: Attempt, begun: int, error: BaseException) -> None:
        """Removes the disruptive objects that this attempt may have left. If an earlier attempt
        began the step, any of them may exist. A failed transaction leaves none: if a name was
        taken, its object belongs to another program."""
        if attempt.keeps:
            return
        parts = attempt.transactions if attempt.resumed else attempt.transactions[:begun]
        if not attempt.resumed and parts and is_transactional(parts[-1].statements):
            parts = parts[:-1]
        made = [statement for part in parts for statement in part.statements]
        for line in self.remove_disruptive(made):
            error.add_note(line)

    def remove_disruptive(self, made: Iterable[Statement]) -> list[str]:
        """Removes the unfinished objects of these statements that disturb other sessions, as long
        as the server answers; returns a line for people about each."""
        lines = []
        for statement in made:
            if not statement.disruptive or not is_open(self.connection):
                continue
            try:
                if self._probe(statement):
                    self._remove(removal(statement))
                    lines.append(f"removed {statement.disruptive}: it would affect other sessions")
            except DatabaseError as error:
                lines.append(f"{statement.disruptive} could not be removed: {_first_line(error)}")
        return lines

    def _remove(self, gone: Statement) -> None:
        if gone.transactional:
            self._in_transaction(self._transaction([gone], Finish()))
        else:
            with self.lookout.watching():
                self._execute(gone.sql)

    # --- running -------------------------------------------------------------------------------

    def _in_transaction(self, part: Transaction) -> None:
        def attempt(seconds: float) -> None:
            now = part
            if seconds != part.seconds:
                now = self._transaction(part.statements, part.finish, seconds)
            with self.stopwatch.timing(part.statements):
                send_all(now)

        def send_all(now: Transaction) -> None:
            if now.text:
                self._fused(now.text)
                return
            with transaction.atomic(using=self.connection.alias, durable=True):
                self._execute(now.begin)
                for statement in now.statements:
                    self._one(statement)
                if now.finish.call:
                    now.finish.call()
                if now.finish.sql:
                    self._prepare()  # the project's code may have deallocated it
                    self._execute(now.finish.sql)

        try:
            with self._watched(part.statements):
                self.retrying(part.statements, attempt, costly=is_costly(part.statements))
        except DatabaseError as error:
            if may_report_loss(error):
                check_held(self.connection)
            raise

    def _watched(self, group: Sequence[Statement]) -> AbstractContextManager[None]:
        """Reports the sessions that a statement without a lock timeout waits for."""
        unbounded = not _lock_timeout(group, 1) and any(s.scans or s.rewrites for s in group)
        return self.lookout.watching() if unbounded else nullcontext()

    def _one(self, statement: Statement) -> None:
        with self.observer.statement(statement):
            self._run(statement)

    def _run(self, statement: Statement) -> None:
        if isinstance(statement, PythonCall):
            if self.call_python is None:
                raise NotImplementedError("no Python runs here")
            self.call_python(statement)
            return
        if isinstance(statement, WithDefault):
            if self.make_default is None:
                raise NotImplementedError("no Python runs here")
            self._execute(statement.given(self.make_default(statement.default)))
            return
        self._execute(statement.sql)

    def _alone(self, attempt: Attempt, statement: Statement, number: int) -> None:
        with (
            self.lookout.watching(),
            self.observer.statement(statement),
            self.stopwatch.timing([statement]),
        ):
            if isinstance(statement, Batches):
                self._backfill(attempt, statement, number)
            elif isinstance(statement, PythonCall):
                self._run(statement)
            elif isinstance(statement, Rounds):
                self._in_rounds(statement)
            else:
                self._concurrently(statement)

    def _concurrently(self, statement: Statement) -> None:
        """Runs a statement outside of transactions, without a lock timeout: a timeout would cancel
        a concurrent build whenever an old snapshot is open, and leave an invalid index each
        time."""

        def attempt(seconds: float) -> None:
            try:
                self._execute(statement.sql)
            except DatabaseError as error:
                # If the name is taken, the existing object is another program's.
                if statement.cleanup and sqlstate(error) != DUPLICATE:
                    self._execute(statement.cleanup)
                raise

        self.retrying([statement], attempt)

    def _execute(self, text: str) -> None:
        """Runs a text without parameters; several statements of one text are one implicit
        transaction."""
        with self.connection.cursor() as cursor:
            cursor.execute(text)

    def _fused(self, text: str) -> None:
        if not self.prepared:
            self._prepare()
        meanwhile, self.meanwhile = self.meanwhile, None
        try:
            send(self.connection, text, meanwhile)
        except DatabaseError as error:
            if sqlstate(error) != NOT_PREPARED:
                raise
            self._prepare()  # the project's code deallocated it
            send(self.connection, text)

    def _prepare(self) -> None:
        """Prepares the statements that the text of a step executes."""
        prepare(self.connection, GUARD, TURN)
        self.prepared = True

    def _in_rounds(self, statement: Rounds) -> None:
        for _ in range(ROUNDS):
            check_held(self.connection)
            with transaction.atomic(using=self.connection.alias, durable=True):
                self._execute(statement.sql)
            if one_value(self.connection, statement.left) <= statement.enough:
                return

    def _backfill(self, attempt: Attempt, statement: Batches, number: int) -> None:
        backfill(
            self.connection,
            statement,
            ledger=self.ledger,
            checkpoint_id=progress(attempt.row_id, number),
            migration_id=attempt.migration_id,
            schema=attempt.schema,
            batch_seconds=conf.batch_seconds,
            pause=conf.batch_pause,
            progress=self._progress,
            before_batch=lambda: check_held(self.connection),
            say=self._say,
            make_default=self.make_default,
        )

    def retrying(
        self,
        statements: Sequence[Statement],
        attempt: Callable[[float], None],
        *,
        costly: bool = False,
    ) -> None:
        """Calls `attempt` again after a lock timeout, by the rules of `patience`, with the seconds
        that it may make other sessions wait. While the blocking sessions are in the same
        transactions, it makes no attempt except the last: other sessions would queue in vain."""
        tries, found = self.lock_retries + 1, tuple[Blocker, ...]()
        for number in range(1, tries + 1):
            if number > 1 and self._still_blocked(number - 1, found) and number < tries:
                self._say(f"waiting (attempt {number} of {tries}); still blocked by {named(found)}")
                continue
            seconds = patience.length(number, self.budget, costly=costly)
            self._wait_for_budget(seconds, statements, found)
            try:
                with self.lookout.watching(seconds / 4, silent=True) if costly else nullcontext():
                    attempt(seconds)
                return
            except DatabaseError as error:
                if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                    raise
                self.budget.spend(seconds)
                found = self._blockers(statements)
                words = _in_the_way(found, statements)
                if number == tries:
                    raise type(error)(f"{_first_line(error)}; {words}") from error
                self._say(f"could not acquire lock (attempt {number} of {tries}); {words}")

    def _wait_for_budget(
        self, seconds: float, statements: Sequence[Statement], found: tuple[Blocker, ...]
    ) -> None:
        """Wait until an attempt of `seconds` is within the budget."""
        delay = self.budget.seconds_until(seconds)
        if delay >= SHOWN_DELAY:
            words = _in_the_way(found or self._blockers(statements), statements)
            used = f"{self.budget.seconds:g} s per minute in which others may wait are used up"
            self._say(f"waiting {delay:.0f} s: the {used}; {words}")
        time.sleep(delay)

    def _still_blocked(self, number: int, found: tuple[Blocker, ...]) -> bool:
        """Pauses after an attempt. Returns whether the blocking transactions are still open."""
        if not found:
            time.sleep(patience.pause(number))
            return False
        known = [each.pid for each in found], [each.since for each in found]
        return patience.wait(
            patience.pause(number), lambda: bool(self._sessions(blocking.STILL_THERE, *known))
        )

    def _blockers(self, statements: Sequence[Statement]) -> tuple[Blocker, ...]:
        """The sessions with locks that conflict with those of the statements, or those that the
        lookout saw."""
        found = self._sessions(blocking.CONFLICTING, *blocking.wanted(statements))
        return found or self.lookout.seen

    def _sessions(self, query: str, *params: Any) -> tuple[Blocker, ...]:
        with self.connection.cursor() as cursor:
            cursor.execute(query, params)
            return blockers(cursor.fetchall())

    def _progress(self, progress: Progress) -> None:
        self.stopwatch.written = progress.processed_rows
        if self.on_progress:
            self.on_progress(progress)

    def _say(self, words: str) -> None:
        if self.on_retry:
            self.on_retry(words)


def _in_the_way(found: tuple[Blocker, ...], statements: Iterable[Statement]) -> str:
    if found:
        return f"blocked by {named(found)}"
    unknown = any(map(is_foreign, statements))
    return "who holds it is not known" if unknown else "the blocker is gone already"


def _lock_timeout(group: Sequence[Statement], seconds: float) -> float:
    """The timeout for locks that block readers or writers; 0 (none) if no statement takes such a
    lock. A session that waits for the first lock of a transaction waits for all of them, so the
    tables share the time."""
    if any(isinstance(statement, PythonCall) for statement in group):
        return seconds
    strong = [s for s in group if s.lock >= Lock.SHARE]
    return max(seconds / max(len(_tables(strong)), 1), 0.01) if strong else 0


def _tables(statements: Iterable[Statement]) -> set[TableName]:
    return {name for statement in statements for name in statement.tables}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]

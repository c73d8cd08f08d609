"""Runs the statements of one step: in as few transactions as SQL allows, resumable after a kill."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django import sql
from zanith_django.backfill import Progress, backfill
from zanith_django.conf import conf
from zanith_django.exceptions import LockLost
from zanith_django.ledger import TURN, Ledger, split_step_id, step_id
from zanith_django.locks import Lock
from zanith_django.operations.base import Batches, PythonCall, Rounds, Statement
from zanith_django.run_lock import GUARD, LOST, check_held, guard
from zanith_django.schema.graph import TableName
from zanith_django.sending import Meanwhile, send
from zanith_django.session import milliseconds, prepare, set_timeouts, sqlstate

# Rounds at most: clients that write faster than we catch up cannot keep a step from its end.
ROUNDS = 100

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
DUPLICATE = "42P07"
NOT_PREPARED = "26000"

_BLOCKERS = """\
SELECT a.pid, coalesce(a.state, a.backend_type),
       date_trunc('second', clock_timestamp() - a.xact_start)::text,
       left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80)
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.pid IN (
    SELECT l.pid FROM pg_locks l
    JOIN unnest(%s::text[], %s::text[]) AS wanted(name, mode)
      ON l.relation = to_regclass(wanted.name) AND l.mode = wanted.mode
    WHERE l.granted AND l.locktype = 'relation'
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
ORDER BY a.xact_start LIMIT 3"""


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step as the executor needs it. `resumed` tells that an earlier attempt began it."""

    row_id: str
    migration_id: str
    schema: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """What commits together with a step's last statements: `call` first, then `sql`. `after` is
    called when all of it is committed and no lock is held any more.

    Where there is no `call`, the statements, their end and the beginning of the next step go to
    the server as one text, in one round trip and one commit. Where another step follows, it does
    not wait for the disk (`durable`): a server that crashes right behind it forgets the step and
    its `done` together, and what is committed later, by anybody, takes both to the disk along.
    """

    sql: str = ""
    durable: bool = True
    call: Callable[[], None] | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Transaction:
    """Statements that commit together, and with them `finish`, if they are the last of a step.

    `begin` is what the transaction begins with; `text` all of it, where it can go as one text.
    """

    statements: Sequence[Statement]
    finish: Finish
    begin: str
    text: str


@dataclass(frozen=True, slots=True)
class Work:
    """One step with its statements, made ready to run."""

    step: StepRun
    transactions: Sequence[_Transaction]

    @property
    def text(self) -> str:
        """All of it, where it is one transaction that can go as one text."""
        return self.transactions[0].text if len(self.transactions) == 1 else ""

    @property
    def statements(self) -> Iterator[Statement]:
        return (statement for part in self.transactions for statement in part.statements)


class Executor:
    """Executes statements on the working connection.

    `call_python` runs a PythonCall inside the open transaction; `on_progress` hears of backfills.
    Before each transaction it is made sure that the run lock is still held.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        *,
        call_python: Callable[[PythonCall], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        self.connection, self.ledger = connection, ledger
        self.call_python, self.on_progress = call_python, on_progress
        self.on_retry = on_retry
        self.lock_timeout, self.lock_retries = conf.lock_timeout, conf.lock_retries
        self.meanwhile: Meanwhile | None = None
        self.prepared = False

    def run(self, step: StepRun, statements: Sequence[Statement], finish: Finish) -> None:
        """Run the statements and then `finish`, which commits together with the last ones."""
        self.carry_out(self.ready(step, statements, finish))

    def ready(self, step: StepRun, statements: Sequence[Statement], finish: Finish) -> Work:
        """All that can be known of a step before it runs: `carry_out` runs it."""
        groups = list(transactions(statements))
        if not groups or not groups[-1][0].transactional:
            groups.append([])
        before = [self._transaction(group, Finish()) for group in groups[:-1]]
        return Work(step, (*before, self._transaction(groups[-1], finish)))

    def _transaction(self, group: Sequence[Statement], finish: Finish) -> _Transaction:
        fused = not finish.call and all(_is_plain(statement) for statement in group)
        timeout = milliseconds(self._lock_timeout(group))
        begin = guard(timeout, durable=finish.durable, prepared=fused)
        texts = [begin, *(statement.sql for statement in group), finish.sql]
        return _Transaction(group, finish, begin, ";\n".join(filter(None, texts)) if fused else "")

    def carry_out(self, work: Work, meanwhile: Meanwhile | None = None) -> None:
        """Run what `ready` made ready. `meanwhile` may be taken on while the server is at work, and
        must not ask it anything."""
        self.meanwhile = meanwhile
        *before, last = work.transactions
        for number, part in enumerate(before, 1):
            if self._finished(work.step, part.statements):
                continue
            if part.statements[0].transactional:
                self._in_transaction(part)
            else:
                check_held(self.connection)
                self._alone(work.step, part.statements[0], number)
        # It commits together with `done`: had an earlier attempt finished it, so were the step.
        self._in_transaction(last)
        if any(map(_is_foreign, work.statements)):
            set_timeouts(self.connection, conf.statement_timeout)
        if last.finish.after:
            last.finish.after()

    def together(self, works: Sequence[Work], meanwhile: Meanwhile) -> bool:
        """Run steps that are one text each in a single round trip, each in a transaction of its
        own. False where the server stopped at one of them: the ledger tells which are done."""
        if not self.prepared:
            self._prepare()
        text = ";\nCOMMIT AND CHAIN;\n".join(work.text for work in works)
        try:
            send(self.connection, f"BEGIN;\n{text};\nCOMMIT", meanwhile)
        except BaseException as error:
            try:
                self.connection.connection.rollback()
            except psycopg.Error:
                raise error from None  # the connection is lost
            if not isinstance(error, DatabaseError):
                raise
            return False
        return True

    # --- what an earlier attempt left ----------------------------------------------------------

    def _finished(self, step: StepRun, group: Sequence[Statement]) -> bool:
        """Did an earlier attempt finish this group? What an invalid index left is removed."""
        if group[0].transactional and not step.resumed:
            return False
        states = [self._probe(statement) for statement in group if statement.probe]
        if "leftover" in states:
            for statement in group:
                if statement.cleanup:
                    self._execute(statement.cleanup)
        return bool(states) and all(state == "done" for state in states)

    def _probe(self, statement: Statement) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(statement.probe)
            row = cursor.fetchone()
        return str(row[0]) if row and row[0] else ""

    # --- running -------------------------------------------------------------------------------

    def _in_transaction(self, part: _Transaction) -> None:
        def attempt() -> None:
            if part.text:
                self._fused(part.text)
                return
            with transaction.atomic(using=self.connection.alias, durable=True):
                self._execute(part.begin)
                for statement in part.statements:
                    self._one(statement)
                if part.finish.call:
                    part.finish.call()
                if part.finish.sql:
                    self._prepare()  # somebody's code may have deallocated it
                    self._execute(part.finish.sql)

        try:
            self.retrying(part.statements, attempt)
        except DatabaseError as error:
            if LOST in str(error):
                raise LockLost from error
            raise

    def _lock_timeout(self, group: Sequence[Statement]) -> float:
        """Bounds locks that block readers or writers; a scan that blocks neither may wait. Who is
        held up by the first lock of a transaction waits for all of them: they share the time."""
        if any(isinstance(statement, PythonCall) for statement in group):
            return self.lock_timeout
        blocking = [s for s in group if s.lock >= Lock.SHARE]
        tables = _tables(blocking)
        return max(self.lock_timeout / max(len(tables), 1), 0.01) if blocking else 0

    def _one(self, statement: Statement) -> None:
        if isinstance(statement, PythonCall):
            if self.call_python is None:
                raise NotImplementedError("no Python runs here")
            self.call_python(statement)
            return
        self._execute(statement.sql)

    def _alone(self, step: StepRun, statement: Statement, number: int) -> None:
        if isinstance(statement, Batches):
            self._backfill(step, statement, number)
            return
        if isinstance(statement, PythonCall):
            self._one(statement)
            return
        if isinstance(statement, Rounds):
            self._in_rounds(statement)
            return

        # Without a lock timeout: it would kill a concurrent build whenever any old snapshot is
        # open, and leave an invalid index each time.
        def attempt() -> None:
            try:
                self._execute(statement.sql)
            except DatabaseError as error:
                # Of a name that is taken, what is there is somebody's.
                if statement.cleanup and sqlstate(error) != DUPLICATE:
                    self._execute(statement.cleanup)
                raise

        self.retrying([statement], attempt)

    def _execute(self, text: str) -> None:
        """Without parameters: several statements of one text are one transaction by themselves."""
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
            self._prepare()  # somebody's code deallocated it
            send(self.connection, text)

    def _prepare(self) -> None:
        """Makes what the text of a step executes known to the session."""
        prepare(self.connection, GUARD, TURN)
        self.prepared = True

    def _in_rounds(self, statement: Rounds) -> None:
        for _ in range(ROUNDS):
            check_held(self.connection)
            with transaction.atomic(using=self.connection.alias, durable=True):
                self._execute(statement.sql)
            with self.connection.cursor() as cursor:
                cursor.execute(statement.left)
                if cursor.fetchone()[0] <= statement.enough:
                    return

    def _backfill(self, step: StepRun, statement: Batches, number: int) -> None:
        backfill(
            self.connection,
            statement,
            ledger=self.ledger,
            checkpoint_id=_checkpoint(step, number),
            migration_id=step.migration_id,
            schema=step.schema,
            batch_seconds=conf.batch_seconds,
            pause=conf.batch_pause,
            progress=self.on_progress,
            before_batch=lambda: check_held(self.connection),
        )

    def retrying(self, statements: Sequence[Statement], attempt: Callable[[], None]) -> None:
        """A step is retried, never a file: after a lock timeout, with backoff and jitter. Who
        holds locks that are in the way of `statements` is told."""
        tries = self.lock_retries
        for number in range(1, tries + 2):
            try:
                attempt()
            except DatabaseError as error:
                if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                    raise
                blockers = self._blockers(statements)
                if number > tries:
                    raise type(error)(f"{_first_line(error)}; {blockers}") from error
                wait = min(2.0, 0.1 * 2**number) * random.uniform(0.5, 1.5)
                if self.on_retry:
                    self.on_retry(f"lock not had (try {number} of {tries}); {blockers}")
                time.sleep(wait)
            else:
                return

    def _blockers(self, statements: Sequence[Statement]) -> str:
        """Who holds locks that conflict with those of the statements, for people."""
        wanted = [
            (_spelled(table), mode.catalog)
            for statement in statements
            for table in statement.tables
            for mode in statement.lock.conflicts
        ]
        with self.connection.cursor() as cursor:
            cursor.execute(_BLOCKERS, [[name for name, _ in wanted], [mode for _, mode in wanted]])
            rows = cursor.fetchall()
        told = [
            f"pid {pid} ({state}, {age or 'just now'}): {query}" for pid, state, age, query in rows
        ]
        if told:
            return f"blocked by {'; '.join(told)}"
        unknown = any(map(_is_foreign, statements))
        return "who holds it is not known" if unknown else "the blocker is gone already"


def _spelled(name: TableName) -> str:
    """As `to_regclass` takes it; without a schema, it is the one of the search_path."""
    return sql.qualified(*name) if name.schema else sql.ident(name.name)


def _tables(statements: Iterable[Statement]) -> set[TableName]:
    return {name for statement in statements for name in statement.tables}


def transactions(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Statements grouped by the transaction that they share."""
    group: list[Statement] = []
    for statement in statements:
        if group and (not statement.transactional or statement.separate):
            yield group
            group = []
        if statement.transactional:
            group.append(statement)
        else:
            yield [statement]
    if group:
        yield group


def _is_plain(statement: Statement) -> bool:
    """One text that is one statement, as our own operations compose it, and goes with others; raw
    SQL may be anything."""
    return type(statement) is Statement and statement.transactional and not statement.raw


def _is_foreign(statement: Statement) -> bool:
    """Somebody's code, which may leave the session in another state."""
    return statement.raw or isinstance(statement, PythonCall)


def _checkpoint(step: StepRun, number: int) -> str:
    """One checkpoint for all attempts of a step; `number` tells its backfills apart."""
    migration_id, numbered, _ = split_step_id(step.row_id)
    return f"{step_id(migration_id, numbered)}#{number}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]

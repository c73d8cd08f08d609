"""Runs of a command in a process of their own, that may be cut off at a statement."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import psycopg
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from psycopg.pq import TransactionStatus

from zanith_django.exceptions import ZanithError
from zanith_django.ledger.ledger import Ledger
from zanith_django.plan.gates import Policy

# How a run is cut: its process killed, its backend ended; before, inside or after a statement.
# "held" waits until a concurrent build waits for others.
WAYS = (
    "kill before",
    "kill inside",
    "kill after",
    "end before",
    "end inside",
    "kill held",
    "end held",
)

RANDOM = "kill at random"

WAITING = """
SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock' AND state = 'active'"""

Counted = Callable[[str], None]

# Begins the line of a statement that a transaction begins with.
_BEGINS = "\t"


@dataclass(frozen=True, slots=True)
class Noted:
    """A statement that a run sent; a commit comes before one that `begins` a transaction."""

    text: str
    begins: bool


def noted(notes: Path) -> list[Noted]:
    """The statements that a run wrote to this file, in order."""
    lines = notes.read_text().splitlines()
    return [Noted(line.removeprefix(_BEGINS), line.startswith(_BEGINS)) for line in lines]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a run ends: at the statement of this number, counted from the first that it writes.

    A concurrent build that is to be held up is found by its text: how many batches of a backfill
    come before it is up to the machine.
    """

    number: int
    way: str
    statement: str

    @property
    def held(self) -> bool:
        return self.way.endswith("held")

    def is_at(self, number: int, statement: str) -> bool:
        return statement == self.statement if self.held else number == self.number


# A command ends with exit 3 and what the server says; a cut run and the next one may not.
REFUSED = 97


class Cutter:
    """A wrapper around every statement of the connection; counts, and cuts."""

    def __init__(
        self,
        url: str,
        cut: Cut | None,
        note: Counted,
        world: object = None,
        *,
        reading: bool = False,
    ) -> None:
        self.url, self.cut, self.note, self.world = url, cut, note, world
        self.number = 0
        self.writing = reading

    def __call__(self, execute: Any, text: Any, params: Any, many: bool, context: Any) -> Any:
        self.writing = self.writing or "INSERT INTO _zanith_" in str(text)
        if not self.writing or str(text).startswith("--"):  # queries of the catalog are files
            return execute(text, params, many, context)
        self.number += 1
        statement = " ".join(str(text).split())
        idle = connection.connection.pgconn.transaction_status == TransactionStatus.IDLE
        self.note((_BEGINS if idle else "") + statement)
        if self.cut is None or not self.cut.is_at(self.number, statement):
            return execute(text, params, many, context)
        given = (lambda: execute(text, params, many, context), text, params, context)
        if self.world and not self.cut.way.startswith(("kill", "end")):
            return self._fault(*given[:1])
        return getattr(self, self.cut.way.replace(" ", "_"))(*given)

    def _fault(self, execute: Callable[[], Any]) -> Any:
        name, _, place = self.cut.way.partition(" ") if self.cut else ("", "", "")
        fault, pid = getattr(self.world, name), connection.connection.info.backend_pid
        if place == "before":
            fault(pid)
            return execute()
        worker = threading.Thread(target=fault, args=(pid,), daemon=True)
        worker.start()
        try:
            return execute()
        finally:
            worker.join()

    def kill_before(self, *given: Any) -> None:
        _die()

    def kill_after(self, execute: Callable[[], Any], *given: Any) -> None:
        execute()
        _die()

    def kill_inside(self, execute: Any, text: Any, params: Any, context: Any) -> None:
        """The server has the statement; nobody waits for its answer."""
        raw = connection.connection
        if params is not None:
            text = context["cursor"].cursor.mogrify(text, params)
        if raw.pgconn.transaction_status == TransactionStatus.IDLE and not raw.autocommit:
            raw.pgconn.exec_(b"BEGIN")
        raw.pgconn.send_query(str(text).encode())
        raw.pgconn.flush()
        _die()

    def end_before(self, execute: Callable[[], Any], *given: Any) -> Any:
        self._terminate(connection.connection.info.backend_pid)
        return execute()

    def end_inside(self, execute: Callable[[], Any], *given: Any) -> Any:
        pid = connection.connection.info.backend_pid
        threading.Thread(target=self._terminate, args=(pid,), daemon=True).start()
        result = execute()
        time.sleep(0.05)  # too late for this statement: then between it and the next
        return result

    def kill_held(self, execute: Callable[[], Any], text: Any, *given: Any) -> Any:
        return self._held(execute, str(text), lambda pid: _die())

    def end_held(self, execute: Callable[[], Any], text: Any, *given: Any) -> Any:
        return self._held(execute, str(text), self._terminate)

    def _held(self, execute: Callable[[], Any], text: str, then: Callable[[int], None]) -> Any:
        """Somebody writes to the table and does not end, so that the build waits."""
        pid = connection.connection.info.backend_pid
        table = text.split(" ON ", 1)[1].split(" ", 1)[0]

        def watch() -> None:
            with psycopg.connect(self.url, autocommit=True) as watcher:
                end = time.monotonic() + 10
                while not watcher.execute(WAITING, [pid]).fetchall() and time.monotonic() < end:
                    time.sleep(0.01)
            then(pid)

        with psycopg.connect(self.url) as holder:
            holder.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
            threading.Thread(target=watch, daemon=True).start()
            return execute()

    def _terminate(self, pid: int) -> None:
        with psycopg.connect(self.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


Verb = Literal["apply", "rollback", "restore", "reseed", "purge"]
VERBS: tuple[Verb, ...] = get_args(Verb)

# Commands that only read: nothing of them can be cut, but what they send may follow the ledger.
Reading = Literal["export", "history", "status", "plan"]
READING: tuple[Reading, ...] = get_args(Reading)


def run_in_child(
    url: str,
    parameters: dict[str, Any],
    verb: Verb | Reading = "apply",
    cut: Cut | None = None,
    note: Path | None = None,
    world: object = None,
    seconds: float | None = None,
) -> int:
    """Fork, run the command, and return how the child ended: an exit code, or minus a signal. It
    is killed after so many `seconds`."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = _run(url, parameters, verb, cut, note, world)
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # one that has ended is there until it is waited for
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _run(
    url: str,
    parameters: dict[str, Any],
    verb: Verb | Reading,
    cut: Cut | None,
    note: Path | None,
    world: object,
) -> int:
    connections.databases["default"].update(parameters)
    connections["default"].settings_dict.update(parameters)
    lines: list[str] = []
    cutter = Cutter(url, cut, lines.append, world, reading=verb in READING)
    before = _timeouts()
    try:
        with connection.execute_wrapper(cutter):
            _command(verb)
    except ZanithError as error:
        if cut is None:
            print(f"    {error}", file=sys.stderr, flush=True)
        return error.returncode
    except DatabaseError as error:
        if cut is not None:
            raise
        print(f"    {error}", file=sys.stderr, flush=True)
        return REFUSED
    finally:
        if note:
            note.write_text("\n".join(lines))
    return 0 if cut or _timeouts() == before else 98


def _command(verb: Verb | Reading) -> None:
    from zanith_django.apply import apply
    from zanith_django.apply.state import ApplyOptions
    from zanith_django.recover import recover
    from zanith_django.recover.session import Session
    from zanith_django.rollback import rollback
    from zanith_django.rollback.reporter import RollbackOptions

    if verb in READING:
        _read(verb)
        return
    if verb == "apply":
        everything = ApplyOptions(
            max_risk=100, allow_destructive=True, lock_wait=20, preflight=False
        )
        apply.apply(connection, everything)
        return
    if verb == "rollback":
        rollback.rollback(connection, RollbackOptions(count=1, lock_wait=20))
        return
    kept = Ledger(connection).artifacts()[0]
    session = Session(20, policy=Policy(allow_destructive=True))
    if verb == "restore":
        column = bool(kept.source_column)
        recover.restore(connection, kept.id, column=column, session=session)
    elif verb == "reseed":
        recover.reseed(connection, kept.id, session)
    else:
        recover.purge(connection, kept.id, session)


def _read(verb: str) -> None:
    arguments = {"export": ["recover", "export"], "history": ["history", "--verbose"]}
    command, *more = arguments.get(verb, [verb])
    if verb == "export":
        kept = Ledger(connection).artifacts()[0]
        more.append(kept.target)
    try:
        call_command(f"zanith_{command}", *more, stdout=io.StringIO())
    except CommandError as error:
        if not isinstance(error.__cause__, ZanithError | DatabaseError):
            raise


def _timeouts() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings "
            "WHERE name LIKE '%timeout%' AND context = 'user' ORDER BY name"
        )
        return list(cursor.fetchall())

"""One run at a time: a session advisory lock on the working connection, taken by polling.

A session that waits in the blocking `pg_advisory_lock()` deadlocks the concurrent index builds of
the holder, so no session ever waits in it. The lock is acquired twice: releasing one of the two and
acquiring it again asks the server whether it is held, at a tenth of the cost of reading `pg_locks`:
a quick step takes 0.21 ms instead of 0.30.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import LockLost, LockNotAcquired, PooledConnection
from zanith_django.postgres.rows import backend_pid, one_value
from zanith_django.postgres.session import giving_back, set_settings, sqlstate
from zanith_django.postgres.sql import Prepared, literal

# Two arbitrary halves of one key: "zani", "th" and the number of the ledger's layout.
CLASS_ID, OBJECT_ID = 0x7A616E69, 0x74680001

POLL_SECONDS = 0.25

# TCP keepalive: seconds of silence before the first probe, seconds between probes, and their
# number.
IDLE, INTERVAL, COUNT = 30, 10, 3
SILENCE = IDLE + INTERVAL * COUNT

# `DateStyle`: psycopg reads times in ISO only. The order of day and month stays.
_SETTINGS = {
    "client_connection_check_interval": "500ms",
    "tcp_keepalives_idle": f"{IDLE}s",
    "tcp_keepalives_interval": f"{INTERVAL}s",
    "tcp_keepalives_count": str(COUNT),
    "DateStyle": "ISO",
    "application_name": "",
}

_TRY = "SELECT pg_try_advisory_lock(%s, %s)"
_RELEASE = "SELECT pg_advisory_unlock(%s, %s), pg_advisory_unlock(%s, %s)"
# A lost lock gives a warning and false. No other session can acquire it in between.
_STILL = f"""\
CASE WHEN pg_advisory_unlock({CLASS_ID}, {OBJECT_ID})
THEN pg_try_advisory_lock({CLASS_ID}, {OBJECT_ID}) ELSE false END"""
# A session has locks of this kind in its own database only.
_HELD = f"""\
EXISTS (SELECT FROM pg_locks
WHERE locktype = 'advisory' AND classid = {CLASS_ID} AND objid = {OBJECT_ID}
  AND pid = pg_backend_pid() AND granted)"""
_LOST = "zanith lost the run lock"
_INVALID_VALUE = "22023"
_HOLDER = """\
SELECT a.pid, a.application_name, coalesce(a.client_addr::text, 'local'),
       date_trunc('second', clock_timestamp() - a.backend_start)::text
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@contextmanager
def run_lock(
    connection: BaseDatabaseWrapper,
    *,
    wait: float,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold the run lock. Raises `LockNotAcquired` after `wait` seconds, `PooledConnection` if a
    proxy makes the lock useless. `on_wait` is called once, with the name of the holder."""
    refuse_transaction_pooling(connection)
    with giving_back(connection, _SETTINGS):
        _announce(connection)
        _take(connection, wait, on_wait)
        try:
            yield
        finally:
            _release(connection)


def check_held(connection: BaseDatabaseWrapper) -> None:
    """Raises `LockLost` if the lock is gone, for instance with a connection that was closed."""
    if not one_value(connection, f"SELECT {_HELD}"):
        raise LockLost


# The commit of the transaction does not wait for the disk: a quick step takes 0.27 ms instead of
# 0.55 on PostgreSQL 15 (https://www.postgresql.org/docs/current/wal-async-commit.html).
NOT_DURABLE = "set_config('synchronous_commit', 'off', true)"


def _guard(lock_timeout: str, durable: str) -> str:
    """A timeout that no server accepts aborts the transaction: this saves a round trip."""
    return (
        f"SELECT set_config('lock_timeout', CASE WHEN {_STILL} THEN {lock_timeout} "
        f"ELSE '{_LOST}' END, true), CASE WHEN {durable} THEN '' ELSE {NOT_DURABLE} END"
    )


def may_report_loss(error: BaseException) -> bool:
    """May it be the error of a guard that found the lock lost? `check_held` then makes sure."""
    return sqlstate(error) == _INVALID_VALUE


GUARD = Prepared("_zanith_guard", "text, boolean", _guard("$1", "$2"))
"""The server plans it once; `ledger.steps.TURN` has the measured gain of both."""


def guard(lock_timeout: str, *, durable: bool = True, prepared: bool = False) -> str:
    """A statement that sets the transaction's lock timeout, or aborts it if the lock is gone.

    `prepared` requires that `GUARD` is prepared in the session.
    """
    if prepared:
        return GUARD.execute(lock_timeout, durable)
    return _guard(literal(lock_timeout), literal(durable))


def _announce(connection: BaseDatabaseWrapper) -> None:
    """Shows the name of the runner to other sessions, and lets the backend of a dead runner end
    soon. If the network drops every packet, keepalives let both sides notice."""
    _keep_alive(connection.connection)
    name = f"zanith {os.getpid()}@{socket.gethostname()}"[:63]
    set_settings(connection, {**_SETTINGS, "application_name": name})


def _keep_alive(raw: Any) -> None:
    """A client that waits for a long statement sends nothing, and would never notice that the
    server is gone. Not every system has all of these options; Unix sockets need none."""
    given = (("TCP_KEEPIDLE", IDLE), ("TCP_KEEPINTVL", INTERVAL), ("TCP_KEEPCNT", COUNT))
    with socket.socket(fileno=os.dup(raw.fileno())) as one:
        if one.family not in (socket.AF_INET, socket.AF_INET6):
            return
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (*given, ("TCP_USER_TIMEOUT", SILENCE * 1000)):
            if hasattr(socket, option):
                one.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _take(
    connection: BaseDatabaseWrapper, wait: float, on_wait: Callable[[str], None] | None
) -> None:
    started = time.monotonic()
    reported = False
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_TRY, [CLASS_ID, OBJECT_ID])
            if cursor.fetchone()[0]:
                cursor.execute(_TRY, [CLASS_ID, OBJECT_ID])
                return
        waited = time.monotonic() - started
        if waited >= wait:
            raise LockNotAcquired(holder(connection), waited)
        if on_wait and not reported:
            on_wait(holder(connection))
            reported = True
        time.sleep(min(POLL_SECONDS, max(wait - waited, 0.01)))


def _release(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is None or connection.connection.closed:
        return
    if connection.in_atomic_block or connection.connection.broken:
        return
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, [CLASS_ID, OBJECT_ID] * 2)


def is_running(connection: BaseDatabaseWrapper) -> bool:
    """Does a session, this one or another, hold the lock?"""
    return one_value(connection, _HOLDER, [CLASS_ID, OBJECT_ID]) is not None


def holder(connection: BaseDatabaseWrapper) -> str:
    """Who holds the lock and since when, for people."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDER, [CLASS_ID, OBJECT_ID])
        row = cursor.fetchone()
    if row is None:
        return "a session that has ended"
    pid, name, address, since = row
    if since is None:  # the role may not ask about others
        return f"{name or 'unnamed'}, backend {pid}"
    return f"{name or 'unnamed'} from {address}, backend {pid}, connected for {since}"


def refuse_transaction_pooling(connection: BaseDatabaseWrapper) -> None:
    """Through a transaction-pooling proxy two sessions share a backend, and both get the lock.

    A backend number other than the one that the client received reveals a proxy. Two connections
    then show whether one keeps its backend while the other holds a transaction.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw.info.backend_pid == backend_pid(connection):
        return
    if _shares_backends(connection):
        raise PooledConnection


def _shares_backends(connection: BaseDatabaseWrapper) -> bool:
    first, second = connection.copy(), connection.copy()
    try:
        before = backend_pid(first)
        second.set_autocommit(False)
        other = backend_pid(second)
        return backend_pid(first) != before or other == before
    finally:
        first.close()
        second.close()

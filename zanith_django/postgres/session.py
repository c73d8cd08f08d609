"""The working connection: opens it, sets and restores its timeouts, prepares its statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import InterfaceError, OperationalError

from zanith_django.exceptions import ConnectionFailed, NotPostgreSQL, ServerTooOld
from zanith_django.postgres.sql import Prepared

OLDEST_SERVER = 150000
LOCK_NOT_AVAILABLE = "55P03"

_TIMEOUTS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",  # PostgreSQL 17
)


def connect(alias: str, named: str = "") -> BaseDatabaseWrapper:
    """The connection of this alias, open; raises `NotPostgreSQL`, `ConnectionFailed`,
    `ServerTooOld`. `named` is the alias in DATABASES from which it has its settings."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        raise NotPostgreSQL(named or alias, connection.display_name)
    try:
        connection.ensure_connection()
        version = server_version(connection)
    except (OperationalError, InterfaceError) as error:
        raise ConnectionFailed(named or alias, error) from error
    if version < OLDEST_SERVER:
        raise ServerTooOld(version)
    return connection


def prepare(connection: BaseDatabaseWrapper, *statements: Prepared) -> None:
    """Prepares the statements in the session; repeated calls do no harm."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        known = {name for (name,) in cursor.fetchall()}
        for statement in statements:
            if statement.name not in known:
                cursor.execute(statement.prepare)


def without_event_triggers(*, local: bool) -> str:
    """A statement after which no event trigger runs in the session, or with `local` in the
    transaction, if its role may set that."""
    return (
        f"SELECT set_config('session_replication_role', 'replica', {str(local).lower()}) "
        "WHERE has_parameter_privilege('session_replication_role', 'SET')"
    )


def server_version(connection: BaseDatabaseWrapper) -> int:
    """The version as a number, 150018 for 15.18."""
    connection.ensure_connection()
    return int(connection.connection.info.server_version)


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    cause = error.__cause__ or error
    return str(getattr(cause, "sqlstate", "") or "")


@contextmanager
def own_timeouts(connection: BaseDatabaseWrapper, statement_timeout: float) -> Iterator[None]:
    """Sets our timeouts for the session, also over a role's defaults, and restores the old ones."""
    with giving_back(connection, _TIMEOUTS):
        set_timeouts(connection, statement_timeout)
        yield


@contextmanager
def giving_back(connection: BaseDatabaseWrapper, names: Iterable[str]) -> Iterator[None]:
    """Restores the settings of these names afterwards; names that the server does not have are
    ignored."""
    before = _read(connection, names)
    try:
        yield
    finally:
        if is_open(connection):
            set_settings(connection, before)


@contextmanager
def unprepared(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Turns off psycopg's automatic preparation: a text may be several statements, and the server
    should plan each for its values."""
    raw = connection.connection
    before, raw.prepare_threshold = raw.prepare_threshold, None
    try:
        yield
    finally:
        raw.prepare_threshold = before


@contextmanager
def lock_timeout(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    """Sets how long the session waits for locks, within `own_timeouts`."""
    set_settings(connection, {"lock_timeout": milliseconds(seconds)})
    try:
        yield
    finally:
        if is_open(connection):
            set_settings(connection, {"lock_timeout": "0"})


def is_open(connection: BaseDatabaseWrapper) -> bool:
    raw = connection.connection
    return raw is not None and not raw.closed


def set_timeouts(connection: BaseDatabaseWrapper, statement_timeout: float) -> None:
    """Set our timeouts, whatever they were: code of the project may have set its own."""
    names = [name for name in _TIMEOUTS if name != "statement_timeout"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config(name, '0', false) "
            "FROM unnest(%s::text[]) AS ours(name) WHERE current_setting(name, true) IS NOT NULL",
            [milliseconds(statement_timeout), names],
        )


def milliseconds(seconds: float) -> str:
    """A time in the form of PostgreSQL's settings; "0ms" means no timeout."""
    return f"{round(seconds * 1000)}ms"


def _read(connection: BaseDatabaseWrapper, names: Iterable[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)",
            [list(names)],
        )
        return dict(cursor.fetchall())


def set_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, value, false) "
            "FROM unnest(%s::text[], %s::text[]) AS given(name, value)",
            [list(values), list(values.values())],
        )

"""The scratch: a rolled-back transaction in which PostgreSQL reads the declared tables back.

Tables are temporary, so nothing that exists is touched or locked. What remains on the server is
WAL and dead rows of the catalog, which is why results are cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, cast

import psycopg
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

from zanith_django.exceptions import (
    BadSetting,
    ConnectionFailed,
    MissingRight,
    NotPostgreSQL,
    UnreadableModel,
)
from zanith_django.postgres.database_urls import NO_URL, URL_HINT, parameters_of_url
from zanith_django.postgres.names import TableName
from zanith_django.postgres.pipeline import Meanwhile, send_raw
from zanith_django.postgres.session import without_event_triggers
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import Table

Connection = psycopg.Connection[tuple[Any, ...]]

CHUNK = 50
"""Tables in one transaction, if the server has locks for them (`_most_tables`). Larger chunks, and
chunks of growing size, save nothing: 600 models take 1.5 s of CPU time in each way."""
LOCKS_OF_A_TABLE = 10
"""About: itself, its TOAST table, its sequence and its indexes."""

LOCKS = """
SELECT current_setting('max_locks_per_transaction')::int
     * (current_setting('max_connections')::int
        + current_setting('max_prepared_transactions')::int)
"""

SETTINGS = """
SET LOCAL transaction_read_only = off;
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT set_config('transaction_timeout', '0', true)
WHERE current_setting('transaction_timeout', true) IS NOT NULL;
SET LOCAL client_min_messages = warning;
SET LOCAL temp_tablespaces = ''
"""

SERVER = """
SELECT current_setting('server_version_num')::int,
       current_schema(),
       current_schemas(false)::text[],
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY extname),
       (SELECT spcname::text FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
        WHERE datname = current_database()),
       has_database_privilege(current_database(), 'TEMP'),
       pg_is_in_recovery()
"""

PASSED_OVER = "ZN001"
"""SQLSTATE of the warning in which a statement of the prelude reports that it failed: its error is
the message, the statement the detail."""

SHOWN = 80
"""The number of characters of such a statement that an error shows."""

SCRATCH_HINT = (
    'Set ZANITH["SCRATCH"] to the alias or URL of a database where temporary tables may be made.'
)


@dataclass(frozen=True, slots=True)
class ScratchTable:
    """One table to create: its neutral name, its statements, and the label of its model for
    errors."""

    name: str
    statements: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Server:
    """The result of a scratch depends on these values and on the DDL, on nothing else."""

    version: int
    default_schema: str
    search_path: tuple[str, ...]
    extensions: tuple[str, ...]
    tablespace: str
    may_make_temporary: bool
    is_standby: bool


@contextmanager
def scratch_connection(
    connection: BaseDatabaseWrapper, scratch: str | None = None
) -> Iterator[Connection]:
    """The connection for the scratch: that of `connection`, of another alias, or to a URL."""
    if scratch and "://" in scratch:
        try:
            own = psycopg.connect(**_parameters(scratch), autocommit=True)
        except psycopg.Error as error:
            raise ConnectionFailed("SCRATCH", error) from None  # it may quote a password
        with closing(own):
            yield own
    else:
        yield raw_connection(connections[scratch] if scratch else connection)


def _parameters(url: str) -> dict[str, Any]:
    try:
        return {**parameters_of_url(url)}
    except ValueError:
        raise BadSetting("SCRATCH", NO_URL.rstrip("."), URL_HINT) from None


def raw_connection(connection: BaseDatabaseWrapper) -> Connection:
    """The psycopg connection below Django's cursors: no query log and no execute wrapper of the
    project sees the scratch."""
    if connection.vendor != "postgresql":
        raise NotPostgreSQL(connection.alias, connection.vendor)
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise ConnectionFailed(connection.alias, error) from error
    return cast(Connection, connection.connection)


def server_of(connection: Connection) -> Server:
    row = connection.execute(SERVER).fetchone()
    assert row is not None
    version, schema, path, extensions, *others = row
    return Server(version, schema or "public", tuple(path), tuple(extensions), *others)


def read_in_scratch(
    connection: Connection, tables: Iterable[ScratchTable], *, prelude: Sequence[str] = ()
) -> dict[str, Table]:
    """Create the tables, read them and roll back. Returns the tables by their neutral names.

    `tables` is iterated for the next chunk while the server creates the previous one, so it must
    not use the connection: collecting DDL takes about as long as running it. `prelude` first
    creates the objects of pending migrations, extensions and collations for instance. Inside a
    transaction (an atomic block, a test) a savepoint is used: a rollback to it also releases its
    locks and resets its SET LOCAL, so the caller's transaction is unchanged. Raises `MissingRight`
    and `UnreadableModel`.
    """
    chunks = _Chunks(tables)
    read: dict[str, Table] = {}
    while chunk := chunks.take():
        if not read:
            _check(connection)
            chunks.size = min(CHUNK, _most_tables(connection))
        found = _read_chunk(connection, chunk, prelude, chunks.gathering)
        read.update({table.name.name: table for table in found})
    return read


def _most_tables(connection: Connection) -> int:
    """How many tables take no more than a quarter of the locks that the server has for all."""
    row = connection.execute(LOCKS).fetchone()
    assert row is not None
    return max(int(row[0]) // 4 // LOCKS_OF_A_TABLE, 1)


class _Chunks:
    """Chunks of at most `size` tables. `gathering` collects the next one, which `take` returns. It
    runs while the server works: of 300 models that is 0.25 s of 1.3 s (CPU time of client and
    server)."""

    def __init__(self, tables: Iterable[ScratchTable]) -> None:
        self.rest = iter(tables)
        self.gathered: tuple[ScratchTable, ...] = ()
        self.size = CHUNK

    def gathering(self) -> Iterator[None]:
        if not self.gathered:
            self.gathered = tuple(islice(self.rest, self.size))
        yield

    def take(self) -> tuple[ScratchTable, ...]:
        next(self.gathering())
        taken, self.gathered = self.gathered, ()
        return taken


def _check(connection: Connection) -> None:
    """Raises `MissingRight` if no temporary table can be made."""
    server = server_of(connection)
    if server.is_standby:
        raise MissingRight("a primary server", "make temporary tables", SCRATCH_HINT)
    if not server.may_make_temporary:
        raise MissingRight("TEMP on the database", "make temporary tables", SCRATCH_HINT)


def collations(connection: Connection, prelude: Sequence[str]) -> dict[str, bool]:
    """{collation: whether it is deterministic} after `prelude`, which decides on `_like` indexes.
    Django would query each when it needs it, on a connection that is busy by then.
    """
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        if prelude:
            _prepare(cursor, prelude)
        cursor.execute("SELECT collname::text, collisdeterministic FROM pg_collation")
        return dict(cursor.fetchall())


def _read_chunk(
    connection: Connection,
    tables: Sequence[ScratchTable],
    prelude: Sequence[str],
    meanwhile: Callable[[], Meanwhile],
) -> tuple[Table, ...]:
    """Read a chunk in one transaction; in smaller ones if the server refuses it."""
    passed_over: list[str] = []
    try:
        with _noting(connection, passed_over):
            return _read_once(connection, tables, prelude, meanwhile)
    except psycopg.Error as error:
        if connection.closed:
            raise
        if len(tables) == 1:
            raise UnreadableModel(tables[0].label, error, passed_over) from error
        out_of_locks = isinstance(error, errors.OutOfMemory)
        size = (len(tables) + 1) // 2 if out_of_locks else 1
    parts = (tables[start : start + size] for start in range(0, len(tables), size))
    read = (_read_chunk(connection, part, prelude, meanwhile) for part in parts)
    return tuple(chain.from_iterable(read))


@contextmanager
def _noting(connection: Connection, passed_over: list[str]) -> Iterator[None]:
    """Collects the statements of the prelude that fail, with their errors."""

    def note(warning: errors.Diagnostic) -> None:
        if warning.sqlstate == PASSED_OVER:
            statement = " ".join((warning.message_detail or "").split())
            passed_over.append(f"{statement[:SHOWN]}: {warning.message_primary}")

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)


def _read_once(
    connection: Connection,
    tables: Sequence[ScratchTable],
    prelude: Sequence[str],
    meanwhile: Callable[[], Meanwhile],
) -> tuple[Table, ...]:
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        _prepare(cursor, prelude)
        statements = chain.from_iterable(table.statements for table in tables)
        send_raw(connection, _text(statements), meanwhile())
        cursor.execute("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")
        schema = cursor.fetchone()
        assert schema is not None, "no statement made a temporary table"
        names = [TableName("", table.name) for table in tables]
        graph = from_catalog(cursor, schemas=schema, default_schema=schema[0], tables=names)
    return graph.tables


def _prepare(cursor: psycopg.Cursor[tuple[Any, ...]], prelude: Sequence[str]) -> None:
    try:
        _run(cursor, [SETTINGS, without_event_triggers(local=True)])
    except psycopg.OperationalError:  # a timeout, or the connection is lost
        raise
    except psycopg.Error as error:
        right = "a transaction that may write"
        raise MissingRight(right, "make temporary tables", SCRATCH_HINT) from error
    try:
        _run(cursor, prelude)
    except errors.InsufficientPrivilege as error:
        right = f"the right to run {'; '.join(prelude)}"
        raise MissingRight(right, "read the models that need it", SCRATCH_HINT) from error


def _run(cursor: psycopg.Cursor[tuple[Any, ...]], statements: Iterable[str]) -> None:
    if text := _text(statements):
        cursor.execute(text.encode(), prepare=False)


def _text(statements: Iterable[str]) -> str:
    """All statements in one text: one round trip instead of thousands.

    A statement may end with a comment, hence the line break before the semicolon.
    """
    return "\n;\n".join(statements)

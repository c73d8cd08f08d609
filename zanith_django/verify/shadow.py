"""Shadows: throwaway databases or schemas for a plan. Each shape creates its own and drops it."""

from __future__ import annotations

import os
import signal
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
from zanith_django.timeline.project import ONLY_SCHEMA
from zanith_django.verify.shadow_names import (
    Session,
    drop_database,
    drop_leftovers,
    drop_schema,
    first_line,
    new_name,
    own,
)
from zanith_django.verify.shadow_templates import exists

EPHEMERAL, SCHEMA, AUTO = "ephemeral", "schema", "auto"

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
        # Long-lived or full of DDL: defaults for queries of users must not end or refuse it.
        session.execute(
            b"SELECT set_config(name, CASE vartype WHEN 'bool' THEN 'off' ELSE '0' END, false) "
            b"FROM pg_settings WHERE name IN ('statement_timeout', 'idle_session_timeout', "
            b"'transaction_timeout', 'default_transaction_read_only')"
        )
        session.execute(
            "SELECT set_config('lock_timeout', %s, false)", [f"{round(conf.lock_timeout * 1000)}ms"]
        )
        return session


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shadow will be: known before it is made, so that its child process can start."""

    name: str
    settings: Mapping[str, Any]
    keep: bool = False


def place_for(
    connection: BaseDatabaseWrapper, wanted: str, *, data: str = "", keep: bool = False
) -> Place:
    """The place of a shadow of a shape, of a copy of the database `data`, or of the given database
    that a URL or an alias names. Raises `InvalidArgument`."""
    name = new_name(keep=keep)
    if data:
        return Place(name, _of_database(_settings_of(connection, data, "--data"), name), keep)
    if shape := SHAPES.get(wanted):
        return Place(name, shape.settings(connection.settings_dict, name), keep)
    return Place("", _throwaway(_settings_of(connection, wanted, "--shadow")))


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
    connection: BaseDatabaseWrapper, place: Place | None = None, *, template: str = ""
) -> Iterator[Shadow]:
    """A database beside the live one, dropped on every way out unless it is kept. It is a copy of
    `template`, if there is one of that name."""
    place = place or place_for(connection, EPHEMERAL)
    name, keep = place.name, place.keep
    live = _plain(connection.settings_dict)
    found = [""]

    def create(session: Session, name: str) -> None:
        found[0] = template if template and exists(session, template) else ""
        _create_database(session, name, found[0] or "template0")

    making = Making(EPHEMERAL, create, None if keep else drop_database, _granted("CREATEDB"))
    with _made(live, name, making):
        shown = f"{EPHEMERAL} {name}" if keep else EPHEMERAL
        yield Shadow(shown, place.settings, filled=bool(found[0]))


@contextmanager
def copied(connection: BaseDatabaseWrapper, target: str, place: Place) -> Iterator[Shadow]:
    """A copy of the database `target`, a URL or an alias, on its own server."""
    name, keep = place.name, place.keep
    source = _settings_of(connection, target, "--data")

    def create(session: Session, name: str) -> None:
        _create_database(session, name, session.info.dbname)

    shown = f"a copy of {place_of(source)}"
    making = Making(shown, create, None if keep else drop_database, _COPYING)
    with _made(source, name, making):
        shown += f", {name}" if keep else ""
        yield Shadow(shown, place.settings, filled=True)


@contextmanager
def in_schema(
    connection: BaseDatabaseWrapper, place: Place | None = None, *, template: str = ""
) -> Iterator[Shadow]:
    """A schema of the live database, dropped on every way out unless it is kept. Sessions on it
    find nothing outside of it by an unqualified name. It has no template."""
    place = place or place_for(connection, SCHEMA)
    name, keep = place.name, place.keep
    live = _plain(connection.settings_dict)
    right = _granted("CREATE on the database")
    making = Making(SCHEMA, _create_schema, None if keep else drop_schema, right)
    with _made(live, name, making):
        yield Shadow(f"{SCHEMA} {name}" if keep else SCHEMA, place.settings, name)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of shadow that needs nothing of the user. `make` takes the connection of the live
    database, the place and `template`; `settings` those of the live database and the name;
    `templated`: it can be a copy of a template."""

    make: Callable[..., AbstractContextManager[Shadow]]
    settings: Callable[[Mapping[str, Any], str], dict[str, Any]]
    templated: bool = False


def _of_database(live: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**_throwaway(live), "NAME": name}


def _of_schema(live: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**_throwaway(live, f"search_path={name}"), ONLY_SCHEMA: name}


SHAPES: Mapping[str, Shape] = {
    EPHEMERAL: Shape(ephemeral, _of_database, templated=True),
    SCHEMA: Shape(in_schema, _of_schema),
}
"""The shapes by their names in `conf.SHADOW_SHAPES`; any other name is that of a database."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a shape is made and dropped, None to keep it; `right` is a hint for a role that may not
    make it."""

    shape: str
    create: Callable[[Session, str], None]
    drop: Callable[[Session, str], None] | None
    right: str


def _granted(right: str) -> str:
    return f"Grant the role {right}, or name an empty database, --shadow URL or alias."


_COPYING = (
    "To copy a database, the role needs CREATEDB and must own it, unless it is a template "
    "(ALTER DATABASE … IS_TEMPLATE true)."
)


@contextmanager
def explained(shadow: str, right: str) -> Iterator[None]:
    """Errors of sessions on the shadow or its server as `ShadowUnreachable`, with what helps;
    `right` is a hint for a role without the privilege."""
    try:
        yield
    except psycopg.Error as error:
        raise ShadowUnreachable(shadow, first_line(error), _hint(error, right)) from error


@contextmanager
def _made(server: Mapping[str, Any], name: str, making: Making) -> Iterator[None]:
    """The shadow under a name of ours, as long as the lock of the name is held. Shadows of ended
    runs are dropped first."""
    live = Shadow(f"the server of {place_of(server)}", server)
    with live.connect() as owner:
        drop_leftovers(owner)
        own(owner, name)
        made = False
        try:
            with explained(making.shape, making.right):
                making.create(owner, name)
            made = True
            yield
        finally:
            with nullcontext() if made else suppress(psycopg.Error):
                if making.drop:
                    _drop(live, owner, making.drop, name)


def _hint(error: psycopg.Error, right: str) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return right
    if isinstance(error, psycopg.errors.ObjectInUse):
        return "Copying a database needs that no session uses it: end them, or name another copy."
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return (
            "The server is a standby: name databases on a primary, an empty one as --shadow URL, "
            "one in which models may be read in the setting SCRATCH."
        )
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


# The column of the locale has another name since PostgreSQL 17.
_LOCALE = """\
SELECT pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
       CASE WHEN has_tablespace_privilege(s.oid, 'CREATE') THEN s.spcname ELSE '' END
FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
WHERE d.datname = current_database()"""
_PROVIDERS = {"i": "LOCALE_PROVIDER icu ICU_LOCALE", "b": "LOCALE_PROVIDER builtin BUILTIN_LOCALE"}
_SETTINGS = """\
SELECT split_part(setting, '=', 1), setrole <> 0
FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
ORDER BY 2"""


def _create_database(session: Session, name: str, template: str) -> None:
    """With the encoding, the locale, the tablespace and the settings of the session's database; not
    from template1, which may hold objects."""
    database = sql.ident(name)
    encoding, collate, ctype, provider, locale, tablespace = one_row(session, _LOCALE)
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
    if tablespace:
        text = f"{text} TABLESPACE {sql.ident(tablespace)}"
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
    """A comment that names the owner for administrators; it does not decide what is dropped."""
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


# --- settings --------------------------------------------------------------


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


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "TEST"}


def _throwaway(settings: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """The settings, with parameters for each session; a shadow need not outlive a crash."""
    options = dict(settings.get("OPTIONS") or {})
    own = ("synchronous_commit=off", "default_transaction_read_only=off", *more)
    flags = (f"-c {setting}" for setting in own)
    options["options"] = " ".join(filter(None, (options.get("options"), *flags)))
    return {**_plain(settings), "OPTIONS": options}


def one_row(session: Session, text: str) -> tuple[Any, ...]:
    found = session.execute(text.encode()).fetchone()
    assert found is not None
    return found

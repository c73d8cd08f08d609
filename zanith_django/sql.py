"""The only module that composes SQL.

Templates are literals with `{placeholders}`; every value goes in through `ident`, `table`,
`literal` or `catalog_text`. `catalog_text` is for text that PostgreSQL itself printed: it is the
whole attack surface, so grep for it.

Every piece is finished text as soon as it is made: a plan of a thousand steps is composed twice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, LiteralString

from psycopg import sql

from zanith_django.exceptions import NameTooLong
from zanith_django.schema.graph import TableName

NAME_BYTES = 63

Composable = sql.Composable


@functools.lru_cache(maxsize=10_000)
def ident(name: str) -> sql.Composable:
    """A quoted name; raises `NameTooLong` before PostgreSQL would cut it."""
    if len(name.encode()) > NAME_BYTES:
        raise NameTooLong(name)
    return sql.SQL(sql.Identifier(name).as_string(None))


def idents(names: Iterable[str]) -> sql.Composable:
    return join(map(ident, names))


def qualified(schema: str, name: str) -> sql.Composable:
    return join([ident(schema), ident(name)], ".")


@functools.lru_cache(maxsize=10_000)
def table(name: TableName, default_schema: str) -> sql.Composable:
    """The table with its schema spelled out, so that no search_path matters."""
    return qualified(name.schema or default_schema, name.name)


def literal(value: Any) -> sql.Composable:
    plain = value is None or type(value) is str
    return _plain_literal(value) if plain else sql.SQL(sql.Literal(value).as_string(None))


@functools.lru_cache(maxsize=1_000)
def _plain_literal(value: str | None) -> sql.Composable:
    """The row of a step is named when it begins and when it ends."""
    return sql.SQL(sql.Literal(value).as_string(None))


def regclass(name: TableName, default_schema: str) -> sql.Composable:
    """A text literal that `::regclass` and `to_regclass()` read as this table."""
    return literal(table(name, default_schema).as_string(None))


def catalog_text(text: str) -> sql.Composable:
    """Text that PostgreSQL printed: a type, a default, an expression."""
    return sql.SQL(text)


def composed(text: str) -> sql.Composable:
    """A statement that `compose` made, inside another one."""
    return sql.SQL(text)


def keyword(word: str) -> sql.Composable:
    """A word of SQL such as CASCADE; letters, blanks and underscores only."""
    if not word.replace(" ", "").replace("_", "").isalpha():
        raise ValueError(f"not a keyword: {word!r}")
    return sql.SQL(word)


def join(parts: Iterable[sql.Composable], between: LiteralString = ", ") -> sql.Composable:
    return sql.SQL(between.join([part.as_string(None) for part in parts]))


def clause(template: LiteralString, **parts: sql.Composable) -> sql.Composable:
    """A piece of a statement."""
    return sql.SQL(compose(template, **parts))


def compose(template: LiteralString, **parts: sql.Composable) -> str:
    """A whole statement as text, to be executed without parameters."""
    return template.format(**{name: part.as_string(None) for name, part in parts.items()})


EMPTY = sql.SQL("")

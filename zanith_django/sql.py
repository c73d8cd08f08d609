"""The only module that composes SQL.

Templates are literals with `{placeholders}`; every value goes in through `ident`, `table`,
`literal` or `catalog_text`. `catalog_text` is for text that PostgreSQL itself printed: it is the
whole attack surface, so grep for it.
"""

from __future__ import annotations

import functools
import string
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
    return sql.SQL(", ").join([ident(name) for name in names])


def qualified(schema: str, name: str) -> sql.Composable:
    return sql.SQL(".").join([ident(schema), ident(name)])


def table(name: TableName, default_schema: str) -> sql.Composable:
    """The table with its schema spelled out, so that no search_path matters."""
    return qualified(name.schema or default_schema, name.name)


def literal(value: Any) -> sql.Composable:
    return sql.Literal(value)


def regclass(name: TableName, default_schema: str) -> sql.Composable:
    """A text literal that `::regclass` and `to_regclass()` read as this table."""
    return sql.Literal(table(name, default_schema).as_string(None))


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
    return sql.SQL(between).join(list(parts))


def clause(template: LiteralString, **parts: sql.Composable) -> sql.Composable:
    """A piece of a statement."""
    return sql.Composed(
        [parts[piece] if isinstance(piece, str) else piece for piece in _pieces(template)]
    )


def compose(template: LiteralString, **parts: sql.Composable) -> str:
    """A whole statement as text, to be executed without parameters."""
    return _spelled(clause(template, **parts))


def _spelled(part: sql.Composable) -> str:
    """As `as_string` would, without a detour over bytes for each piece."""
    if isinstance(part, sql.Composed):
        return "".join(map(_spelled, part))
    return part.as_string(None)


@functools.cache
def _pieces(template: LiteralString) -> tuple[sql.SQL | str, ...]:
    """A template cut into its literal text and the names of its placeholders; templates are few."""
    pieces: list[sql.SQL | str] = []
    for text, name, _, _ in string.Formatter().parse(template):
        if text:
            pieces.append(sql.SQL(text))
        if name is not None:
            pieces.append(name)
    return tuple(pieces)


EMPTY = sql.SQL("")

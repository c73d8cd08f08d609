"""The only module that composes SQL.

Templates are literals with `{placeholders}`; every value goes in through `ident`, `table`,
`literal` or `catalog_text`. `catalog_text` is for text that PostgreSQL printed, or that a migration
file contains: it is the whole attack surface, so grep for it.

Every piece is finished text, because a plan of a thousand steps is composed twice. psycopg quotes
names and values.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from zanith_django.exceptions import NameTooLong
from zanith_django.postgres.names import TableName

NAME_BYTES = 63
TAG = "$zanith$"
ROOM = 100_000
"""The size of the caches of names: a large schema is spelled for its plan, then for its run."""


class Fragment(str):
    """A finished piece of SQL; only this module creates one."""

    __slots__ = ()


@functools.lru_cache(maxsize=ROOM)
def ident(name: str) -> Fragment:
    """A quoted name; raises `NameTooLong` if PostgreSQL would truncate it."""
    if len(name.encode()) > NAME_BYTES:
        raise NameTooLong(name)
    return Fragment(sql.Identifier(name).as_string(None))


def idents(names: Iterable[str]) -> Fragment:
    return join(map(ident, names))


def qualified(schema: str, name: str) -> Fragment:
    return join([ident(schema), ident(name)], ".")


@functools.lru_cache(maxsize=ROOM)
def table(name: TableName, default_schema: str) -> Fragment:
    """The table with its schema spelled out, so that no search_path matters."""
    return qualified(name.schema or default_schema, name.name)


def literal(value: Any) -> Fragment:
    """A value as an SQL literal; for a piece of SQL or the name of a table, a literal of its
    text."""
    if isinstance(value, Fragment | TableName):
        value = str(value)
    plain = value is None or type(value) in (str, bool)
    return _plain_literal(value) if plain else Fragment(sql.Literal(value).as_string(None))


@functools.lru_cache(maxsize=1_000)
def _plain_literal(value: str | bool | None) -> Fragment:
    """Cached, because the id of a step's row is quoted when it begins and when it ends."""
    return Fragment(sql.Literal(value).as_string(None))


def regclass(name: TableName, default_schema: str) -> Fragment:
    """A text literal that `::regclass` and `to_regclass()` read as this table."""
    return literal(table(name, default_schema))


def catalog_text(text: str) -> Fragment:
    """Text that PostgreSQL printed, or an author wrote: a type, a default, an expression. A line
    break ends a comment in it, so that the comment does not hide the text that follows."""
    return Fragment(f"{text}\n" if "--" in text else text)


def composed(text: str) -> Fragment:
    """A statement by `compose`, to be part of another one."""
    return Fragment(text)


def keyword(word: str) -> Fragment:
    """A word of SQL such as CASCADE; letters, blanks and underscores only."""
    if not word.replace(" ", "").replace("_", "").isalpha():
        raise ValueError(f"not a keyword: {word!r}")
    return Fragment(word)


def join(parts: Iterable[Fragment], between: LiteralString = ", ") -> Fragment:
    return Fragment(between.join(parts))


def clause(template: LiteralString, **parts: Fragment) -> Fragment:
    """A piece of a statement."""
    return Fragment(compose(template, **parts))


def compose(template: LiteralString, **parts: Fragment) -> str:
    """A whole statement as text, to be executed without parameters. A block in a template is
    quoted with `TAG`, which becomes a tag that none of the parts contains."""
    text: str = template
    if TAG in text:
        text = text.replace(TAG, _free_tag(parts.values()))
    return text.format(**parts)


def _free_tag(parts: Iterable[str]) -> str:
    inside = "".join(parts)
    tags = itertools.chain([TAG], (f"$zanith{number}$" for number in itertools.count(1)))
    return next(tag for tag in tags if tag not in inside)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that the server plans once in a session: its name, the types of its parameters
    and the text that PREPARE takes."""

    name: str
    types: str
    text: str

    @property
    def prepare(self) -> str:
        return f"PREPARE {self.name} ({self.types}) AS {self.text}"

    def execute(self, *values: Any) -> str:
        """Runs it with these values."""
        return f"EXECUTE {self.name} ({join(map(literal, values))})"


EMPTY = Fragment("")

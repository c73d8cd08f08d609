"""The columns of a sample that are masked, and the method: by the setting MASK, or by their
names."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from zanith_django.postgres import sql

HASH, NULL, KEEP = "hash", "null", "keep"
METHODS = (HASH, NULL, KEEP)

# Columns that hold what belongs to a person, or lets someone act for one.
_MAIL = re.compile(r"(^|_)e?mail(_address)?$")
_PERSONAL = re.compile(
    r"(^|_)(e?mail(_address)?|(first|last|full|middle|maiden)_?name|surname|user_?name|nick_?name"
    r"|phone(_number)?|mobile|password|passwd|(\w+_)?token|secret(_key)?|api_?key|access_key"
    r"|private_key|session_key|session_data|iban|ssn)$"
)
_NAME = re.compile(r"^name$")

_TEXT = ("text", "character varying", "character", "citext")
LENGTH = 24


@dataclass(frozen=True, slots=True)
class SampledColumn:
    """A column of a table that is sampled; `length` is None for no limit."""

    name: str
    type: str
    length: int | None
    nullable: bool


@dataclass(frozen=True, slots=True)
class Masks:
    """`given` is the setting, `linked` are columns of foreign keys, which keep their values. The
    salt is new for each run: equal values stay equal, and no list of known values gives them away.
    """

    given: Mapping[str, str]
    linked: frozenset[str] = frozenset()
    salt: str = field(default_factory=lambda: secrets.token_hex(16))

    def selected(self, table: str, columns: Iterable[SampledColumn]) -> sql.Fragment:
        """The expressions that a SELECT reads the columns of a table with."""
        listed = tuple(columns)
        personal = any(_PERSONAL.search(column.name) for column in listed)
        return sql.join([self._expression(table, column, personal) for column in listed])

    def _expression(self, table: str, column: SampledColumn, personal: bool) -> sql.Fragment:
        name, method = sql.ident(column.name), self._method(table, column, personal)
        if method == NULL and column.nullable:
            return sql.clause("NULL AS {name}", name=name)
        if method in (HASH, NULL):
            return self._hashed(column)
        return name

    def _method(self, table: str, column: SampledColumn, personal: bool) -> str:
        given = self.given.get(f"{table}.{column.name}")
        if given or f"{table}.{column.name}" in self.linked:
            return given or KEEP
        if not (_PERSONAL.search(column.name) or (personal and _NAME.search(column.name))):
            return KEEP
        if column.type in _TEXT:
            return HASH
        return NULL if column.nullable else KEEP

    def _hashed(self, column: SampledColumn) -> sql.Fragment:
        ending = "@example.invalid" if _MAIL.search(column.name) else ""
        room = LENGTH if column.length is None else min(column.length, LENGTH + len(ending))
        ending = ending if room > len(ending) + 8 else ""
        template = (
            "left(encode(sha256(convert_to({salt} || {name}::text, 'UTF8')), 'base64'), {room}) "
            "|| {ending} AS {name}"
        )
        return sql.clause(
            template,
            salt=sql.literal(self.salt),
            name=sql.ident(column.name),
            room=sql.literal(room - len(ending)),
            ending=sql.literal(ending),
        )

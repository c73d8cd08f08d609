"""Statements of SQL that an author wrote, and which of them only make what tables need."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Tokens that may contain a semicolon that ends no statement.
_PIECE = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<whole>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>[\w$]+)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)

# They make an object beside the tables, and read and lock no table.
_MADE = (
    r"(?:EXTENSION|SCHEMA|TYPE|DOMAIN|COLLATION|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE|CAST"
    r"|OPERATOR|CONVERSION|(?:TRUSTED\s+)?(?:PROCEDURAL\s+)?LANGUAGE|ACCESS\s+METHOD|TEXT\s+SEARCH)"
)
_MAKES = re.compile(
    rf"CREATE\s+(?:OR\s+REPLACE\s+)?{_MADE}\b"
    r"|ALTER\s+(?:TEXT\s+SEARCH|FUNCTION|COLLATION|OPERATOR)\b"
    r"|ALTER\s+TYPE\s.*\b(?:RENAME\s+TO|ADD\s+VALUE|SET\s+SCHEMA)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAKES_IN_BLOCK = re.compile(rf"\bCREATE\s+{_MADE}\b", re.IGNORECASE)
_MORE = re.compile(
    r"\b(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|LOCK|DROP|EXECUTE|PERFORM|CALL|GRANT|REVOKE"
    r"|ALTER\s+TABLE|CREATE\s+(?:UNIQUE\s+)?(?:INDEX|TABLE|TRIGGER|RULE|POLICY|(?:MATERIALIZED\s+)?VIEW))\b",
    re.IGNORECASE,
)


def statements(text: str) -> Iterator[str]:
    """The statements of a text, without comments and the semicolons between them."""
    parts: list[str] = []
    body = _Body()
    for piece in _PIECE.finditer(text):
        body.take(piece["word"])
        if piece["end"] and not body.depth:
            yield from _whole(parts)
            parts = []
        else:
            parts.append(" " if piece["comment"] else piece[0])
    yield from _whole(parts)


class _Body:
    """The body of a function from BEGIN ATOMIC to its END: `depth` is 0 outside of it. In it only
    CASE has an END too."""

    def __init__(self) -> None:
        self.depth = 0
        self._last = ""

    def take(self, word: str | None) -> None:
        if not word:
            return
        word = word.upper()
        if (self._last, word) == ("BEGIN", "ATOMIC"):
            self.depth = 1
        elif self.depth:
            self.depth += {"CASE": 1, "END": -1}.get(word, 0)
        self._last = word


def _whole(parts: list[str]) -> Iterator[str]:
    if statement := "".join(parts).strip():
        yield statement


def makes_foundation(statement: str) -> bool:
    """Does it make what tables need (an extension, a type, a function) and do nothing else? Of a DO
    block only the plain form that guards a CREATE counts."""
    if re.match(r"DO\b", statement, re.IGNORECASE):
        return bool(_MAKES_IN_BLOCK.search(statement)) and not _MORE.search(statement)
    return bool(_MAKES.match(statement))

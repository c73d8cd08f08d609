"""SQL cut into words for highlighting: keywords, names, texts, numbers and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 200_000

_SPELLED = """
" add all alter and as asc begin by cascade check collate column comment commit concurrently
constraint create default deferrable deferred delete desc distinct do drop else end exclude
execute exists extension false foreign from function generated identity if in include index
initially insert into is join key lateral left like limit lock not null nulls on or order policy
primary references rename reset restrict returning row security select set some table then to
trigger true truncate unique update using valid validate values view when where with
"""
_KEYWORDS = frozenset(_SPELLED.split())
_WORD = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<name>"(?:[^"]|"")*")
    |(?P<number>\b\d+(?:\.\d+)?\b)
    |(?P<word>[A-Za-z_]\w*)""",
    re.DOTALL | re.VERBOSE,
)


class Word(NamedTuple):
    """A piece of SQL; `kind` is empty for what is not highlighted."""

    kind: str
    text: str


def words_of(sql: str) -> list[Word]:
    """The SQL in pieces, which joined give the same text. A very long text is one piece."""
    return list(_words(sql)) if len(sql) <= LONGEST else [Word("", sql)]


def _words(sql: str) -> Iterator[Word]:
    place = 0
    for match in _WORD.finditer(sql):
        if match.start() > place:
            yield Word("", sql[place : match.start()])
        yield Word(_kind(match), match[0])
        place = match.end()
    if place < len(sql):
        yield Word("", sql[place:])


def _kind(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "word":
        return "keyword" if match[0].lower() in _KEYWORDS else ""
    return "text" if kind == "tag" else kind

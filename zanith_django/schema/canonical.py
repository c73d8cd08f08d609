"""One canonical spelling for texts with the same meaning."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from zanith_django.schema.graph import LONE_SEQUENCE, Column, Index, IndexKey, Unique

_WIDTHS: Final = ("smallint", "integer", "bigint")
GENERATORS: Final = ("serial", "by default")

_PATTERN_OPCLASSES: Final = (
    "pg_catalog.varchar_pattern_ops",
    "pg_catalog.text_pattern_ops",
    "pg_catalog.bpchar_pattern_ops",
)


def settled_sequence(live: Column, wanted: Column) -> Column:
    """Counts a key with a sequence of its own as a serial, also if no column owns the sequence. If
    the model names the sequence in a default, the default is compared instead.
    """
    settled = dataclasses.replace(live, sequence=wanted.sequence)
    if live.sequence == LONE_SEQUENCE and wanted.identity in GENERATORS:
        return dataclasses.replace(settled, identity=wanted.identity, default=wanted.default)
    return settled


def is_wider(live: Column, wanted: Column) -> bool:
    if live.type not in _WIDTHS or wanted.type not in _WIDTHS:
        return False
    return _WIDTHS.index(live.type) > _WIDTHS.index(wanted.type)


def is_like(index: Index) -> bool:
    """Is this an index as Django makes it beside the index of a text field?"""
    return (
        index.name.endswith("_like")
        and len(index.keys) == 1
        and index.keys[0].opclass in _PATTERN_OPCLASSES
        and not (index.unique or index.predicate or index.keys[0].expression)
        and index.valid
    )


def enforces(index: Index, unique: Unique) -> bool:
    """Does this index refuse exactly the rows that the constraint would refuse, and as early?"""
    plain = Index(
        index.name,
        tuple(IndexKey(column) for column in unique.columns),
        unique=True,
        include=unique.include,
        nulls_not_distinct=unique.nulls_not_distinct,
        options=index.options,
        tablespace=index.tablespace,
        comment=index.comment,
    )
    return index == plain and not unique.deferrable


_LITERAL = r"E?'(?:[^']|'')*'::[a-z ]+(?:\(\d+\))?"
_CAST_OF_ARRAY = re.compile(rf"\(ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]\)::([a-z ]+)\[\]")
_TEXT_LITERAL = re.compile(r"(E?'(?:[^']|'')*')::(?:text|character varying)")


def canonical(text: str) -> str:
    """The expression in the spelling that it has after a dump and restore.

    PostgreSQL prints `(ARRAY['a'::character varying])::text[]` of what was typed as IN ('a'), and
    `ARRAY[('a'::character varying)::text]` once that text was parsed again.
    """
    if "(ARRAY[" not in text:
        return text

    def spread(match: re.Match[str]) -> str:
        items = re.findall(_LITERAL, match[1])
        return "ARRAY[" + ", ".join(f"({item})::{match[2]}" for item in items) + "]"

    return _CAST_OF_ARRAY.sub(spread, text)


def canonical_key(key: IndexKey) -> IndexKey:
    # Two names of one operator class: Django chooses by the field's type, and PostgreSQL keeps the
    # name if the type changes from varchar to text.
    opclass = key.opclass.replace("pg_catalog.varchar_pattern_ops", "pg_catalog.text_pattern_ops")
    return dataclasses.replace(key, expression=canonical(key.expression), opclass=opclass)


def canonical_default(column: Column) -> str | None:
    """The default without distinctions that make none for PostgreSQL. A default NULL is no default;
    a cast from before the column became varchar changes nothing.
    """
    text = column.default
    if text is None or text.startswith("NULL::"):
        return None
    match = _TEXT_LITERAL.fullmatch(text)
    if match and column.type.startswith(("text", "character varying")):
        return match[1]
    return canonical(text)

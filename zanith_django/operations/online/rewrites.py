"""When PostgreSQL rewrites a table. A test compares every rule here with the server."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from zanith_django.operations.dependents import containing
from zanith_django.schema.graph import Column, Index, Table
from zanith_django.schema.parts import CHECKS, INDEXES, PARTS

# --- a new column with a default -----------------------------------------------------------------

# Functions whose value is constant within a statement: a default of only these needs no rewrite.
_STABLE_FUNCTIONS = (
    "now statement_timestamp transaction_timestamp current_setting to_timestamp to_char lower "
    "upper make_interval make_date make_timestamptz concat coalesce nullif least greatest abs "
    "left right replace array_fill jsonb_build_object jsonb_build_array json_build_object "
    "json_build_array to_jsonb to_json to_tsvector date_trunc timezone"
)
_STABLE = frozenset(_STABLE_FUNCTIONS.split())
_SIZED = "varying character numeric bit timestamp time interval bpchar"
_SIZED_TYPES = frozenset(_SIZED.split())
_CALLED = re.compile(r"""'(?:[^']|'')*'|((?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*|\.)+)\(""")


def volatile(default: str | None) -> bool:
    """Would ADD COLUMN with this default rewrite the table? Unknown functions count as volatile.

    PostgreSQL prints its own functions without a schema, those of users with one.
    """
    called = {match[1] for match in _CALLED.finditer(default or "") if match[1]}
    names = {name.strip('"').lower() for name in called}
    return not always_same(names - _SIZED_TYPES)


def always_same(functions: Collection[str]) -> bool:
    """Does each of these return one value for a whole statement?"""
    return _STABLE.issuperset(functions)


_CLOCKS = ("current_", "localtime")


def is_computed(default: str | None) -> bool:
    """Does the default call a function? Some names of the clock have no brackets."""
    called = any(match[1] for match in _CALLED.finditer(default or ""))
    return called or (default or "").lower().startswith(_CLOCKS)


# --- a change of type ----------------------------------------------------------------------------

_STRINGS = ("text", "character varying", "citext")

# base, precision, scale, what follows: "numeric(10,2)", "timestamp(3) with time zone".
_TYPE = re.compile(
    r"(character varying|character|numeric|bit varying|bit|interval|timestamp|time)"
    r"(?:\((\d+)(?:,(-?\d+))?\))?((?: with(?:out)? time zone)?)$"
)

# Pairs of types that share their bytes on disk.
_SAME_BYTES = {
    ("cidr", "inet"),
    ("xml", "text"),
    ("xml", "character varying"),
    ("integer", "oid"),
    ("oid", "integer"),
}

Spelled = tuple[str, int | None, int]


def _spelled(kind: str) -> Spelled:
    """(base type, length or precision, scale) of a type as PostgreSQL prints it."""
    match = _TYPE.fullmatch(kind)
    if not match:
        return ("citext" if kind.endswith(".citext") else kind), None, 0
    size = int(match[2]) if match[2] else None
    return match[1] + match[4], size, int(match[3] or 0)


def rewrite_needed(old: Column, new: Column) -> bool:
    """Does PostgreSQL rewrite the table for this change of type?

    `timestamp` to `timestamp with time zone` counts as a rewrite: it is none in UTC alone.
    """
    if old.type == new.type:
        return False
    (base, size, scale), (new_base, new_size, new_scale) = _spelled(old.type), _spelled(new.type)
    if (base in _STRINGS and new_base in _STRINGS) or (base, new_base) in _SAME_BYTES:
        return new_size is not None and not (size is not None and size <= new_size)
    if base != new_base or base in ("character", "bit"):
        return (base, new_base, new_size) != ("bit", "bit varying", None)
    if new_size is None:
        return False
    if size is None:
        return not _is_widest(base, new_size)
    return new_size < size or new_scale != scale


def rebuilds_indexes(table: Table, old: Column, new: Column) -> bool:
    """Does PostgreSQL rebuild indexes of the column, if it need not rewrite the table?

    It keeps those that order values as before. It does not look into conditions and expressions,
    and keeps no index of a partitioned table.
    """
    owners = (part for part in PARTS if part.owns_index)
    if not any(containing(part, table, old.name) for part in owners):
        return False
    retyped = old.type != new.type
    citext = {kind.rpartition(".")[2] == "citext" for kind in (old.type, new.type)}
    if old.collation != new.collation or len(citext) > 1 or (table.partition_key and retyped):
        return True
    return retyped and any(map(_is_computed, containing(INDEXES, table, old.name)))


def _is_computed(index: Index) -> bool:
    return bool(index.predicate) or any(key.expression for key in index.keys)


def verifies_rows(table: Table, old: Column, new: Column) -> bool:
    """Does PostgreSQL read every row, because it adds the checks of the column again?"""
    retyped = (old.type, old.collation) != (new.type, new.collation)
    return retyped and bool(containing(CHECKS, table, old.name))


def _is_widest(base: str, size: int) -> bool:
    """Is it the widest form? A second has at most six digits."""
    return base.startswith(("timestamp", "time", "interval")) and size == 6


_INTEGERS = ("smallint", "integer", "bigint")
INTEGERS = frozenset(_INTEGERS)
_FRACTIONS = ("numeric", "real", "double precision")


def narrows(old: str, new: str) -> bool:
    """Are there values of `old` that `new` cannot hold?"""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(new) < _INTEGERS.index(old)
    (base, size, scale), (new_base, new_size, new_scale) = _spelled(old), _spelled(new)
    if new_size is None:
        return False
    if base != new_base or size is None:
        return True
    return new_size - new_scale < size - scale or new_scale < scale


# A value of the first type that was cast to one of the others is itself again when cast back.
_EXACT: Mapping[str, frozenset[str]] = {
    "smallint": frozenset(("integer", "bigint", "numeric", "real", "double precision", "text")),
    "integer": frozenset(("smallint", "bigint", "numeric", "double precision", "text")),
    "bigint": frozenset(("smallint", "integer", "numeric", "text")),
    "boolean": frozenset(("integer", "text")),
    "uuid": frozenset(("text",)),
    "date": frozenset(("timestamp without time zone", "timestamp with time zone", "text")),
    "real": frozenset(("double precision",)),
    "numeric": frozenset(("text",)),
    "inet": frozenset(("text",)),
    "cidr": frozenset(("inet", "text")),
    "json": frozenset(("text",)),
    "jsonb": frozenset(("text", "json")),
    "character varying": frozenset(("text",)),
    "text": frozenset(("character varying",)),
}


def keeps_values(old: str, new: str) -> bool:
    """Is every value that a cast from `old` to `new` accepts the same after a cast back? Pairs of
    types that are not known here count as lossy."""
    if old.endswith("[]") and new.endswith("[]"):
        return keeps_values(old[:-2], new[:-2])
    (base, size, scale), (new_base, new_size, new_scale) = _spelled(old), _spelled(new)
    if base != new_base:
        return new_size is None and new_base in _EXACT.get(base, ())
    if new_size is None:
        return True
    if base == "numeric":
        return size is not None and new_scale >= scale
    return (size is not None and new_size >= size) or _is_widest(base, new_size)


def assigns(old: str, new: str) -> bool:
    """Does ALTER TYPE work without USING, and more safely? An explicit cast to varchar(n) truncates
    longer values silently; an assignment fails.
    """
    strings = (*_STRINGS, "character")
    return _spelled(old)[0] in strings and _spelled(new)[0] in strings


def coerces(old: str, new: str) -> bool:
    """Does PostgreSQL accept an expression of the old type unchanged as a default of the new
    one?"""
    kind, other = _spelled(old)[0], _spelled(new)[0]
    return other in (*_STRINGS, "character", kind) or {kind, other} <= {*_INTEGERS, *_FRACTIONS}

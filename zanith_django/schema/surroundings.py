"""What a schema has that a graph does not: types, functions, views, triggers, and their SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zanith_django.exceptions import UnreadableGraph
from zanith_django.schema.catalog import query_text


@dataclass(frozen=True, slots=True)
class Surrounding:
    """One object by the name that PostgreSQL gives it, and the SQL that makes it; "" if there is
    none: what is written in C, for instance."""

    name: str
    sql: str


def surroundings(cursor: Any) -> tuple[Surrounding, ...]:
    """All of the database that `cursor` sees, names qualified, what others may need first."""
    with cursor.connection.transaction(force_rollback=True):
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute(query_text("surroundings"))
        rows = cursor.fetchall()
    return tuple(Surrounding(name, text or "") for name, text in rows)


def to_json(found: Iterable[Surrounding]) -> list[dict[str, str]]:
    return [asdict(each) for each in found]


def from_json(data: Iterable[Mapping[str, str]]) -> tuple[Surrounding, ...]:
    """Inverse of `to_json`. Raises `UnreadableGraph`."""
    try:
        return tuple(Surrounding(str(each["name"]), str(each["sql"])) for each in data)
    except (KeyError, TypeError) as error:
        raise UnreadableGraph(repr(error)) from error

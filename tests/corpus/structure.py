"""The independent opinion: tables made from today's models against the migrated ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

HERE = Path(__file__).parent

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Item:
    """One object of one table as PostgreSQL prints it."""

    table: str
    kind: str
    name: str
    definition: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two objects the same: a column's name counts, an index's does not."""
        name = "" if self.kind in ("constraint", "index") else self.name
        return self.kind, name, self.definition


@dataclass(frozen=True, slots=True)
class Apart:
    """An object that models and database do not share."""

    table: str
    name: str
    models: str
    database: str

    @property
    def line(self) -> str:
        return f"equal {self.table}.{self.name}: models {self.models}; database {self.database}"

    def is_told_by(self, descriptions: Iterable[str]) -> bool:
        """Does one of these sentences name the table and the object?"""
        return any({self.table, self.name} <= words(text) for text in descriptions)


def words(text: str) -> set[str]:
    return set(text.replace(".", " ").split())


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def compare(models: str, database: str) -> list[Apart]:
    """What differs between two databases in the tables that `models` has."""
    wanted, found = _by_table(models), _by_table(database)
    return sorted(
        (apart for table, items in wanted.items() for apart in _table(items, found[table])),
        key=lambda apart: apart.line,
    )


def _by_table(url: str) -> defaultdict[str, list[Item]]:
    tables: defaultdict[str, list[Item]] = defaultdict(list)
    for row in rows(url, (HERE / "structure.sql").read_text()):
        tables[row[0]].append(Item(*row))
    return tables


def _table(wanted: list[Item], found: list[Item]) -> Iterator[Apart]:
    missing, surplus = _without(wanted, found), _without(found, wanted)
    changed = {item.name: item for item in surplus}
    for item in missing:
        other = changed.pop(item.name, None)
        yield Apart(item.table, item.name, item.definition, other.definition if other else NOTHING)
    for item in changed.values():
        yield Apart(item.table, item.name, NOTHING, item.definition)


def _without(items: list[Item], others: list[Item]) -> list[Item]:
    """The items that have no partner among the others, each partner used once."""
    left = Counter(item.identity for item in others)
    alone = []
    for item in items:
        if left[item.identity]:
            left[item.identity] -= 1
        else:
            alone.append(item)
    return alone

"""The objects of a database, read again after each statement to show what it created or dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).parent / "queries"

TABLES = ("table", "view", "materialized view", "foreign table")
SILENT = ("index", "constraint", "sequence", "statistics")
"""PostgreSQL drops these together with their columns, without CASCADE."""

Key = tuple[str, int, int]


@cache
def query(name: str) -> bytes:
    """The text of a query of this folder."""
    return (QUERIES / f"{name}.sql").read_bytes()


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """One object. `relation` is the table that it is or belongs to, 0 for none; `columns` are the
    numbers of that table's columns that it consists of."""

    kind: str
    oid: int
    sub: int
    name: str
    relation: int = 0
    columns: tuple[int, ...] = ()
    file: int = 0
    parent: int = 0

    @property
    def key(self) -> Key:
        return self.kind if self.kind not in TABLES else "relation", self.oid, self.sub

    @property
    def is_part(self) -> bool:
        return bool(self.relation) and self.kind not in TABLES


@dataclass(slots=True)
class CatalogObjects:
    """All objects of the shadow as they were when they were last read. `names` has every
    name of each table, the first one first, also of dropped ones."""

    known: dict[Key, CatalogObject] = field(default_factory=dict)
    by_relation: dict[int, dict[Key, CatalogObject]] = field(default_factory=dict)
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def read(self, session: Any) -> Change:
        """Read all of them again."""
        return self._changed(dict(self.known), _fetched(session, None))

    def refresh(self, session: Any, relations: Collection[int]) -> Change:
        """Reads the objects of these tables again, and those that belong to no table."""
        touched = {self.table_of(oid) for oid in relations} | set(relations) | {0}
        before: dict[Key, CatalogObject] = {}
        for relation in touched:
            before |= self.by_relation.get(relation, {})
        return self._changed(before, _fetched(session, touched))

    def table_of(self, oid: int) -> int:
        """The table that an index or a sequence belongs to; else the number itself."""
        for kind in ("index", "sequence"):
            found = self.known.get((kind, oid, 0))
            if found and found.relation:
                return found.relation
        return oid

    def table(self, oid: int) -> CatalogObject | None:
        return self.known.get(("relation", oid, 0))

    def words(self, found: CatalogObject) -> str:
        """The object in words: "column b of t"."""
        table = self.table(found.relation) if found.is_part else None
        return f"{found.kind} {found.name}" + (f" of {table.name}" if table else "")

    def _changed(
        self, before: Mapping[Key, CatalogObject], now: Mapping[Key, CatalogObject]
    ) -> Change:
        dropped = tuple(
            Named(each, self.words(each)) for key, each in before.items() if key not in now
        )
        for key, each in before.items():
            del self.known[key]
            self.by_relation[each.relation].pop(key, None)
        for key, each in now.items():
            self.known[key] = each
            self.by_relation.setdefault(each.relation, {})[key] = each
            if each.kind in TABLES and each.name not in self.names.get(each.oid, ()):
                self.names[each.oid] = (*self.names.get(each.oid, ()), each.name)
        made = tuple(
            Named(each, self.words(each)) for key, each in now.items() if key not in before
        )
        rewritten = tuple(
            Named(each, self.words(each))
            for key, each in now.items()
            if each.file and key in before and before[key].file != each.file
        )
        renamed = tuple(
            each
            for key, each in now.items()
            if each.kind == "column" and key in before and before[key].name != each.name
        )
        return Change(made, dropped, rewritten, renamed)


@dataclass(frozen=True, slots=True)
class Named:
    """An object with its words, which may depend on a table that is gone later."""

    it: CatalogObject
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was made, dropped, and written into a new file, in the order of the catalog, and the
    columns that have another name."""

    made: tuple[Named, ...] = ()
    dropped: tuple[Named, ...] = ()
    rewritten: tuple[Named, ...] = ()
    renamed: tuple[CatalogObject, ...] = ()

    @property
    def shortened(self) -> Change:
        """Without the parts of tables that were made or dropped whole."""
        made, dropped = _without_parts(self.made), _without_parts(self.dropped)
        return Change(made, dropped, self.rewritten, self.renamed)


def _without_parts(found: Iterable[Named]) -> tuple[Named, ...]:
    listed = tuple(found)
    tables = {each.it.oid for each in listed if each.it.kind in TABLES}
    return tuple(
        each
        for each in listed
        if not (each.it.is_part and each.it.relation in tables) and each.it.parent not in tables
    )


def _fetched(session: Any, relations: Collection[int] | None) -> dict[Key, CatalogObject]:
    given = None if relations is None else sorted(relations)
    found = {}
    for *fields, columns, file, parent in session.execute(query("objects"), {"relations": given}):
        kind, oid, sub, name, relation = fields
        each = CatalogObject(kind, oid, sub, name, relation, tuple(columns), file, parent)
        found[each.key] = each
    return found

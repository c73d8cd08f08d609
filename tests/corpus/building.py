"""Schemas of real projects made from nothing by zanith's own operations, against Django's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.corpus import expected, structure
from tests.corpus.project import CorpusProject

HEADINGS = (
    "project",
    "tables",
    "files",
    "operations",
    "differences",
    "generate",
    "apply",
    "verdict",
)
WIDTHS = (18, 7, 6, 11, 12, 9, 8, 0)


@dataclass(frozen=True, slots=True)
class Built:
    """What came of one project; `problems` is empty where the two schemas are equal."""

    tables: int
    found: dict[str, Any]
    lines: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def cells(self) -> tuple[object, ...]:
        seconds = self.found["seconds"]
        verdict = f"{len(self.problems)} differ" if self.problems else "equal"
        return (
            self.tables,
            self.found["files"],
            self.found["operations"],
            len(self.lines),
            f"{seconds['generate']:.1f}",
            f"{seconds['apply']:.1f}",
            verdict,
        )


def check(project: CorpusProject, wanted: expected.Expected, *, migrate: bool) -> Built:
    """Compare what zanith made with what Django's `migrate` made, and with what Django's schema
    editor makes of today's models. `lines` are the differences from `migrate` that `expected/`
    explains."""
    with project.migrated(migrate=migrate) as migrated, project.built(migrated) as (url, found):
        with project.fresh(migrated, restored=True) as fresh:
            problems = [f"from models: {item.line}" for item in _apart(fresh, url)]
            tables = structure.rows(fresh, (structure.HERE / "counts.sql").read_text())[0][0]
        explained: list[str] = []
        for item in structure.compare(url, migrated):
            known = item.line in wanted.lines or item.is_told_by(wanted.lines)
            (explained if known else problems).append(item.line)
    diff = found["diff"]
    problems += [f"{o['kind']} {o['description']}" for o in diff["operations"]]
    problems += [f"extra {line}" for line in diff["extra"]]
    return Built(tables, found, (*explained, *problems), tuple(problems))


def _apart(one: str, other: str) -> Iterator[structure.Apart]:
    """What differs between two databases, whichever of them has more."""
    yield from structure.compare(one, other)
    known = {(item.table, item.name) for item in structure.compare(one, other)}
    more = structure.compare(other, one)
    yield from (item for item in more if (item.table, item.name) not in known)

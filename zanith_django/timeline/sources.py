"""The files of migrations, with paths within the repository, for reports."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from django.db.migrations.migration import Migration as DjangoMigration

from zanith_django.files.lines import Lines, lines_of
from zanith_django.timeline.timeline import Entry, Timeline


@dataclass(frozen=True, slots=True)
class Source:
    """A migration file. `path` begins at the top of the repository, or is absolute outside one."""

    path: str
    lines: Lines = field(default_factory=Lines)


def sources_of(timeline: Timeline, entries: Iterable[Entry]) -> dict[str, Source]:
    """{id: its file} of those entries whose file can be read."""
    found = {entry.id: path_of(timeline, entry) for entry in entries}
    return {
        name: _source(path)
        for name, path in found.items()
        if path and path.suffix == ".py" and path.is_file()
    }


def path_of(timeline: Timeline, entry: Entry) -> Path | None:
    """Our file, or that of the Django migration."""
    if entry.migration:
        return Path(entry.migration.path)
    return django_path(timeline.django(entry.covers[0]))


def django_path(migration: DjangoMigration) -> Path | None:
    """The file of a Django migration; None if it has none."""
    name = getattr(sys.modules.get(type(migration).__module__), "__file__", None)
    return Path(name) if name else None


def _source(path: Path) -> Source:
    return Source(in_repository(path), lines_of(path.read_bytes()))


def in_repository(path: Path) -> str:
    """The path from the top of its repository, without one from the current folder; with `/` on
    every system."""
    whole = path.resolve()
    tops = (folder for folder in whole.parents if (folder / ".git").exists())
    top = next(tops, Path.cwd().resolve())
    return (whole.relative_to(top) if whole.is_relative_to(top) else whole).as_posix()

"""How a step can be taken back, and what does not come back with it."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass

from django.db.migrations.operations import DeleteModel, RemoveField
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation

from zanith_django.operations import Operation
from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.keep.kept import Restore
from zanith_django.timeline.django_kinds import reaching_database, reverse_does_nothing
from zanith_django.timeline.timeline import Entry, Key, Timeline, key_of

EMPTY = "what it removed comes back empty"
VALUES_STAY = "rows keep the values that they got"
UNCHANGED = "its reverse does nothing: rows stay as they are"


@dataclass(frozen=True, slots=True)
class WayBack:
    """A command that takes the step back, "" if none does. `but` says what it does not restore."""

    command: str = ""
    but: str = ""

    @property
    def whole(self) -> bool:
        return bool(self.command) and not self.but

    def __str__(self) -> str:
        if not self.command:
            return "; ".join(part for part in ("cannot be undone", self.but) if part)
        return f"{self.command} ({self.but})" if self.but else self.command


def way_back(
    operation: Operation, reasons: Collection[str], timeline: Timeline, entry: Entry
) -> WayBack:
    """What zanith_rollback, zanith_recover or Django's migrate can do about the step."""
    if entry.migration is None and operation.runs:
        return _by_django(operation.runs, timeline, entry.covers[0])
    if operation.passed_over:
        return WayBack("zanith_rollback")
    if operation.loses_nothing:
        return WayBack("zanith_rollback --keep-values", VALUES_STAY)
    if operation.inverse() is None or "irreversible" in reasons:
        return WayBack(but="only a backup has its values" if operation.loses else "")
    but = ""
    if code := operation.runs:
        written = _written(timeline, key_of(code.migration), code.position)
        but = UNCHANGED if any(map(reverse_does_nothing, written)) else ""
    return WayBack(f"zanith_rollback{_recovering(operation)}", but)


def _recovering(operation: Operation) -> str:
    inverse = operation.inverse()
    if not (operation.recoverable and isinstance(inverse, Restore)):
        return ""
    verb = "restore-column" if inverse.one_column else "restore-table"
    return f", or later zanith_recover {verb} {shlex.quote(operation.target)}"


def _by_django(code: DjangoCode, timeline: Timeline, key: Key) -> WayBack:
    if not code.reversible:
        return WayBack()
    inner = [
        each
        for written in _written(timeline, key, code.position)
        for each in reaching_database(written)
    ]
    gone = any(isinstance(each, RemoveField | DeleteModel) for each in inner)
    silent = any(map(reverse_does_nothing, inner))
    command = f"manage.py migrate {key[0]} {timeline.previous(key)}"
    return WayBack(command, EMPTY if gone else UNCHANGED if silent else "")


def _written(timeline: Timeline, key: Key, position: int) -> list[DjangoMigrationOperation]:
    """The operation at `position`, all of them for 0; none of a migration without a file."""
    migration = timeline.loader.disk_migrations.get(key)
    every = list(migration.operations) if migration else []
    return every if position == 0 else every[position - 1 : position]

"""How a step can be undone, and what that does not restore."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.db.migrations.operations import DeleteModel, RemoveField
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation

from zanith_django.operations import Operation
from zanith_django.operations.data import WHOLE
from zanith_django.operations.keep.kept import Restore
from zanith_django.operations.online.rewrites import assigns, keeps_values
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.django_kinds import reaching_database, reverse_does_nothing
from zanith_django.timeline.timeline import Entry, Timeline, key_of

EMPTY = "what it removed comes back empty"
VALUES_STAY = "rows keep the values that they got"
UNCHANGED = "its reverse does nothing: rows stay as they are"
REWRITTEN = "only what its reverse writes comes back"
CONVERTED = "values that it converts may come back changed"


@dataclass(frozen=True, slots=True)
class WayBack:
    """A command that undoes the step, "" if none does. `but` names what it does not restore."""

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
    operation: Operation,
    reasons: Collection[str],
    timeline: Timeline,
    entry: Entry,
    graphs: tuple[SchemaGraph, SchemaGraph],
) -> WayBack:
    """The command that undoes the step: zanith_rollback, zanith_recover or Django's migrate.
    `graphs` are the schemas before and after it."""
    written = _written_for(operation, timeline, entry)
    but = _but(written, reasons) or _converting(operation, graphs)
    if entry.migration is None and operation.runs:
        key = entry.covers[0]
        if not operation.runs.reversible:
            return WayBack()
        return WayBack(f"manage.py migrate {key[0]} {timeline.previous(key)}", but)
    if operation.passed_over:
        return WayBack("zanith_rollback")
    if operation.loses_nothing:
        return WayBack("zanith_rollback --keep-values", VALUES_STAY)
    final = "irreversible" in reasons and not operation.authored
    if operation.inverse() is None or final:
        return WayBack(but="only a backup has its values" if operation.loses else "")
    return WayBack(f"zanith_rollback{_recovering(operation)}", but)


_DROPS = frozenset(("drops_column_with_data", "drops_table_with_data"))


def _but(written: Sequence[DjangoMigrationOperation], reasons: Collection[str]) -> str:
    """What the way back does not restore. `written` is Django's code in the step."""
    if any(isinstance(each, RemoveField | DeleteModel) for each in written):
        return EMPTY
    if any(map(reverse_does_nothing, written)):
        return UNCHANGED
    if "irreversible" in reasons:
        return REWRITTEN if _DROPS.isdisjoint(reasons) else EMPTY
    return ""


def _converting(operation: Operation, graphs: tuple[SchemaGraph, SchemaGraph]) -> str:
    """Does a column get a type that cannot give its values back? Our own change of a text's length
    fails on a value that it would truncate; an explicit cast, as Django's, truncates it."""
    casts = bool(operation.authored or getattr(operation, "using", ""))
    for old, new in _retyped(*graphs):
        if not (keeps_values(old, new) or (assigns(old, new) and not casts)):
            return CONVERTED
    return ""


def _retyped(before: SchemaGraph, after: SchemaGraph) -> Iterator[tuple[str, str]]:
    """(old, new) of each type that changes."""
    for table in after.unlike(before):
        old = before.table(table.name)
        for column in table.columns if old else ():
            known = old.column(column.name) if old else None
            if known and known.type != column.type:
                yield known.type, column.type


def _recovering(operation: Operation) -> str:
    inverse = operation.inverse()
    if not (operation.recoverable and isinstance(inverse, Restore)):
        return ""
    verb = "restore-column" if inverse.one_column else "restore-table"
    return f", or later zanith_recover {verb} {shlex.quote(operation.target)}"


def _written_for(
    operation: Operation, timeline: Timeline, entry: Entry
) -> list[DjangoMigrationOperation]:
    """What reaches the database of the operations of a Django migration that a step runs."""
    code = operation.runs
    if code is None:
        return []
    key = entry.covers[0] if entry.migration is None else key_of(code.migration)
    migration = timeline.loader.disk_migrations.get(key)
    every = list(migration.operations) if migration else []
    chosen = every if code.position == WHOLE else every[code.position - 1 : code.position]
    return [inner for each in chosen for inner in reaching_database(each)]

"""The migrations that a rollback undoes, and those that it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zanith_django.exceptions import CannotUndo, FileEdited, InvalidArgument
from zanith_django.files.migration import LoadedMigration, is_djangos, is_recovery
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FAILED, PENDING, ROLLED_BACK, RUNNING, step_id
from zanith_django.ledger.steps import StepRow
from zanith_django.operations import (
    Operation,
)
from zanith_django.operations.base import Statement
from zanith_django.plan.integrity import edited
from zanith_django.timeline.timeline import APPLIED, Entry, Key, Timeline, dotted, key_of


@dataclass(frozen=True, slots=True)
class UndoStep:
    """One step to undo.

    `inverse` is None if nothing has to run: an earlier step of the migration, when it is undone,
    removes the column or table that this one wrote; or it was restored already; or its effect is
    valid in the schema before it as well. For a step that stopped in the middle, `retreat` removes
    its objects. `inverse` keeps the values that it removes; `hard` replaces it if there are none.
    `row` is the attempt to undo, `newest` the newest attempt: that of a rollback which began to
    undo the step, if there is one.
    """

    row: StepRow
    operation: Operation
    inverse: Operation | None
    artifact: ArtifactRow | None = None
    stopped: bool = False
    retreat: tuple[Statement, ...] = ()
    hard: Operation | None = None
    newest: StepRow | None = None

    @property
    def kind(self) -> str:
        """The kind that the ledger records for the attempt to undo it. A step that only completes
        a restored object is recorded under the kind of the operation."""
        own = self.inverse if self.inverse and self.inverse.in_files else self.operation
        return own.kind

    @property
    def next_id(self) -> str:
        """The row of the attempt that a rollback makes now."""
        newest = self.newest or self.row
        return step_id(newest.migration_id, newest.step, newest.attempt + 1)

    @property
    def begun(self) -> bool:
        """An earlier run of the same rollback began to undo it."""
        return self.newest is not None and self.newest.status in (RUNNING, FAILED)

    @property
    def undone(self) -> bool:
        return (self.newest or self.row).status == ROLLED_BACK


@dataclass(frozen=True, slots=True)
class UndoMigration:
    """One migration to undo, its steps from the last to the first; `whole` means that it is
    recorded, and did not stop half way."""

    file: LoadedMigration
    steps: tuple[UndoStep, ...]
    whole: bool = True

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def covers(self) -> tuple[Key, ...]:
        return tuple(map(key_of, self.file.covers))


# --- which migrations ----------------------------------------------------------------------------


def chosen(
    timeline: Timeline, ledger: Ledger, *, count: int | None, to: str
) -> list[LoadedMigration]:
    """The files to undo, newest first by the time of their application, and each after the
    migrations that depend on it. A migration that stopped half way is newer than all applied
    ones."""
    back = {entry.id for entry in timeline.entries if entry.taken_back}
    applied = timeline.ordered(name for name in ledger.applied() if name not in back)
    if to:
        wanted = timeline.find(to)
        if wanted.state != APPLIED:
            raise InvalidArgument(
                f"{wanted.id} is not applied.", "Run zanith_status --all to see what is."
            )
        if wanted.id not in applied:
            raise InvalidArgument(
                f"{wanted.id} was applied by Django before zanith took over.",
                "Name a migration that zanith applied: zanith_history lists them.",
            )
        applied = applied[applied.index(wanted.id) + 1 :]
    ours = [
        name
        for name in (*ledger.half_applied(), *reversed(applied))
        if not (is_djangos(name) or is_recovery(name))
    ]
    planned = ledger.planned_rollback(count) if count else None
    if planned is not None:  # the same command was interrupted before
        ours = [name for name in ours if name in planned]
    known = {entry.id: entry.migration for entry in timeline.entries if entry.migration}
    files = []
    for name in ours[:count]:
        file = known.get(name)
        if file is None:
            raise CannotUndo(
                name, "its file is gone", "Bring the file back from version control first."
            )
        files.append(file)
    return files


def staying(
    timeline: Timeline, ledger: Ledger, files: Iterable[LoadedMigration], *, to: str
) -> list[str]:
    """Apps with migrations that Django ran after the oldest of these, or after `to`."""
    applied = timeline.ordered(ledger.applied())
    places = [applied.index(file.id) for file in files if file.id in applied]
    if to:
        places = [applied.index(timeline.find(to).id) + 1]
    newer = set(applied[min(places) :]) if places else set()
    known = [entry for entry in timeline.entries if entry.state == APPLIED and not entry.migration]
    return sorted({entry.app_label for entry in known if entry.id in newer})


def refuse_edited(ledger: Ledger, files: Iterable[LoadedMigration]) -> None:
    """Refuses files that were edited after they ran, because the inverses come from the files."""
    for flaw in edited(ledger, files):
        raise FileEdited(flaw.migration, flaw.message)


def refuse_needed(timeline: Timeline, files: Sequence[LoadedMigration]) -> None:
    """Refuses to undo a migration that an applied one depends on."""
    undone = {file.id for file in files}
    keys = {key_of(name) for file in files for name in file.covers}
    applied = {
        key: entry
        for entry in timeline.entries
        if entry.state == APPLIED and entry.id not in undone
        for key in entry.covers
    }
    for key in sorted(set(timeline.resolved(keys))):
        for other in timeline.loader.graph.backwards_plan(key):
            label, name = other[0], other[1]
            if (label, name) != key and (label, name) in applied:
                raise _needed(timeline, key, (label, name), applied[label, name])
    names = undone | set(map(dotted, keys))
    for entry in timeline.entries:
        if entry.migration and entry.state == APPLIED and entry.id not in undone:
            needs = names.intersection(entry.migration.requires)
            if needs:
                raise _still(needs.pop(), entry.id, f"zanith_rollback --to {entry.id} undoes less.")


def _needed(timeline: Timeline, key: Key, other: Key, entry: Entry) -> CannotUndo:
    if entry.migration:
        hint = "Roll it back as well: count it in with --steps, or go further back with --to."
        return _still(dotted(key), entry.id, hint)
    previous = f"manage.py migrate {other[0]} {timeline.previous(other)}"
    return _still(dotted(key), entry.id, f"Undo that one first, with Django: {previous}.")


def _still(name: str, other: str, hint: str) -> CannotUndo:
    return CannotUndo(name, f"{other}, which is applied, depends on it", hint)


def refuse_half_applied(ledger: Ledger, files: Iterable[LoadedMigration]) -> None:
    """Refuses to undo an applied migration before one that stopped half way, which counts as the
    newest."""
    undone = {file.id for file in files}
    for name in ledger.half_applied():
        done = any(row.status == DONE for row in ledger.latest(name).values())
        if is_djangos(name):  # an atomic one was rolled back as a whole
            if done:
                raise CannotUndo(
                    name,
                    "it is not atomic, stopped half way, and Django has no way back from there",
                    "Fix the cause and run zanith_apply to finish it first.",
                )
        elif name not in undone:
            raise CannotUndo(
                "What is applied",
                f"{name} stopped half way and depends on it",
                "Count it in with --steps, or run zanith_apply to finish it first.",
            )


def has_begun(row: StepRow | None) -> bool:
    return row is not None and (row.stopped or row.status not in (PENDING, FAILED))

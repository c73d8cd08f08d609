"""Which migrations a rollback undoes and how, or why one of them cannot be undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django import gates
from zanith_django.artifacts import Restoring, blocked, restoring
from zanith_django.exceptions import CannotUndo, FileEdited, InvalidArgument
from zanith_django.ledger import (
    DONE,
    FAILED,
    ROLLED_BACK,
    RUNNING,
    SKIPPED,
    ArtifactRow,
    Ledger,
    StepRow,
    step_id,
)
from zanith_django.live_names import as_live
from zanith_django.migration import DJANGO_PREFIX, RECOVER_PREFIX, LoadedMigration
from zanith_django.operations import (
    AddColumn,
    AddGeneratedColumn,
    CreateTable,
    Operation,
    RestoreColumn,
    RestoreTable,
    RunPython,
)
from zanith_django.operations.base import Context
from zanith_django.routing import is_for
from zanith_django.schema.graph import SchemaGraph, TableName
from zanith_django.timeline import APPLIED, Entry, Key, Timeline, dotted, key_of


@dataclass(frozen=True, slots=True)
class UndoStep:
    """One step to undo. `inverse` None has nothing left to do: what it wrote goes with a column
    or table of the same migration, or was brought back already, or holds before as well."""

    row: StepRow
    operation: Operation
    inverse: Operation | None
    artifact: ArtifactRow | None = None


@dataclass(frozen=True, slots=True)
class UndoMigration:
    """One migration to undo, its steps from the last to the first."""

    file: LoadedMigration
    steps: tuple[UndoStep, ...]

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
    """The files to undo, newest first, by the time when they were applied."""
    applied = list(ledger.applied())
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
        name for name in reversed(applied) if not name.startswith((DJANGO_PREFIX, RECOVER_PREFIX))
    ]
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


def refuse_edited(ledger: Ledger, files: Iterable[LoadedMigration]) -> None:
    """The inverses come from the files: they must be what ran."""
    for refusal in gates.edited(ledger, files):
        raise FileEdited(refusal.migration, refusal.message)


def refuse_needed(timeline: Timeline, files: Sequence[LoadedMigration]) -> None:
    """Nothing that stays applied may stand on what is undone."""
    undone = {file.id for file in files}
    keys = {key_of(name) for file in files for name in file.covers}
    standing = {
        key: entry
        for entry in timeline.entries
        if entry.state == APPLIED and entry.id not in undone
        for key in entry.covers
    }
    for key in sorted(keys & timeline.loader.graph.nodes.keys()):
        for other in timeline.loader.graph.backwards_plan(key):
            if (other[0], other[1]) in standing:
                raise _needed(key, (other[0], other[1]), standing[other[0], other[1]])
    names = undone | set(map(dotted, keys))
    for entry in timeline.entries:
        if entry.migration and entry.state == APPLIED and entry.id not in undone:
            needs = names.intersection(entry.migration.requires)
            if needs:
                raise _still(needs.pop(), entry.id, f"zanith_rollback --to {entry.id} undoes less.")


def _needed(key: Key, other: Key, entry: Entry) -> CannotUndo:
    if entry.migration:
        hint = "Roll it back as well: count it in with --steps, or go further back with --to."
        return _still(dotted(key), entry.id, hint)
    previous = f"manage.py migrate {other[0]} <the one before {other[1]}>"
    return _still(dotted(key), entry.id, f"Undo that one first, with Django: {previous}.")


def _still(name: str, other: str, hint: str) -> CannotUndo:
    return CannotUndo(name, f"{other}, which is applied, stands on it", hint)


def refuse_half_applied(ledger: Ledger) -> None:
    """A migration that stopped in the middle stands on all that is applied."""
    applied = ledger.applied()
    newest = {(row.migration_id, row.step): row for row in ledger.steps()}
    for row in newest.values():
        if row.migration_id not in applied and row.status in (DONE, RUNNING):
            raise CannotUndo(
                "What is applied",
                f"{row.migration_id} stopped half way and stands on it",
                "Mend the cause and run zanith_apply to finish it first.",
            )


# --- what undoes them ----------------------------------------------------------------------------


class Planner:
    """Finds the inverse of every step, or refuses; keeps what the schema will be by then."""

    def __init__(self, connection: BaseDatabaseWrapper, ledger: Ledger, graph: SchemaGraph) -> None:
        self.connection, self.ledger, self.graph = connection, ledger, graph
        self.artifacts = {row.id: row for row in ledger.artifacts()}

    def plan(self, files: Iterable[LoadedMigration]) -> Iterator[UndoMigration]:
        for file in files:
            rows = self.ledger.latest(file.id)
            numbered = [*enumerate(file.operations, 1)]
            steps = [self._step(file, rows, n, operation) for n, operation in reversed(numbered)]
            yield UndoMigration(file, tuple(steps))

    def _step(
        self,
        file: LoadedMigration,
        rows: Mapping[int, StepRow],
        number: int,
        operation: Operation,
    ) -> UndoStep:
        row = rows.get(number)
        name = step_id(file.id, number)
        if row is None:
            raise CannotUndo(name, "the ledger has no record of it")
        if not is_for(self.ledger.connection.alias, operation, file.app_label):
            return UndoStep(row, operation, None)
        if row.status == SKIPPED:
            raise self._adopted(file, name)
        if row.status == ROLLED_BACK:
            return UndoStep(row, operation, None)
        context = Context(schema=self.graph.default_schema, graph=self.graph, migration_id=file.id)
        inverse = operation.inverse()
        if operation.passed_over:
            return UndoStep(row, operation, None)
        if inverse is None or "irreversible" in operation.reasons(context):
            if not _goes_with(operation, file.operations[: number - 1]):
                raise CannotUndo(name, *_why_not(operation))
            return UndoStep(row, operation, None)
        artifact = self._artifact(operation, context)
        if isinstance(inverse, RestoreColumn | RestoreTable):
            if artifact is None:
                raise CannotUndo(name, "the ledger has no artifact of it")
            inverse = restoring(artifact)  # in the names that the database had
            if self._back_already(artifact, inverse):
                return UndoStep(row, operation, None, artifact)
            self._refuse_blocked(name, artifact, inverse, begun=row.status in (RUNNING, FAILED))
        inverse = as_live(inverse, self.graph)
        self.graph = inverse.apply_to(self.graph) if inverse else self.graph
        return UndoStep(row, operation, inverse, artifact)

    def _adopted(self, file: LoadedMigration, name: str) -> CannotUndo:
        label = file.app_label
        return CannotUndo(
            name,
            "Django's own migrate did its work, and zanith only recorded that",
            f"Undo it with Django: manage.py migrate {label} <the one before>.",
        )

    def _artifact(self, operation: Operation, context: Context) -> ArtifactRow | None:
        made = operation.artifact(context)
        return self.artifacts.get(made.id) if made else None

    def _back_already(self, artifact: ArtifactRow, inverse: Restoring) -> bool:
        """zanith_recover brought it back before."""
        if artifact.expires_at is None:
            return False
        if isinstance(inverse, RestoreTable):
            there = inverse.table.name in self.graph
        else:
            table = self.graph.table(inverse.table)
            there = bool(table and table.column(inverse.column.name))
        if not there:
            raise CannotUndo(
                artifact.id, "what it kept was purged", "Only a backup can bring it back."
            )
        return True

    def _refuse_blocked(
        self,
        name: str,
        artifact: ArtifactRow,
        inverse: Restoring,
        *,
        begun: bool,
    ) -> None:
        why = blocked(self.connection, artifact, inverse, self.graph, begun=begun)
        if why:
            raise CannotUndo(
                name,
                why,
                f"zanith_recover inspect {artifact.target} shows what is kept, "
                f"zanith_recover export {artifact.target} saves it.",
            )


def _goes_with(operation: Operation, earlier: Sequence[Operation]) -> bool:
    """Does what it wrote go with a column or table that the same migration made?"""
    made: set[TableName] = {item.table.name for item in earlier if isinstance(item, CreateTable)}
    columns = {item.target for item in earlier if isinstance(item, AddColumn | AddGeneratedColumn)}
    in_new_tables = bool(operation.tables) and made.issuperset(operation.tables)
    return operation.target in columns or in_new_tables


def _why_not(operation: Operation) -> tuple[str, str]:
    """(why, what to do instead)."""
    if isinstance(operation, RunPython):
        return f"{operation.description or 'its code'} has no reverse", (
            f"Give the operation of {operation.migration} a reverse, or write a new migration."
        )
    if operation.inverse() is None:
        return f"{operation.kind} has no opposite", "Write a new migration that puts it right."
    return f"{operation.kind} took its data away for good", (
        "Restore the data from a backup; zanith_recover list shows what soft drops keep."
    )

"""How a rollback undoes each step, or why one of them cannot be undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import CannotDrop, CannotUndo
from zanith_django.files.migration import LoadedMigration
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.marks import progress
from zanith_django.ledger.step_rows import (
    FAILED,
    ROLLED_BACK,
    RUNNING,
    SKIPPED,
    step_id,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.operations import AddColumn, Operation
from zanith_django.operations.artifact_ids import ARCHIVE_COLUMN, SOFT_DROP_COLUMN
from zanith_django.operations.base import Context, Statement, counts_rows, must_have
from zanith_django.operations.completion import completion, returned
from zanith_django.operations.keep.kept import Restore
from zanith_django.operations.keep.restored import is_restored
from zanith_django.operations.online.rebuild_swap import SWAP
from zanith_django.plan.collisions import collisions
from zanith_django.plan.live_facts import step_context, with_known_dependents
from zanith_django.plan.present_names import AS_NOW
from zanith_django.plan.search_path import SearchPath, found_elsewhere
from zanith_django.postgres.rows import one_value
from zanith_django.rollback.selection import UndoMigration, UndoStep, has_begun
from zanith_django.run.artifacts import blocked, rows_against, was_purged
from zanith_django.run.keeping import Place, definition, locate
from zanith_django.run.taken_names import taken_before
from zanith_django.run.work import transactions
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import COLUMNS
from zanith_django.timeline.routing import is_for


class Planner:
    """Finds the inverse of every step, or refuses. `graph` and `names` move along: they are those
    of the database after the inverses found so far. With `softly`, removed columns and tables are
    kept; with `keep_values`, values that a fill gave may stay."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        graph: SchemaGraph,
        *,
        softly: bool = True,
        keep_values: bool = False,
    ) -> None:
        self.connection, self.ledger, self.graph = connection, ledger, graph
        self.softly, self.keep_values = softly, keep_values
        self.artifacts = {row.id: row for row in ledger.artifacts()}
        self.path = SearchPath(found_elsewhere(connection))
        self.texts: list[str | None] = []  # SQL and Python that runs before; None: not readable
        self.moved = False  # SQL or Python of a newer migration may have moved anything
        self.names = AS_NOW
        self._found: dict[str, tuple[SchemaGraph, ...]] = {}

    def plan(self, files: Sequence[LoadedMigration]) -> Iterator[UndoMigration]:
        applied = self.ledger.applied()
        every = (operation.inverse() for file in files for operation in file.operations)
        inverses = [inverse for inverse in every if inverse]
        self.graph = with_known_dependents(self.connection, self.graph, inverses)
        for file in files:
            self.moved = bool(self.texts)
            attempts = self.ledger.steps(file.id)
            rows = {row.step: row for row in attempts}
            undone = {row.step: row for row in attempts if not row.undoing}
            numbered = [*enumerate(file.operations, 1)]
            whole = file.id in applied
            if not whole:
                numbered = [item for item in numbered if has_begun(rows.get(item[0]))]
            found = [
                self._step(file, rows, n, operation, whole=whole)
                for n, operation in reversed(numbered)
            ]
            steps = [
                dataclasses.replace(step, row=undone.get(step.row.step, step.row), newest=step.row)
                for step in found
            ]
            yield UndoMigration(file, tuple(steps), whole)

    def _step(
        self,
        file: LoadedMigration,
        rows: Mapping[int, StepRow],
        number: int,
        operation: Operation,
        *,
        whole: bool,
    ) -> UndoStep:
        """One step of a file. With `whole`, the migration is recorded: every step was done."""
        row = rows.get(number)
        name = step_id(file.id, number)
        operation = self.path.resolved(operation, self.graph)
        if row is None:
            raise CannotUndo(name, "the ledger has no record of it")
        if not is_for(self.ledger.connection.alias, operation, file.app_label):
            return UndoStep(row, operation, None)
        if row.status == SKIPPED:
            raise self._adopted(file, name)
        if row.status == ROLLED_BACK:
            return UndoStep(row, operation, None)
        context = step_context(self.connection, self.graph, file.id)
        if row.stopped and not row.undoing and not whole:
            return self._stopped(file, row, operation, context)
        found = self._found_by(file, number)
        if operation.passed_over or (found and operation.is_in(found)):
            return UndoStep(row, operation, None)
        if found and operation.adopts(found):
            return UndoStep(row, operation, self._given_back(operation, found))
        known = self._as_found(operation, found, file.operations[: number - 1])
        if known is None:
            return UndoStep(row, operation, None)
        inverse = known.inverse()
        if inverse is None or "irreversible" in operation.reasons(context):
            if not self._may_stay(operation, file.operations[: number - 1]):
                raise CannotUndo(name, *operation.why_final)
            return UndoStep(row, operation, None)
        return self._reversed(row, operation, self.path.resolved(inverse, self.graph), context)

    def _reversed(
        self, row: StepRow, operation: Operation, inverse: Operation, context: Context
    ) -> UndoStep:
        """The step and what undoes it in this database. Raises `CannotUndo`."""
        name = step_id(row.migration_id, row.step)
        artifact = self._artifact(operation, context)
        if isinstance(inverse, Restore):
            if artifact is None:
                raise CannotUndo(name, "the ledger has no artifact of it")
            if self._was_restored(artifact, inverse):
                return UndoStep(row, operation, self._completing(name, inverse))
            inverse = self._from_note(name, row, artifact)
        live = inverse.in_names_of(self.graph)
        soft = self._softly(name, live) if live and self.softly else None
        for undoing in dict.fromkeys((live, soft)):
            self._refuse_dependents(name, undoing, context)
        if live:
            self.graph, self.names = live.apply_to(self.graph), self.names.after(live)
        if soft:
            return UndoStep(row, operation, soft, artifact, hard=live)
        return UndoStep(row, operation, live, artifact)

    def _from_note(self, name: str, row: StepRow, artifact: ArtifactRow) -> Restore:
        """The restore that the note on the kept object describes. Raises `CannotUndo` if rows or
        objects block it."""
        place = self._place(name, artifact)
        inverse = definition(self.connection, artifact, place, self.graph)
        begun = row.status in (RUNNING, FAILED)
        self._refuse_blocked(name, artifact, place, inverse, begun=begun)
        column = inverse.one_column
        if column is None:
            self.names = self.names.at(inverse.home, place.table)
        elif place.column:  # not in an archive
            self.names = self.names.with_column(inverse.home, column.name, place.column)
        return inverse

    def _found_by(self, file: LoadedMigration, number: int) -> SchemaGraph | None:
        """The schema that the step of this number found when it ran."""
        if file.id not in self._found:
            data = self.ledger.snapshot(file.id, "before")
            start = SchemaGraph.from_json(data) if data else None
            self._found[file.id] = _folded(start, file.operations) if start else ()
        graphs = self._found[file.id]
        return graphs[number - 1] if graphs else None

    def _as_found(
        self, operation: Operation, found: SchemaGraph | None, earlier: Sequence[Operation]
    ) -> Operation | None:
        """After SQL or Python of an author, the schema that the step found is not known."""
        if found is None or any(each.authored for each in earlier):
            return operation
        return operation.as_found(found)

    def _given_back(self, operation: Operation, found: SchemaGraph) -> Operation:
        """Returns a restored column that the step adopted to its state before the step: no model
        has it, and it allows NULL if it did."""
        (added,) = operation.pieces
        before, now = (must_have(g, added.table).column(added.name) for g in (found, self.graph))
        if before is None or now is None:
            raise CannotUndo(operation.target, "the column is gone", "Bring it back first.")
        given = returned(added.table, before, now)
        self.graph = given.apply_to(self.graph)
        return given

    def _place(self, name: str, artifact: ArtifactRow) -> Place:
        place = locate(self.connection, artifact)
        if place is None:
            raise CannotUndo(name, f"what {artifact.id} kept is not in the database")
        return place

    def _adopting(self, inverse: Restore) -> Operation | None:
        """Adds what a restored column still lacks: zanith_recover restored it for code that does
        not know it."""
        table, column = self.graph.table(inverse.home), inverse.one_column
        if column is None or table is None or not is_restored(table.column(column.name)):
            return None
        return AddColumn(table=inverse.home, column=column, model=inverse.model)

    def _softly(self, name: str, drop: Operation) -> Operation | None:
        """The drop that keeps what this one removes; None if there is nothing to keep."""
        try:
            return drop.keeping(self.graph)
        except CannotDrop as error:
            hint = "zanith_rollback --drop hard --allow-destructive drops it for good."
            raise CannotUndo(name, f"{error.target} cannot be kept: {error.why}", hint) from error

    # --- a step that stopped in the middle -----------------------------------------------------

    def _stopped(
        self, file: LoadedMigration, row: StepRow, operation: Operation, context: Context
    ) -> UndoStep:
        """A step in one transaction left no object. For one in several, the operation's `retreat`
        removes the objects."""
        name = step_id(file.id, row.step)
        statements = operation.statements(context)
        groups = list(transactions(statements))
        if all(group[0].transactional for group in groups) and len(groups) < 2:
            return UndoStep(row, operation, None, stopped=True)
        retreat = None if self._is_swapped(statements) else operation.retreat(context)
        if retreat is not None:
            self._refuse_earlier_objects(file, name, operation)
            return UndoStep(row, operation, None, stopped=True, retreat=retreat)
        if not self._wrote(row) or self._may_stay(operation, file.operations[: row.step - 1]):
            return UndoStep(row, operation, None, stopped=True)
        remedy = "Fix the cause and run zanith_apply, which finishes it; then roll back."
        if operation.loses_nothing:
            remedy += f" Or undo the rest: {operation.why_final[1]}"
        raise CannotUndo(name, f"it stopped in the middle ({operation.describe()})", remedy)

    def _may_stay(self, operation: Operation, earlier: Sequence[Operation]) -> bool:
        """May the values that it wrote stay? Yes, if they replaced none and the user allows that,
        or if an earlier step of the migration created their column or table."""
        permitted = operation.loses_nothing and self.keep_values
        return permitted or _is_on_new_object(operation, earlier)

    def _is_swapped(self, statements: Iterable[Statement]) -> bool:
        """Has a table been swapped with its copy already?"""
        swaps = [item.probe for item in statements if item.probe and item.phase == SWAP]
        return any(one_value(self.connection, probe) == "done" for probe in swaps)

    def _wrote(self, row: StepRow) -> bool:
        """Did the step write rows? SQL and Python that run outside a transaction may have."""
        if not counts_rows(row.operation_kind):
            return True
        checkpoint = self.ledger.checkpoint(progress(row.id, 1))
        return bool(checkpoint and checkpoint.processed_rows)

    def _refuse_earlier_objects(
        self, file: LoadedMigration, name: str, operation: Operation
    ) -> None:
        """Refuses a step that may have failed because an object of that name existed before."""
        for item in taken_before(self.ledger, file.id, operation):
            raise CannotUndo(
                name,
                f"an object named {item} existed before it began",
                "Rename that, then run zanith_apply to finish the step, or fix it by hand.",
            )

    def _adopted(self, file: LoadedMigration, name: str) -> CannotUndo:
        label = file.app_label
        return CannotUndo(
            name,
            "Django's own migrate did its work, and zanith only recorded that",
            f"Undo it with Django: manage.py migrate {label} <the one before>.",
        )

    def _artifact(self, operation: Operation, context: Context) -> ArtifactRow | None:
        made = operation.artifact(context)
        if made is None:
            return None
        # A soft drop archives its column while a replication slot sends the table.
        types = dict.fromkeys((made.type, *_OTHER_TYPE.get(made.type, ())))
        ids = (made.id, *(context.artifact_id(each, operation.target) for each in types))
        return next((self.artifacts[each] for each in ids if each in self.artifacts), None)

    def _was_restored(self, artifact: ArtifactRow, inverse: Restore) -> bool:
        """Did zanith_recover restore it? Raises `CannotUndo` if it was purged."""
        if artifact.expires_at is None:
            return False
        there = inverse.is_back(self.graph)
        if not there and (not self.moved or was_purged(self.ledger, artifact)):
            raise CannotUndo(
                artifact.id, "what it kept was purged", "Only a backup can bring it back."
            )
        return True

    def _completing(self, name: str, inverse: Restore) -> Operation | None:
        """Adds the parts that zanith_recover left out of the restore, because of rows or of
        running code; None if there are none."""
        adopted, lacking = self._adopting(inverse), completion(inverse, self.graph)
        if lacking is None:
            self.graph = adopted.apply_to(self.graph) if adopted else self.graph
            return adopted
        obstacles = rows_against(self.connection, lacking.demanded, self.graph, self.names)
        if obstacles:
            why = "it is incomplete, and rows block the missing parts; nothing was changed"
            raise CannotUndo(
                name,
                "\n  ".join((why, *map(str, obstacles))),
                "Fix these rows and run the same command again: it adds what is missing.",
            )
        whole = lacking.after(adopted)
        self.graph = whole.apply_to(self.graph)
        return whole

    def _refuse_dependents(self, name: str, inverse: Operation | None, context: Context) -> None:
        """Refuses objects that depend by now on what the rollback changes or removes, unless a step
        that is undone first may remove them."""
        self.texts += inverse.authored if inverse else ()
        here = dataclasses.replace(context, graph=self.graph)
        for found in collisions(inverse, here) if inverse else ():
            if found.blocked and not any(map(found.may_go_by, self.texts)):
                remedy = f"{found.remedy[:1].upper()}{found.remedy[1:]}."
                raise CannotUndo(name, found.what, remedy)

    def _refuse_blocked(
        self,
        name: str,
        artifact: ArtifactRow,
        place: Place,
        inverse: Restore,
        *,
        begun: bool,
    ) -> None:
        why = blocked(
            self.connection, artifact, place, inverse, self.graph, begun=begun, names=self.names
        )
        if why:
            raise CannotUndo(
                name,
                why,
                f"zanith_recover inspect {artifact.target} shows what is kept, "
                f"zanith_recover export {artifact.target} saves it.",
            )


_OTHER_TYPE = {
    SOFT_DROP_COLUMN: (ARCHIVE_COLUMN,),
}


def _folded(start: SchemaGraph, operations: Iterable[Operation]) -> tuple[SchemaGraph, ...]:
    """The schema before each of the operations, and after the last."""
    return tuple(accumulate(operations, lambda graph, each: each.apply_to(graph), initial=start))


def _is_on_new_object(operation: Operation, earlier: Sequence[Operation]) -> bool:
    """Is its column or table one that an earlier operation creates?"""
    made = {table.name for item in earlier if (table := item.creates_table)}
    added = {str(piece) for item in earlier for piece in item.pieces if piece.part is COLUMNS}
    in_new_tables = bool(operation.tables) and made.issuperset(operation.tables)
    return operation.target in added or in_new_tables

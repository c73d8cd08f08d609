"""Prepares the steps of a zanith migration to run: their SQL, and the known state after them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import InTheWay
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.steps import StepRow, turning
from zanith_django.operations.base import Context, Operation, Statement, script
from zanith_django.operations.moves import TableMove
from zanith_django.plan.collisions import collisions
from zanith_django.plan.live_facts import empty_tables, with_known_dependents
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.plan.table_facts import after
from zanith_django.postgres.names import TableName
from zanith_django.run.audit import count_kept, keep
from zanith_django.run.executor import Executor
from zanith_django.run.taken_names import taken_before
from zanith_django.run.work import Attempt, Finish
from zanith_django.schema.values import replaced
from zanith_django.timeline.project import live_graph

# The largest group of steps that are sent together, and the seconds that it may take.
TOGETHER = 16
BLINK = 0.05


@dataclass(frozen=True, slots=True)
class RemainingSteps:
    """The remaining steps of a migration, and the rows of all. The steps with the numbers `edited`
    have another operation than their earlier attempt, whose objects are removed first."""

    migration: PlannedMigration
    steps: Sequence[PlannedStep]
    rows: Mapping[int, StepRow]
    edited: frozenset[int] = frozenset()

    def row_of(self, place: int) -> StepRow:
        return self.rows[self.steps[place].number]

    def row_after(self, place: int) -> str | None:
        """The row of the step after this place; None for the last."""
        return self.row_of(place + 1).id if place + 1 < len(self.steps) else None


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """One step about to run, and the facts after it. A `quick` one is a single text that reads no
    rows of a table in use."""

    attempt: Attempt
    after: Context
    quick: bool


@dataclass(slots=True)
class Pace:
    """The number of quick steps that are sent together. It doubles, up to `most`, as long as a
    group takes less time than a person notices, because none is reported before all are done."""

    most: int
    size: int = 1

    def took(self, seconds: float) -> None:
        if seconds > BLINK:
            self.size = max(self.size // 2, 1)
        elif seconds < BLINK / 2:
            self.size = min(self.size * 2, self.most)


def _follows_author(todo: RemainingSteps, place: int) -> bool:
    """Does a step that has SQL of ours follow code of an author? That may have changed anything."""
    before = todo.steps[place - 1].operation if place else None
    return bool(before and before.authored and not todo.steps[place].operation.authored)


class Readier:
    """Prepares steps, and remembers the tables that had rows."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        executor: Executor,
        occupied: Iterable[TableName] = (),
    ) -> None:
        self.connection, self.ledger, self.executor = connection, ledger, executor
        self.occupied = set(occupied)

    def now(self, todo: RemainingSteps, place: int, context: Context) -> ReadyStep:
        """The next step. Queries which of its tables are empty, and what code of an author in the
        step before it has changed."""
        if _follows_author(todo, place):
            context = replaced(context, graph=live_graph(self.connection))
        return self._ready(todo, place, self._looked(todo, place, context))

    def ahead(
        self, todo: RemainingSteps, place: int, context: Context, most: int
    ) -> list[ReadyStep]:
        """The step at this place if it needs no query; if it is quick, with the quick ones after
        it."""
        found: list[ReadyStep] = []
        while len(found) < most and (not found or found[-1].quick):
            ready = self._unasked(todo, place + len(found), context)
            if ready is None or (found and not ready.quick):
                break
            found.append(ready)
            context = ready.after
        return found

    def _unasked(self, todo: RemainingSteps, place: int, context: Context) -> ReadyStep | None:
        """The prepared step; None if that needs a query. A step that cannot be prepared fails at
        its turn."""
        if place == len(todo.steps) or context.empty or _follows_author(todo, place):
            return None
        step = todo.steps[place]
        if step.collisions or self._unsure(step.operation, context):
            return None
        try:
            return self._ready(todo, place, context)
        except Exception:
            return None

    def _ready(self, todo: RemainingSteps, place: int, context: Context) -> ReadyStep:
        """The SQL of a step, and the known state after it."""
        step, row, then = todo.steps[place], todo.row_of(place), todo.row_after(place)
        operation = step.operation.in_names_of(context.graph)
        if operation and any(collision.recheck for collision in step.collisions):
            self._refuse_collisions(operation, context)
        statements = operation.statements(context) if operation else ()
        edited = step.number in todo.edited
        if edited and operation:
            statements = (*(operation.retreat(context) or ()), *statements)
        resumed = row.attempt > 1 and not edited
        run = Attempt(
            row.id,
            row.migration_id,
            context.schema,
            resumed=resumed,
            keeps=resumed and bool(taken_before(self.ledger, row.migration_id, step.operation)),
        )
        finish = self._finish(operation, statements, row, context, then)
        attempt = self.executor.ready(run, statements, finish)
        if operation:
            self._follow(operation.moves)
        return ReadyStep(
            attempt,
            quick=bool(attempt.text) and not any(_takes_time(s, context) for s in statements),
            after=after(context, operation, step.texts, step.effects) if operation else context,
        )

    def _finish(
        self,
        operation: Operation | None,
        statements: Sequence[Statement],
        row: StepRow,
        context: Context,
        then: str | None,
    ) -> Finish:
        """The end of a step: its `done`, the `running` of the next one, and the artifact of a
        drop."""
        artifact = operation.artifact(context) if operation else None
        ran = script(statements)
        text = turning(row.id, ran if ran != row.sql else None, then)
        if artifact is None:
            return Finish(text, durable=then is None)
        kept = artifact
        return Finish(
            text,
            call=lambda: keep(self.ledger, row.migration_id, kept, context.schema),
            after=lambda: count_kept(self.ledger, kept),
        )

    def _refuse_collisions(self, operation: Operation, context: Context) -> None:
        """Refuses collisions that an earlier step of the plan might have removed."""
        graph = with_known_dependents(self.connection, context.graph, [operation])
        found = collisions(operation, replaced(context, graph=graph))
        if blocked := [collision for collision in found if collision.blocked]:
            raise InTheWay(map(str, blocked))

    # --- which tables are empty ----------------------------------------------------------------

    def _looked(self, todo: RemainingSteps, place: int, context: Context) -> Context:
        """The context with the tables that are empty right now. A table that had rows is not
        queried again: to treat it as one in use is always safe."""
        operation = todo.steps[place].operation
        if todo.row_of(place).attempt > 1:
            # A step that began on rows resumes in the same way, even if the rows are gone.
            self.occupied.update(operation.tables)
        unsure = self._unsure(operation, context)
        if not unsure and not context.empty:
            return context
        empty = empty_tables(self.connection, context.schema, unsure)
        self.occupied.update(name for name in unsure if name not in empty)
        return dataclasses.replace(context, empty=empty)

    def _follow(self, moves: Sequence[TableMove]) -> None:
        """Moves the known facts of renamed tables to their new names."""
        moved = {move.new for move in moves if move.new and move.old in self.occupied}
        self.occupied.difference_update(*((move.old, move.new) for move in moves))
        self.occupied |= moved

    def _unsure(self, operation: Operation, context: Context) -> list[TableName]:
        created = {move.new for move in operation.moves if move.old is None}
        known = (self.occupied, created, context.fresh)
        return [name for name in operation.tables if not any(name in these for these in known)]


def _takes_time(statement: Statement, context: Context) -> bool:
    """Does it scan or rewrite a table that may have many rows?"""
    new = statement.tables and all(map(context.quiet, statement.tables))
    return (statement.scans or statement.rewrites) and not new

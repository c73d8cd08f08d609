"""A rollback as a plan: each step scored by what its reverse does to the database as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations import Operation, Statement
from zanith_django.operations.base import Context
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.plan.risk import Assessment, assess
from zanith_django.rollback.losses import holds_nothing
from zanith_django.rollback.selection import UndoMigration, UndoStep
from zanith_django.timeline.timeline import Entry

Form = Callable[[UndoStep, Context], tuple[Context, Operation | None]]
"""What undoes a step, and what it may know."""


def judged(
    connection: BaseDatabaseWrapper, undone: Iterable[UndoMigration], form: Form, context: Context
) -> Plan:
    """The plan of a rollback, newest migration first, each from its last step to its first."""
    judge = _Judge(connection, form, context)
    migrations = tuple(judge.migration(migration) for migration in undone)
    planned = Plan(connection.alias, migrations, context.graph)
    return looked_at(connection, planned, context, Look(), judge.begun)


class _Judge:
    def __init__(self, connection: BaseDatabaseWrapper, form: Form, context: Context) -> None:
        self.connection, self.form, self.context = connection, form, context
        self.begun: set[tuple[str, int]] = set()

    def migration(self, migration: UndoMigration) -> PlannedMigration:
        self.context = dataclasses.replace(self.context, migration_id=migration.id)
        steps = tuple(map(self._step, migration.steps))
        return PlannedMigration(Entry(migration.id, migration.covers, migration.file), steps)

    def _step(self, step: UndoStep) -> PlannedStep:
        row, (seen, inverse) = step.row, self.form(step, self.context)
        if step.stopped or step.begun:
            self.begun.add((row.migration_id, row.step))
        if inverse is None:
            safe = Assessment(Level.SAFE)
            return PlannedStep(row.step, step.operation, safe, step.retreat, status="done")
        statements = inverse.statements(seen)
        verdict = self._verdict(inverse, seen, statements)
        graph = inverse.apply_to(self.context.graph)
        self.context = dataclasses.replace(self.context, graph=graph)
        return PlannedStep(row.step, inverse, verdict, statements)

    def _verdict(
        self, inverse: Operation, seen: Context, statements: tuple[Statement, ...]
    ) -> Assessment:
        """What keeps its values, or has none, takes nothing away for good."""
        found = assess(inverse, seen, statements)
        if found.level < Level.DESTRUCTIVE or self._loses(inverse):
            return found
        rest = [code for code in found.reasons if REASONS[code].level < Level.DESTRUCTIVE]
        kept = "sets_aside" if inverse.recoverable else "breaks_running_code"
        return Assessment(Level.HIGH, tuple(dict.fromkeys((kept, *rest))))

    def _loses(self, inverse: Operation) -> bool:
        if inverse.loses:
            return not holds_nothing(self.connection, inverse.loses, self.context.schema)
        return bool(inverse.authored)

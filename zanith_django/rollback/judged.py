"""A rollback as a plan: each step is scored by the effects of its reverse on the current
database."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.operations import Operation, Statement
from zanith_django.operations.base import Context
from zanith_django.plan.authored import History
from zanith_django.plan.django_operations import django_operation
from zanith_django.plan.durations import duration
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.plan.risk import Assessment, Transaction, assess, judged as judged_by_effects
from zanith_django.plan.shown import read, scene, shown
from zanith_django.plan.table_facts import after
from zanith_django.rollback.losses import holds_nothing
from zanith_django.rollback.selection import UndoMigration, UndoStep
from zanith_django.timeline.timeline import Entry, Timeline

Form = Callable[[UndoStep, Context], tuple[Context, Operation | None]]
"""The operation that undoes a step, and its context."""


def judged(
    connection: BaseDatabaseWrapper,
    timeline: Timeline,
    undone: Iterable[UndoMigration],
    form: Form,
    context: Context,
    injected: Mapping[str, Sequence[MigrationOperation]] | None = None,
) -> Plan:
    """The plan of a rollback: the newest migration first, its steps from the last to the first.
    The reverse of `injected` operations runs after the steps."""
    judge = _Judge(connection, timeline, form, context, injected or {})
    migrations = tuple(judge.migration(migration) for migration in undone)
    planned = Plan(connection.alias, migrations, context.graph)
    return looked_at(connection, planned, context, Look(), judge.begun)


class _Judge:
    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        timeline: Timeline,
        form: Form,
        context: Context,
        injected: Mapping[str, Sequence[MigrationOperation]],
    ) -> None:
        self.injected = injected
        self.connection, self.timeline = connection, timeline
        self.form, self.context = form, context
        self.begun: set[tuple[str, int]] = set()

    def migration(self, migration: UndoMigration) -> PlannedMigration:
        self.context = dataclasses.replace(self.context, migration_id=migration.id)
        history = History(self.timeline, self.connection.alias, self.context)
        steps = tuple(self._step(step, history) for step in migration.steps)
        entry = Entry(migration.id, migration.covers, migration.file)
        return PlannedMigration(entry, steps, tuple(self._injected(migration, history)))

    def _injected(self, migration: UndoMigration, history: History) -> Iterator[PlannedStep]:
        """The reverse of operations that receivers of pre_migrate added."""
        for operation in reversed(self.injected.get(migration.id, ())):
            entry, context = self.timeline.find(migration.id), self.context
            effects, graph = history.read_injected(entry, operation, scene(context), backwards=True)
            key = entry.covers[-1]
            value = django_operation(operation, key, 0, history.after(entry))
            verdict = judged_by_effects(value, effects, context, Transaction(atomic=False))
            self.context = dataclasses.replace(after(context, value, (), effects), graph=graph)
            statements = shown(value, effects, context)
            yield PlannedStep(0, value, verdict, statements, effects=effects, injected=True)

    def _step(self, step: UndoStep, history: History) -> PlannedStep:
        row, (seen, inverse) = step.row, self.form(step, self.context)
        if step.stopped or step.begun:
            self.begun.add((row.migration_id, row.step))
        if inverse is None:
            safe = Assessment(Level.SAFE)
            return PlannedStep(row.step, step.operation, safe, step.retreat, status="done")
        if inverse.authored:
            return self._authored(row.step, inverse, history)
        statements = inverse.statements(seen)
        verdict = self._verdict(inverse, seen, statements)
        effects = read(statements, scene(self.context))
        self.context = after(self.context, inverse)
        return PlannedStep(
            row.step,
            inverse,
            verdict,
            statements,
            effects=effects,
            duration=duration(statements, seen),
        )

    def _authored(self, number: int, inverse: Operation, history: History) -> PlannedStep:
        """Reverse SQL and reverse Python, judged by their effects as in a plan."""
        context = self.context
        entry = self.timeline.find(context.migration_id)
        effects, graph = history.read(entry, inverse, scene(context))
        verdict = judged_by_effects(inverse, effects, context, Transaction(inverse.atomic))
        self.context = dataclasses.replace(
            after(context, inverse, inverse.authored, effects), graph=graph
        )
        statements = shown(inverse, effects, context)
        return PlannedStep(
            number,
            inverse,
            _without_empty(verdict, effects, context),
            statements,
            texts=inverse.authored,
            effects=effects,
            graph=graph,
            duration=duration(statements, context),
        )

    def _verdict(
        self, inverse: Operation, seen: Context, statements: tuple[Statement, ...]
    ) -> Assessment:
        """The verdict on a reverse: one that keeps values, or removes an object without values, is
        not permanent."""
        found = assess(inverse, seen, statements)
        if found.level < Level.DESTRUCTIVE or self._loses(inverse):
            return found
        kept = "sets_aside" if inverse.recoverable else "breaks_running_code"
        return _kept(found, kept)

    def _loses(self, inverse: Operation) -> bool:
        loss = inverse.loses
        return loss is not None and not holds_nothing(self.connection, loss, self.context.schema)


def _without_empty(found: Assessment, effects: Iterable[Effect], context: Context) -> Assessment:
    """The assessment without the loss of rows, if the dropped tables have none."""
    every = [finding for effect in effects for finding in effect.findings]
    losses = [each for each in every if REASONS[each.code].level >= Level.DESTRUCTIVE]
    if losses and all(each.table and context.quiet(each.table) for each in losses):
        return _kept(found, "breaks_running_code")
    return found


def _kept(found: Assessment, code: str) -> Assessment:
    rest = [code for code in found.reasons if REASONS[code].level < Level.DESTRUCTIVE]
    return Assessment(Level.HIGH, tuple(dict.fromkeys((code, *rest))))

"""Preflight: a bounded, read-only look at the rows and objects that the steps of a plan meet.

Each step is judged by the schema as it is when its turn comes; what it asks of a table is asked of
the table and columns that have the same identity now. What an earlier step of the plan makes or
writes cannot be known yet.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.operations.base import Context, Operation, must_have
from zanith_django.operations.dependents import rename_column
from zanith_django.operations.moves import TableMove
from zanith_django.plan.demands import Change, Demands, demands, renames
from zanith_django.plan.durations import Rates, duration
from zanith_django.plan.existing_objects import Existing
from zanith_django.plan.findings import Finding
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.probes import Probe, Source, asked, too_long
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.plan.retyped import retyped
from zanith_django.plan.risk import Assessment
from zanith_django.plan.room import Disk, Keys
from zanith_django.plan.surroundings import Surroundings
from zanith_django.plan.table_facts import after, may_write
from zanith_django.plan.timed_read import with_timed_read
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import is_open, milliseconds
from zanith_django.schema.values import replaced


@dataclass(frozen=True, slots=True)
class Look:
    """The time limits of preflight, in seconds: for one question, in all, and for a lock of another
    session. `show_values` prints the values of violating rows, not only their keys."""

    each: float = 5
    total: float = 30
    lock: float = 0.2
    show_values: bool = False


def looked_at(
    connection: BaseDatabaseWrapper,
    planned: Plan,
    context: Context,
    look: Look,
    begun: Collection[tuple[str, int]] = (),
) -> Plan:
    """The plan with what preflight found. `context` is what is known before its first step.

    `begun` are steps that stopped in the middle: what an attempt left belongs to them, and they
    fail by themselves if they fail again.
    """
    with _read_only(connection, look):
        names = {name for _, step in planned.steps for name in step.operation.tables}
        rates = with_timed_read(connection, planned.rates, names, context)
        walk = _Walk(connection, context, look, begun, rates, names)
        migrations = tuple(map(walk.migration, planned.migrations))
    return dataclasses.replace(planned, migrations=migrations, rates=rates)


@contextmanager
def _read_only(connection: BaseDatabaseWrapper, look: Look) -> Iterator[None]:
    """A read-only transaction with a short lock timeout."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [milliseconds(look.lock)])
        yield
        transaction.set_rollback(True, using=connection.alias)


@dataclass(slots=True)
class _Identity:
    """What a table of a later schema is now: `live`, None for one that does not exist yet.
    `renamed` maps columns to their present names, `later` are made or written by earlier steps;
    `given` are the values of those that have the same in all rows."""

    live: TableName | None
    renamed: dict[str, str] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    given: dict[str, str] = field(default_factory=dict)


class _Walk:
    """Goes through the steps, and keeps the identities of tables and columns."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        context: Context,
        look: Look,
        begun: Collection[tuple[str, int]],
        rates: Rates,
        names: set[TableName],
    ) -> None:
        self.connection, self.context, self.look, self.begun = connection, context, look, begun
        self.rates = rates
        self.existing = Existing.of(connection, context.schema)
        self.disk = Disk()
        self.keys = Keys.of(connection, context, names)
        self.surroundings = Surroundings.of(connection, context.schema)
        self.identities = {name: _Identity(name) for name in context.graph.table_names}
        self.texts: list[str | None] = []
        self.deadline = time.monotonic() + look.total

    def migration(self, migration: PlannedMigration) -> PlannedMigration:
        self.context = replaced(self.context, migration_id=migration.id)
        steps = tuple(self._step(migration.id, step) for step in migration.steps)
        injected = tuple(self._step(migration.id, step) for step in migration.injected)
        return dataclasses.replace(migration, steps=steps, injected=injected)

    def _step(self, migration_id: str, step: PlannedStep) -> PlannedStep:
        operation = step.operation.in_names_of(self.context.graph) if step.waits else None
        if operation is None:
            return step
        change = self._change_by(step, operation)
        found = [*self._objects(step, operation, change)]
        self._rename_by(step)
        found += self._rows(operation, change)
        if (migration_id, step.number) in self.begun:
            found = [_uncertain(finding, _AGAIN) for finding in found]
        found += self._around(step, change)
        took = duration(step.statements, self.context, self.rates)
        self._advance(operation, step, change)
        return dataclasses.replace(_judged(step, found), duration=took)

    def _around(self, step: PlannedStep, change: Change) -> Iterator[Finding]:
        """What concerns the server, beside the rows and objects of the step."""
        yield from self.surroundings.findings(step, self.context)
        yield from self.disk.findings(step, self.context)
        yield from self.keys.findings(self.context.graph, change.after, step)

    def _objects(
        self, step: PlannedStep, operation: Operation, change: Change
    ) -> Iterator[Finding]:
        """Findings about existing objects, without those that block the plan already."""
        known = {found.what for found in step.collisions if found.blocked and not step.approved}
        for finding in self.existing.findings(operation, self.context, change.after):
            if finding.what in known:
                continue
            free = finding.code == "exists_already" and bool(self.texts)
            yield _uncertain(finding, _LATER) if free else finding

    def _change_by(self, step: PlannedStep, operation: Operation) -> Change:
        """Of code of an author, what was read from it."""
        given = _given(step)
        if step.graph is None:
            graph = operation.apply_to(self.context.graph)
            return Change(graph, operation.tables, operation.moves, given=given)
        locked = (name for effect in step.effects for name in effect.locks)
        moves = tuple(move for effect in step.effects for move in effect.moves)
        tables = tuple(dict.fromkeys((*operation.tables, *locked)))
        return Change(
            step.graph,
            tables,
            moves or operation.moves,
            frozenset(_found(step, ("will_fail_on_data",))),
            frozenset(_found(step, _WRITES)),
            given,
        )

    def _rows(self, operation: Operation, change: Change) -> Iterator[Finding]:
        for demand in demands(operation, self.context, change):
            changed = may_write(demand.table, self.context.labels, self.texts)
            changed = changed or demand.table in change.written
            for finding in chain(self._types(demand, change), self._of(demand, change)):
                yield _uncertain(finding, _LATER) if changed else finding

    def _types(self, demand: Demands, change: Change) -> Iterator[Finding]:
        """Asks about a change of types; empty tables are asked about too, because PostgreSQL looks
        for the cast before it looks at rows. What changes a table in use looks at rows alone."""
        old, new = self.context.graph.table(demand.table), change.after.table(demand.table)
        if old is None or new is None:
            return
        for conversion in demand.conversions:
            for probe in retyped(self.connection, old, new, conversion):
                yield from self._answer(probe)

    def _of(self, demand: Demands, change: Change) -> Iterator[Finding]:
        name, identity = demand.table, self.identities.get(demand.table)
        if identity is None or identity.live is None or self.context.quiet(name):
            return
        given = {**identity.given, **change.given.get(name, {})}
        later = (demand.columns & identity.later) - set(given)
        if later:
            columns = ", ".join(f"{name}.{column}" for column in sorted(later))
            yield Finding(f"cannot be known yet: an earlier step makes or writes {columns}")
        source = self._source(name, identity, given, change)
        for probe in asked(demand.without(later), source):
            yield from self._answer(probe)

    def _source(
        self, name: TableName, identity: _Identity, given: Mapping[str, str], change: Change
    ) -> Source:
        facts = self.context.facts.get(name)
        return Source(
            connection=self.connection,
            table=must_have(self.context.graph, name),
            live=identity.live or name,
            schema=self.context.schema,
            renamed=identity.renamed,
            later=frozenset(identity.later),
            given=given,
            places=lambda other: self._place(other, change),
            bytes=facts.bytes if facts else 0,
            masked=not self.look.show_values,
        )

    def _place(self, name: TableName, change: Change) -> TableName | None:
        """Where a table is now that has this name after the step."""
        moved = {move.new: move.old for move in change.moves if move.new}
        before = moved.get(name, name)
        return self.identities.get(before, _Identity(None)).live if before else None

    def _answer(self, probe: Probe) -> Iterator[Finding]:
        """Asks about all rows, or about a sample if that takes too long."""
        for way in (probe.whole, probe.sample):
            seconds = min(self.look.each, self.deadline - time.monotonic())
            if way is None or seconds <= 0:
                break
            try:
                with transaction.atomic(using=self.connection.alias):
                    self._bound(seconds)
                    yield from [*way()]
                    return
            except DatabaseError as error:
                if not is_open(self.connection):
                    raise
                if not too_long(error):
                    yield probe.failed(error)
                    return
        yield Finding(f"{probe.what}: not looked at, it takes too long")

    def _bound(self, seconds: float) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)", [milliseconds(seconds)]
            )

    # --- what becomes of tables ----------------------------------------------------------------

    def _advance(self, operation: Operation, step: PlannedStep, change: Change) -> None:
        self.texts += _read(step)
        before = self.context
        effects = step.effects if step.graph is not None else ()
        self.context = replaced(after(before, operation, step.texts, effects), graph=change.after)
        for table, names in renames(operation, before).items():
            self._rename(table, names)
        for move in change.moves:
            self._move(move)
        kept, made = operation.brings_back(before), operation.creates_table
        if kept and made:
            self.identities[made.name] = _Identity(kept)
        for name in change.tables:
            self._change(name, operation, before, change)

    def _rename_by(self, step: PlannedStep) -> None:
        """Columns that SQL renames have their new names when its constraints are asked for."""
        effects = step.effects if step.graph is not None else ()
        for name, old, new in (each for effect in effects for each in effect.renames):
            table = self.context.graph.table(name)
            if table and table.column(old) and not table.column(new):
                graph = rename_column(self.context.graph, name, old, new)
                self.context = replaced(self.context, graph=graph)
                self._rename(name, {old: new})

    def _rename(self, table: TableName, names: Mapping[str, str]) -> None:
        identity = self.identities.get(table)
        for old, new in names.items() if identity else ():
            assert identity is not None
            identity.renamed[new] = identity.renamed.pop(old, old)
            if old in identity.later:
                identity.later = identity.later - {old} | {new}
            if old in identity.given:
                identity.given[new] = identity.given.pop(old)

    def _move(self, move: TableMove) -> None:
        moved = self.identities.pop(move.old, _Identity(None)) if move.old else _Identity(None)
        if move.new:
            self.identities[move.new] = moved

    def _change(
        self, name: TableName, operation: Operation, before: Context, change: Change
    ) -> None:
        """New columns, and columns with new values, cannot be looked at."""
        old, new = before.graph.table(name), self.context.graph.table(name)
        identity = self.identities.get(name)
        if old is None or new is None or identity is None:
            return
        known = {*old.column_names, *renames(operation, before).get(name, {}).values()}
        types = {column.name: column.type for column in old.columns}
        changed = {c.name for c in new.columns if types.get(c.name, c.type) != c.type}
        written = operation.writes if operation.tables[:1] == (name,) else ()
        identity.later |= {c for c in new.column_names if c not in known} | changed | {*written}
        identity.given |= change.given.get(name, {})
        for gone in {*identity.given} - {*new.column_names} | changed | {*written}:
            identity.given.pop(gone, None)


def _read(step: PlannedStep) -> tuple[str | None, ...]:
    """The texts of the step's author: SQL as text, None for Python, which may write anything."""
    unknown = None in step.operation.authored
    return (None,) * len(step.texts) if unknown else step.texts


_WRITES = ("requires_backfill", "updates_all_rows", "loops_over_rows", "deletes_rows",
           "deletes_all_rows")  # fmt: skip


def _found(step: PlannedStep, codes: Collection[str]) -> Iterator[TableName]:
    """The tables of its author's statements that have one of these reasons."""
    for effect in step.effects:
        yield from (f.table for f in effect.findings if f.code in codes and f.table)


def _given(step: PlannedStep) -> dict[TableName, dict[str, str]]:
    """The constants that its statements give to existing rows in new columns."""
    found: dict[TableName, dict[str, str]] = {}
    for effect in step.effects:
        for table, values in effect.given.items():
            found.setdefault(table, {}).update(values)
    return found


_LATER = "an earlier step may fix it"
_AGAIN = "an earlier run began this step"


def _uncertain(finding: Finding, why: str) -> Finding:
    return dataclasses.replace(finding, certain=False, code="", remedy=why)


def _judged(step: PlannedStep, found: Sequence[Finding]) -> PlannedStep:
    """The step with its findings; a certain failure blocks it."""
    if not found:
        return step
    codes = (*step.assessment.reasons, *(finding.code for finding in found if finding.code))
    level = max(step.level, *(REASONS[f.code].level for f in found if f.code), Level.SAFE)
    assessment = Assessment(level, tuple(dict.fromkeys(codes)))
    return dataclasses.replace(step, findings=tuple(found), assessment=assessment)

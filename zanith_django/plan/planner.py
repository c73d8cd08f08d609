"""The planner: the pending part of the timeline, operation by operation, each on the graph before
it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FINISHED
from zanith_django.ledger.steps import StepRow
from zanith_django.operations import (
    Operation,
)
from zanith_django.operations.base import Context
from zanith_django.plan.authored import History, Read
from zanith_django.plan.by_hand import added_by_hand
from zanith_django.plan.collisions import Collision, collisions, taken
from zanith_django.plan.django_operations import applying_itself, django_operation
from zanith_django.plan.durations import Rates, duration
from zanith_django.plan.effects.running_code import Break, Released, breaks, without_dropped
from zanith_django.plan.integrity import flaws
from zanith_django.plan.misses import missed, without_misses
from zanith_django.plan.plan import ELSEWHERE, SKIPPED, Plan, PlannedMigration, PlannedStep
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import Assessment, Transaction, assess, judged
from zanith_django.plan.search_path import SearchPath
from zanith_django.plan.shown import holding, read, scene, shown
from zanith_django.plan.table_facts import after
from zanith_django.plan.untouched import untouched
from zanith_django.plan.ways_back import WayBack, way_back
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.values import replaced
from zanith_django.timeline.django_kinds import has_own_apply, has_own_transaction, texts
from zanith_django.timeline.routing import is_for
from zanith_django.timeline.timeline import ADOPTED, Entry, Key, Timeline, key_of

Injected = Mapping[str, Sequence[MigrationOperation]]
"""{id: operations that receivers of pre_migrate added to an entry}."""

_LATER = "an earlier step may remove it: this is checked again before the step runs"


def plan(
    timeline: Timeline,
    *,
    database: str,
    context: Context,
    ledger: Ledger | None = None,
    only: Collection[str] | None = None,
    absent: Collection[Key] | None = None,
    injected: Injected | None = None,
) -> Plan:
    """Score the pending entries of the timeline.

    `context` has what is known of the database. `only` scores just the entries with these ids,
    as when there is no database to say what is pending; entries before them are folded in.
    `absent` are the Django migrations that the previous release does not have; by default it has
    what is applied, or what comes before the entries of `only`. `injected` are operations that
    receivers of pre_migrate added to covered migrations, by the ids of their files.
    """
    if ledger:
        ours = untouched(ledger, timeline, context.graph, context.empty)
        context = replaced(context, fresh=context.fresh | ours)
    planner = _Planner(timeline, database, context, ledger, only, absent, injected or {})
    planned = []
    for entry in timeline.entries if only is not None else timeline.pending:
        if only is None or entry.id in only:
            planned.append(planner.take(entry))
        else:
            planner.fold(entry)
    return Plan(
        database,
        tuple(planned),
        context.graph,
        tuple(flaws(ledger, timeline)),
        unseen=tuple(_unseen(planned, context)),
        rates=planner.rates,
    )


def _unseen(planned: Sequence[PlannedMigration], context: Context) -> list[str]:
    steps = (step for migration in planned for step in migration.steps if step.waits)
    names = {name for step in steps for name in step.operation.tables}
    return sorted(map(str, names & context.unseen))


class _Planner:
    """Walks the entries, and keeps the schema after each of them."""

    def __init__(
        self,
        timeline: Timeline,
        database: str,
        context: Context,
        ledger: Ledger | None,
        only: Collection[str] | None,
        absent: Collection[Key] | None,
        injected: Injected,
    ) -> None:
        self.injected = injected
        self.timeline, self.database = timeline, database
        self.only, self.absent = only, absent
        self.context, self.ledger = context, ledger
        known = ledger if ledger and ledger.exists() else None
        self.latest = known.newest(entry.id for entry in timeline.pending) if known else {}
        self.path = SearchPath(context.elsewhere)
        # SQL and Python of authors in earlier steps.
        self.authored: list[str | None] = []
        self.by_django: set[TableName | None] = set()  # tables of steps that Django runs
        self.history = History(timeline, database, context)
        self._released: Released | None = None
        self.rates = Rates.of(ledger.paces() if ledger else ())

    def take(self, entry: Entry) -> PlannedMigration:
        """The entry as planned."""
        self.context = dataclasses.replace(self.context, migration_id=entry.id)
        if self.only is not None:
            self._begin_offline(entry)
        latest = self._latest(entry)
        done = {number: DONE for number, row in latest.items() if row.status in FINISHED}
        begun = frozenset(number for number, row in latest.items() if row.stopped)
        run = _Run(entry, done, self._by_hand(entry), begun)
        if entry.migration is None:
            steps = tuple(self._django(run))
            atomic = self.timeline.django(entry.covers[0]).atomic
            return PlannedMigration(entry, holding(steps) if atomic else steps)
        operations = enumerate(entry.migration.operations, 1)
        every = (self._step(run, number, written) for number, written in operations)
        steps = tuple(map(self._held, every))
        return PlannedMigration(entry, steps, tuple(self._injected(run, len(steps))))

    def _held(self, step: PlannedStep) -> PlannedStep:
        """Each step of ours has its own transaction."""
        authored = step.operation.authored and step.operation.atomic
        return holding([step])[0] if authored else step

    def fold(self, entry: Entry) -> None:
        """Move past an entry that is not planned; the effect of its author's code is left out."""
        for written in entry.migration.operations if entry.migration else ():
            operation = self.path.resolved(written, self.context.graph)
            live = operation.in_names_of(self.context.graph)
            self.context = after(self.context, live or operation, runs=False)

    def _begin_offline(self, entry: Entry) -> None:
        """Without a database, the models define the tables."""
        graph = self.history.completed(entry, scene(self.context))
        self.context = replaced(self.context, graph=graph)

    @property
    def released(self) -> Released:
        if self._released is None:
            self._released = self._previous()
        return self._released

    def _previous(self) -> Released:
        if self.absent is not None:
            return self.history.at(self.absent)
        if self.only is not None:
            return self.history.without(self.only)
        return self.history.applied()

    # --- steps -----------------------------------------------------------------------------------

    def _step(self, run: _Run, number: int, written: Operation) -> PlannedStep:
        entry = run.entry
        operation = self.path.resolved(written, self.context.graph)
        if not is_for(self.database, operation, entry.app_label):
            safe = Assessment(Level.SAFE)
            return PlannedStep(number, operation, safe, (), status=ELSEWHERE)
        if not operation.authored:
            return self._ours(run, number, operation)
        found = self.history.read(entry, operation, scene(self.context))
        transaction = Transaction(operation.atomic)
        return self._authored(run, number, operation, found, transaction)

    def _django(self, run: _Run) -> Iterator[PlannedStep]:
        """The operations of a migration that Django runs; the history moves past them."""
        key = run.entry.covers[0]
        migration = self.timeline.django(key)
        transaction = Transaction(migration.atomic)
        tables = self.history.before(run.entry)
        if has_own_apply(migration):
            found = self.history.read_apply(migration, scene(self.context))
            yield self._authored(run, 1, applying_itself(migration, key), found, transaction)
            return
        self.history.moved_past(run.entry)
        for number, operation in enumerate(migration.operations, 1):
            found = self.history.read_operation(operation, key[0], scene(self.context))
            value = django_operation(operation, key, number, tables)
            resolved = self.path.resolved(value, self.context.graph)
            self.by_django.update(resolved.tables, *((m.old, m.new) for m in resolved.moves))
            own = has_own_transaction(migration, operation)
            within = Transaction() if own else transaction
            yield self._authored(run, number, resolved, found, within)

    def _injected(self, run: _Run, count: int) -> Iterator[PlannedStep]:
        """Operations that run after the steps of a file, each in its own transaction."""
        if not (operations := self.injected.get(run.entry.id)):
            return
        tables = self.history.after(run.entry)
        for number, operation in enumerate(operations, count + 1):
            found = self.history.read_injected(run.entry, operation, scene(self.context))
            value = django_operation(operation, run.entry.covers[-1], number, tables)
            step = self._authored(run, number, value, found, Transaction(atomic=False))
            yield dataclasses.replace(step, injected=True)

    def _ours(self, run: _Run, number: int, operation: Operation) -> PlannedStep:
        """A step of an operation with a name: its statements are its own."""
        context, status = self.context, run.status(number)
        live = operation.in_names_of(context.graph)
        statements = live.statements(context) if live else ()
        waits = live is not None and status == "pending"
        begun = number in run.begun
        found = self._collisions(live, context, begun=begun) if live and waits else ()
        if not run.is_done(number):
            self.context = after(context, live or operation, runs=waits)
        broken = self._breaks(operation.tables, context) if waits else None
        assessment = assess(operation, context, statements, found, broken)
        return PlannedStep(
            number,
            operation,
            assessment,
            statements,
            rows=_rows(operation, context),
            approved=run.approved(number),
            status=status,
            collisions=found,
            effects=read(statements, scene(context)) if waits else (),
            breaks=broken or (),
            back=self._back(operation, assessment, run, (context.graph, self.context.graph)),
            duration=duration(statements, context, self.rates),
        )

    def _authored(
        self,
        run: _Run,
        number: int,
        operation: Operation,
        found: Read,
        transaction: Transaction,
    ) -> PlannedStep:
        """A step that runs code of its author: judged by what that code does."""
        context, status = self.context, run.status(number)
        written_by = _texts(self.timeline, operation)
        effects, graph = found
        if status != "pending" or number in run.begun:
            effects = without_misses(effects)
        breaks: tuple[Break, ...] = ()
        assessment = judged(operation, effects, context, transaction)
        if status == "pending":
            self.context = after(context, operation, written_by, effects)
            self.context = replaced(self.context, graph=graph)
            self.authored += written_by
            touched = {name for effect in effects for name in effect.locks}
            breaks = self._breaks(sorted(touched), context)
            assessment = assessment.breaking(breaks)
        statements = shown(operation, effects, context)
        return PlannedStep(
            number,
            operation,
            assessment,
            statements,
            rows=_rows(operation, context),
            approved=run.approved(number),
            status=status,
            collisions=tuple(missed(effects)),
            texts=written_by,
            effects=effects,
            breaks=breaks,
            back=self._back(operation, assessment, run, (context.graph, graph)),
            duration=duration(statements, context, self.rates),
            graph=graph,
        )

    def _back(
        self,
        operation: Operation,
        assessment: Assessment,
        run: _Run,
        graphs: tuple[SchemaGraph, SchemaGraph],
    ) -> WayBack:
        return way_back(operation, assessment.reasons, self.timeline, run.entry, graphs)

    def _breaks(self, names: Sequence[TableName], before: Context) -> tuple[Break, ...]:
        """The queries of the previous release that fail after a step on these tables."""
        used = [name for name in names if name not in before.fresh]
        if not used:
            return ()
        change = (before.graph, self.context.graph, used)
        found = breaks(self.released, *change)
        self._released = without_dropped(self.released, *change)
        return found

    def _collisions(
        self, operation: Operation, context: Context, *, begun: bool
    ) -> tuple[Collision, ...]:
        """The collisions of the step. An earlier step may remove it: then it is checked again when
        the step is about to run."""
        found = collisions(operation, context)
        # Without a ledger, the graph may be that of a database which ran the step.
        if self.ledger and not begun and self.by_django.isdisjoint(operation.tables[:1]):
            found += taken(operation, context.graph)
        if not self.authored or not any(collision.blocked for collision in found):
            return found
        return tuple(
            dataclasses.replace(collision, blocked=False, recheck=True, remedy=_LATER)
            if collision.blocked and any(map(collision.may_go_by, self.authored))
            else collision
            for collision in found
        )

    def _by_hand(self, entry: Entry) -> Collection[int]:
        """Numbers of the steps that are left where Django did the work of the file, or will have
        done it by then."""
        if entry.state != ADOPTED or entry.migration is None:
            return ()
        done = self.timeline.is_applied(entry.covers[0])
        live = self.context.graph if done else None
        path = SearchPath(self.path.elsewhere)
        graph = self.context.graph
        return added_by_hand([path.resolved(o, graph) for o in entry.migration.operations], live)

    def _latest(self, entry: Entry) -> Mapping[int, StepRow]:
        """The last attempt of each step of a migration that an earlier run left half way."""
        return {} if entry.taken_back else self.latest.get(entry.id, {})


@dataclass(frozen=True, slots=True)
class _Run:
    """An entry on its way into the plan: which of its steps are done, which Django left, and which
    an earlier run began."""

    entry: Entry
    done: Mapping[int, str]
    by_hand: Collection[int]
    begun: Collection[int]

    def is_done(self, number: int) -> bool:
        return self.entry.state == ADOPTED and number not in self.by_hand

    def status(self, number: int) -> str:
        return SKIPPED if self.is_done(number) else self.done.get(number, "pending")

    def approved(self, number: int) -> str:
        approved = self.entry.migration.approved if self.entry.migration else {}
        return approved.get(f"{number:04d}", "")


def _texts(timeline: Timeline, step: Operation) -> tuple[str | None, ...]:
    """SQL and Python of the author of a step, None for code that cannot be read; empty for other
    steps."""
    if step.runs is None:
        return step.authored
    migration = timeline.loader.disk_migrations.get(key_of(step.runs.migration))
    return tuple(texts(migration, step.runs.position)) if migration else (None,)


def _rows(operation: Operation, context: Context) -> int:
    known = (context.facts.get(name) for name in operation.tables[:1])
    return next((facts.rows for facts in known if facts), 0)

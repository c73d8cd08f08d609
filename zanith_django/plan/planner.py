"""Plans: the pending part of the timeline, operation by operation, on the graph as it is then."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from django.db import connections

from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FINISHED
from zanith_django.operations import DjangoOperation, Operation, RunPython as RunPythonStep
from zanith_django.operations.base import Context
from zanith_django.operations.data import RawSql
from zanith_django.plan.by_hand import added_by_hand
from zanith_django.plan.collisions import Collision, collisions
from zanith_django.plan.django_operations import applying_itself, django_operation
from zanith_django.plan.live_names import as_live
from zanith_django.plan.plan import ELSEWHERE, SKIPPED, Plan, PlannedMigration, PlannedStep
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import Assessment, assess
from zanith_django.plan.search_path import SearchPath
from zanith_django.plan.table_facts import after
from zanith_django.plan.untouched import untouched
from zanith_django.schema import collector
from zanith_django.schema.values import replaced
from zanith_django.timeline.django_kinds import has_own_apply, texts
from zanith_django.timeline.django_tables import DjangoTables
from zanith_django.timeline.routing import is_for
from zanith_django.timeline.timeline import ADOPTED, Entry, Timeline, key_of

_LATER = "an earlier step may take it away: this is checked again before the step runs"


@collector.paused()
def plan(
    timeline: Timeline,
    *,
    database: str,
    context: Context,
    ledger: Ledger | None = None,
    only: Collection[str] | None = None,
) -> Plan:
    """Score the pending entries of the timeline.

    `context` says what is known of the database. `only` scores just the entries with these ids,
    as when there is no database to say what is pending; entries before them are folded in.
    """
    if ledger:
        ours = untouched(ledger, timeline, context.graph, context.empty)
        context = replaced(context, fresh=context.fresh | ours)
    planner = _Planner(database, context, ledger)
    planned = []
    for entry in timeline.entries if only is not None else timeline.pending:
        wanted = only is None or entry.id in only
        migration = planner.take(timeline, entry, fresh=wanted)
        if wanted:
            planned.append(migration)
    return Plan(database, tuple(planned), context.graph)


class _Planner:
    """Walks the entries and keeps what the schema has become by then."""

    def __init__(self, database: str, context: Context, ledger: Ledger | None) -> None:
        self.database, self.context, self.ledger = database, context, ledger
        self.path = SearchPath(context.elsewhere)
        # What authors wrote into earlier steps, whose effect only they know.
        self.authored: list[str | None] = []
        self.tables = _TablesOnTheWay(database, context.graph.default_schema)

    def take(self, timeline: Timeline, entry: Entry, *, fresh: bool) -> PlannedMigration:
        done = self._done(entry)
        by_hand = self._by_hand(timeline, entry)
        approved = entry.migration.approved if entry.migration else {}
        self.context = dataclasses.replace(self.context, migration_id=entry.id)
        steps = []
        for number, written in enumerate(self.operations(timeline, entry), 1):
            operation = self.path.resolved(written, self.context.graph)
            if entry.migration and not is_for(self.database, operation, entry.app_label):
                safe = Assessment(Level.SAFE)
                steps.append(PlannedStep(number, operation, safe, (), status=ELSEWHERE))
                continue
            is_done = entry.state == ADOPTED and number not in by_hand
            context = self.context
            live = as_live(operation, context.graph)
            statements = live.statements(context) if live else ()
            status = SKIPPED if is_done else done.get(number, "pending")
            waits = live is not None and status == "pending"
            found = self._collisions(live, context) if live and waits else ()
            written_by = _texts(timeline, operation)
            step = PlannedStep(
                number,
                operation,
                assess(operation, context, statements, found),
                statements,
                rows=_rows(operation, context),
                approved=approved.get(f"{number:04d}", ""),
                status=status,
                collisions=found,
                texts=written_by,
            )
            steps.append(step)
            if waits:
                self.authored += written_by
            if not is_done:
                runs = fresh and step.waits and live is not None
                self.context = after(context, live or operation, written_by, runs=runs)
        return PlannedMigration(entry, tuple(steps))

    def _collisions(self, operation: Operation, context: Context) -> tuple[Collision, ...]:
        """What is in the way of the step. An earlier step may take it away: then it is looked at
        again when the step is about to run."""
        found = collisions(operation, context)
        if not self.authored or not any(collision.blocked for collision in found):
            return found
        return tuple(
            dataclasses.replace(collision, blocked=False, recheck=True, remedy=_LATER)
            if collision.blocked and any(map(collision.may_go_by, self.authored))
            else collision
            for collision in found
        )

    def _by_hand(self, timeline: Timeline, entry: Entry) -> Collection[int]:
        """Numbers of the steps that are left where Django did the work of the file, or will have
        done it by then."""
        if entry.state != ADOPTED or entry.migration is None:
            return ()
        done = timeline.is_applied(entry.covers[0])
        live = self.context.graph if done else None
        path = SearchPath(self.path.elsewhere)
        graph = self.context.graph
        return added_by_hand([path.resolved(o, graph) for o in entry.migration.operations], live)

    def _done(self, entry: Entry) -> dict[int, str]:
        """{step: "done"} of a migration that an earlier run left half way."""
        if self.ledger is None or entry.taken_back:
            return {}
        latest = self.ledger.latest(entry.id)
        return {number: DONE for number, row in latest.items() if row.status in FINISHED}

    def operations(self, timeline: Timeline, entry: Entry) -> list[Operation]:
        if entry.migration:
            return list(entry.migration.operations)
        key = entry.covers[0]
        migration = timeline.django(key)
        if has_own_apply(migration):
            return [applying_itself(migration, key)]
        tables = self.tables.before(timeline, entry)
        return [
            django_operation(operation, key, number, tables)
            for number, operation in enumerate(migration.operations, 1)
        ]


class _TablesOnTheWay:
    """The tables of Django's models just before an entry; asked in the order of the entries, and
    only for those that Django runs."""

    def __init__(self, database: str, schema: str) -> None:
        longest = connections[database].ops.max_name_length()
        self.tables, self.passed = DjangoTables(schema, longest), 0

    def before(self, timeline: Timeline, entry: Entry) -> DjangoTables:
        place = timeline.entries.index(entry)
        for earlier in timeline.entries[self.passed : place]:
            for migration in timeline.on_disk(earlier.covers):
                self.tables.skip(migration)
        self.passed = place + 1  # what asks moves past the entry itself
        return self.tables


def _texts(timeline: Timeline, step: Operation) -> tuple[str | None, ...]:
    """What the author of a step wrote, None for what cannot be read; nothing for other steps."""
    if isinstance(step, RawSql):
        return (step.sql,)
    if not isinstance(step, RunPythonStep | DjangoOperation):
        return ()
    migration = timeline.loader.disk_migrations.get(key_of(step.migration))
    return tuple(texts(migration, step.position)) if migration else (None,)


def _rows(operation: Operation, context: Context) -> int:
    known = (context.facts.get(name) for name in operation.tables[:1])
    return next((facts.rows for facts in known if facts), 0)

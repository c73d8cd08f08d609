"""The values of a plan: steps with their verdicts, in migrations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from zanith_django.exceptions import InvalidArgument
from zanith_django.operations import Operation, Statement
from zanith_django.operations.base import script
from zanith_django.plan.collisions import Collision
from zanith_django.plan.durations import Duration, Rates
from zanith_django.plan.effects.running_code import Break
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.findings import Finding
from zanith_django.plan.integrity import Flaw
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.plan.risk import Assessment
from zanith_django.plan.ways_back import WayBack
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.timeline import ADOPTED, Entry, Key, Timeline

ELSEWHERE = "elsewhere"
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One operation of a plan. `status` is "pending", "done" (by an earlier run that stopped
    later on), "skipped" (Django did its work already), or "elsewhere" (routers give its model to
    another database). `texts` are what its author wrote, None what cannot be read; `effects` what
    its SQL and Python do; `breaks` the queries of the previous release that fail after it. With
    `observed`, the level is by what a shadow saw. `graph` is the schema after code of its
    author. A receiver of pre_migrate `injected` its operation."""

    number: int
    operation: Operation
    assessment: Assessment
    statements: tuple[Statement, ...]
    rows: int = 0
    approved: str = ""
    status: str = "pending"
    collisions: tuple[Collision, ...] = ()
    findings: tuple[Finding, ...] = ()
    texts: tuple[str | None, ...] = ()
    effects: tuple[Effect, ...] = ()
    breaks: tuple[Break, ...] = ()
    observed: bool = False
    back: WayBack = dataclasses.field(default_factory=WayBack)
    duration: Duration = dataclasses.field(default_factory=Duration)
    graph: SchemaGraph | None = None
    injected: bool = False

    @property
    def kind(self) -> str:
        return self.operation.kind

    @property
    def level(self) -> Level:
        return self.assessment.level

    @property
    def score(self) -> int:
        return self.assessment.score

    @property
    def destructive(self) -> bool:
        """Does one of its reasons remove data, even if another reason is worse?"""
        return any(REASONS[code].level == Level.DESTRUCTIVE for code in self.assessment.reasons)

    @property
    def reversible(self) -> bool:
        """Does its reverse restore schema and rows completely?"""
        return self.back.whole

    @property
    def sql(self) -> str:
        return script(self.statements)

    @property
    def waits(self) -> bool:
        return self.status == "pending"

    @property
    def locks(self) -> dict[TableName, Lock]:
        """The strongest lock that it takes on each table, own and other."""
        found: dict[TableName, Lock] = {}
        for effect in self.effects:
            for name, lock in effect.locks.items():
                found[name] = max(lock, found.get(name, Lock.NONE))
        return found


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """One entry of the timeline with its steps. `injected` are operations that receivers of
    pre_migrate added to the migrations that a file covers: they run after its steps and are no
    steps of the file."""

    entry: Entry
    steps: tuple[PlannedStep, ...]
    injected: tuple[PlannedStep, ...] = ()

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def adopted(self) -> bool:
        return self.entry.state == ADOPTED

    @property
    def nothing_left(self) -> bool:
        """Has Django done all of its work?"""
        return self.adopted and all(step.status == SKIPPED for step in self.steps)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that would run, in order. Making a plan changes nothing in the database.

    `flaws` are wrong files, `uncovered` Django migrations without a file that need one.
    `fingerprint` is known once a gate is to compare it. `unseen` are tables of the steps that
    another session locks: they count as populated. `rates` are those of its durations.
    """

    database: str
    migrations: tuple[PlannedMigration, ...] = ()
    graph: SchemaGraph = dataclasses.field(default_factory=SchemaGraph)
    flaws: tuple[Flaw, ...] = ()
    uncovered: tuple[Key, ...] = ()
    fingerprint: str = ""
    unseen: tuple[str, ...] = ()
    rates: Rates = dataclasses.field(default_factory=Rates)

    @property
    def steps(self) -> Iterator[tuple[PlannedMigration, PlannedStep]]:
        """Every step that still waits, with its migration."""
        for migration in self.migrations:
            for step in (*migration.steps, *migration.injected):
                if step.waits:
                    yield migration, step

    @property
    def worst(self) -> Level | None:
        return max((step.level for _, step in self.steps), default=None)

    @property
    def total_score(self) -> int:
        return sum(step.score for _, step in self.steps)

    @property
    def by_level(self) -> dict[str, int]:
        counts = {str(level): 0 for level in Level}
        for _, step in self.steps:
            counts[str(step.level)] += 1
        return counts


def until(planned: Plan, timeline: Timeline, *, count: int | None = None, to: str = "") -> Plan:
    """The plan as far as `to`, a migration, and of that at most `count` migrations."""
    migrations = planned.migrations
    if to:
        wanted = timeline.find(to).id
        ids = [migration.id for migration in migrations]
        migrations = migrations[: ids.index(wanted) + 1] if wanted in ids else ()
    if count is not None and count < 1:
        raise InvalidArgument("--steps takes a number of migrations from 1 on.")
    return dataclasses.replace(planned, migrations=migrations[:count])

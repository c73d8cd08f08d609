"""The input of every format of a plan: the plan, the verdict of its gates, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.core.management.color import Style, no_style

from zanith_django.files.migration import DJANGO_PREFIX
from zanith_django.plan.gates import Refusal
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.timeline.sources import Source


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan for people and programs. `newer` are applied migrations that are newer than every
    file, `receivers` functions that may add operations to a run, `sources` the files of the
    migrations by id. `style` and `verbosity` are for a terminal."""

    plan: Plan
    refusals: tuple[Refusal, ...] = ()
    mode: str = ""
    max_risk: int = 100
    newer: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    style: Style = field(default_factory=no_style)
    verbosity: int = 1

    @property
    def judged(self) -> Iterator[tuple[PlannedMigration, PlannedStep, tuple[Refusal, ...]]]:
        """Every pending step with its refusals."""
        refused: dict[tuple[str, int], list[Refusal]] = {}
        for each in self.refusals:
            refused.setdefault((each.migration, each.step), []).append(each)
        for migration, step in self.plan.steps:
            yield migration, step, tuple(refused.get((migration.id, step.number), ()))

    @property
    def loose(self) -> list[Refusal]:
        """Refusals that concern no pending step but a whole migration or a file."""
        waiting = {(migration.id, step.number) for migration, step in self.plan.steps}
        return [each for each in self.refusals if (each.migration, each.step) not in waiting]

    def source(self, migration: str) -> Source | None:
        """The file of a migration, also by the name that Django has for it."""
        return self.sources.get(migration) or self.sources.get(DJANGO_PREFIX + migration)

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        if self.refusals:
            return "blocked · review required"
        if (worst := self.plan.worst) is None:
            return "ready · no pending step"
        return f"ready · worst step is {worst} ({int(worst)}), budget {self.max_risk}"

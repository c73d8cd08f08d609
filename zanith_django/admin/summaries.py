"""Many steps in one line: how many of each status, the worst risk, the time they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Exists, Max, OuterRef, QuerySet, Value, When
from django.db.models.functions import Left

from zanith_django.models import Migration, MigrationStep, Status, sigil, spoken

UNFINISHED = (Status.FAILED, Status.RUNNING, Status.PENDING)

# Everything but the texts, which may be long.
LIGHT = (
    "id",
    "migration_id",
    "operation_kind",
    "status",
    "risk_level",
    "risk_score",
    "started_at",
    "finished_at",
)


@dataclass(frozen=True, slots=True)
class StepSummary:
    """The newest attempts of a migration's steps. `counts` are (status, sigil, number)."""

    migration_id: str
    counts: tuple[tuple[str, str, int], ...] = ()
    risk_level: str = ""
    risk_score: int = 0
    spent: timedelta | None = None
    last: datetime | None = None

    @property
    def status(self) -> str:
        """The status that most needs attention; empty without steps."""
        present = [status for status, _, _ in self.counts]
        return next((status for status in (*UNFINISHED, *Status) if status in present), "")

    @property
    def took(self) -> str:
        return spoken(self.spent)


def summarise(migration_id: str, steps: Iterable[MigrationStep]) -> StepSummary:
    """`steps` are one migration's, in any order and with every attempt."""
    newest = newest_attempts(steps)
    if not newest:
        return StepSummary(migration_id)
    counts = Counter(step.status for step in newest)
    worst = max(newest, key=lambda step: step.risk_score)
    spent = [step.duration for step in newest if step.duration is not None]
    times = [step.finished_at or step.started_at for step in newest]
    return StepSummary(
        migration_id,
        counts=tuple((status, sigil(status), counts[status]) for status in _in_order(counts)),
        risk_level=worst.risk_level,
        risk_score=worst.risk_score,
        spent=sum(spent, timedelta()) if spent else None,
        last=max((time for time in times if time), default=None),
    )


def newest_attempts(steps: Iterable[MigrationStep]) -> list[MigrationStep]:
    """The last attempt of each step, in order."""
    return list({step.step: step for step in in_order(steps)}.values())


def in_order(steps: Iterable[MigrationStep]) -> list[MigrationStep]:
    """By step and attempt as numbers: as text, attempt ".10" would come before ".2"."""
    return sorted(steps, key=lambda step: (step.step, step.attempt))


def summaries(alias: str, migration_ids: Iterable[str]) -> dict[str, StepSummary]:
    """{migration: its summary}, in one query."""
    by_migration: dict[str, list[MigrationStep]] = {name: [] for name in migration_ids}
    steps = MigrationStep.objects.using(alias).filter(migration_id__in=by_migration)
    for step in steps.only(*LIGHT):
        by_migration[step.migration_id].append(step)
    return {name: summarise(name, steps) for name, steps in by_migration.items()}


def _begun(alias: str) -> QuerySet[Any]:
    """Migrations with unfinished steps that are not recorded as applied, newest first."""
    recorded = Migration.objects.using(alias).filter(id=OuterRef("migration_id"))
    return (
        MigrationStep.objects.using(alias)
        .filter(status__in=UNFINISHED)
        .exclude(Exists(recorded))
        .values("migration_id")
        .annotate(last=Max("started_at"))
        .order_by("-last", "-migration_id")
    )


def unfinished(alias: str, limit: int = 20) -> list[StepSummary]:
    """Migrations that were begun and are not recorded as applied, newest first, in two queries.

    A failed row may belong to an attempt that a later one made good and a rollback then took
    back, so the newest attempts decide.
    """
    begun = _begun(alias).values_list("migration_id", flat=True)
    found = summaries(alias, begun[:limit])
    return [summary for summary in found.values() if summary.status in UNFINISHED]


ERROR_SHOWN = 1_000  # characters of an error that a list shows


def attention(alias: str, limit: int = 10) -> list[MigrationStep]:
    """Newest attempts that failed or run, of migrations that are not recorded as applied, newest
    first, in one query; with `error_start`."""
    begun = _begun(alias).values_list("migration_id", flat=True)[:limit]
    failed = When(status=Status.FAILED, then=Left("error", ERROR_SHOWN))
    rows = (
        MigrationStep.objects.using(alias)
        .filter(migration_id__in=begun)
        .only(*LIGHT)
        .annotate(error_start=Case(failed, default=Value("")))
    )
    by_migration: dict[str, list[MigrationStep]] = {}
    for row in rows:
        by_migration.setdefault(row.migration_id, []).append(row)
    newest = [step for steps in by_migration.values() for step in newest_attempts(steps)]
    found = [step for step in newest if step.status in (Status.FAILED, Status.RUNNING)]
    return sorted(found, key=_last_time, reverse=True)[:limit]


def _last_time(step: MigrationStep) -> tuple[bool, float]:
    time = step.finished_at or step.started_at
    return time is not None, time.timestamp() if time else 0


def _in_order(statuses: Iterable[str]) -> list[str]:
    """Known statuses as a step passes through them, then any other."""
    known: list[str] = list(Status)
    return sorted(statuses, key=lambda s: (known.index(s) if s in known else len(known), s))

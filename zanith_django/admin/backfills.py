"""Running backfills: their progress, their rate, and the remaining time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from zanith_django.admin.summaries import LIGHT, in_order
from zanith_django.ledger.marks import place_of
from zanith_django.ledger.step_rows import RUNNING, split_step_id, step_id
from zanith_django.models import MigrationCheckpoint, MigrationStep, spoken

MOST = 10
_LONGEST = timedelta(days=365).total_seconds()


@dataclass(frozen=True, slots=True)
class Backfill:
    """An unfinished backfill. `rate` is rows a second over all of its attempts, None while it is
    unknown; `stopped`: no attempt at its step is running."""

    checkpoint: MigrationCheckpoint
    rate: float | None
    stopped: bool

    @property
    def left(self) -> str:
        """The remaining time at that rate; empty if it is unknown."""
        total = self.checkpoint.total_rows
        if not self.rate or total is None or self.stopped:
            return ""
        seconds = max(total - self.checkpoint.processed_rows, 0) / self.rate
        return spoken(timedelta(seconds=seconds)) if seconds < _LONGEST else ""


def running_backfills(alias: str) -> list[Backfill]:
    """The newest first. A value that is kept, or a run as a whole, is none."""
    found = MigrationCheckpoint.objects.using(alias).filter(
        status=RUNNING, total_rows__isnull=False, id__contains="::"
    )
    checkpoints = list(found.defer("cursor").order_by("-updated_at")[:MOST])
    attempts = _attempts(alias, {_place(checkpoint) for checkpoint in checkpoints})
    return [_backfill(each, attempts.get(_place(each), ())) for each in checkpoints]


def _place(checkpoint: MigrationCheckpoint) -> str:
    return place_of(checkpoint.id)


def _attempts(alias: str, places: Iterable[str]) -> dict[str, list[MigrationStep]]:
    """{step: its attempts, in order}."""
    wanted = Q()
    for place in places:
        wanted |= Q(id=place) | Q(id__startswith=f"{place}.")
    if not wanted:
        return {}
    found: dict[str, list[MigrationStep]] = {}
    for row in in_order(MigrationStep.objects.using(alias).filter(wanted).only(*LIGHT)):
        migration_id, step, _ = split_step_id(row.id)
        found.setdefault(step_id(migration_id, step), []).append(row)
    return found


def _backfill(checkpoint: MigrationCheckpoint, attempts: Sequence[MigrationStep]) -> Backfill:
    spent = sum((_spent(checkpoint.updated_at, row) for row in attempts), timedelta())
    seconds = spent.total_seconds()
    rate = checkpoint.processed_rows / seconds if seconds > 0 else None
    return Backfill(checkpoint, rate, not attempts or attempts[-1].status != RUNNING)


def _spent(updated_at: datetime, row: MigrationStep) -> timedelta:
    """How long an attempt has written; one that runs, until its last batch."""
    if row.started_at is None:
        return timedelta()
    spent: timedelta = (row.finished_at or updated_at) - row.started_at
    return max(spent, timedelta())

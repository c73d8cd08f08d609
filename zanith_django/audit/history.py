"""The history: every migration with its runs, and every attempt at each of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.audit.steps import details_of, touches
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.snapshots import REPEATED, UNDONE
from zanith_django.ledger.step_rows import ROLLED_BACK
from zanith_django.ledger.steps import StepRow

ABOUT = ("user", "host", "database_user", "versions")


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One attempt at a step: its row and its details."""

    row: StepRow
    detail: StepDetail

    @property
    def seconds(self) -> float | None:
        """The duration; None if it has not ended."""
        row = self.row
        if row.started_at is None or row.finished_at is None:
            return None
        return (row.finished_at - row.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """A migration that ran, or began to. `run` has who ran it, where and with which versions;
    `past` are the earlier runs, oldest first: a rollback undid them, or recover repeated them."""

    id: str
    applied_at: datetime | None
    tables: int | None
    run: Mapping[str, Any]
    past: Sequence[Mapping[str, Any]]
    steps: tuple[StepRecord, ...]

    @property
    def who(self) -> str:
        """`deploy@web-1`; empty if it is unknown."""
        return who(self.run)

    @property
    def undone(self) -> bool:
        """Was the newest attempt at every step rolled back?"""
        newest = {record.row.step: record.row.status for record in self.steps}
        return self.applied_at is None and set(newest.values()) == {ROLLED_BACK}


def who(run: Mapping[str, Any]) -> str:
    user, host = run.get("user"), run.get("host")
    return "@".join(str(part) for part in (user, host) if part)


@dataclass(frozen=True, slots=True)
class End:
    """How an earlier run ended: a rollback undid it, or recover worked on the artifact again."""

    who: str = ""
    at: str = ""
    repeated: bool = False


def end_of(run: Mapping[str, Any]) -> End:
    """The end of one of the `past` runs; who and when are empty if they are not known."""
    repeated = REPEATED in run
    mark = run.get(REPEATED if repeated else UNDONE)
    if not isinstance(mark, dict):
        return End(repeated=repeated)
    return End(who(mark), str(mark.get("at") or ""), repeated)


def history(
    connection: BaseDatabaseWrapper,
    *,
    migration: str = "",
    since: datetime | None = None,
    table: str = "",
) -> list[MigrationRecord]:
    """Applied migrations in order, then those that are not applied. `since` leaves out what ended
    before; `table` leaves out other steps, and migrations without a step on that table; with both,
    the steps that ended before too."""
    ledger = Ledger(connection)
    applied = ledger.applied()
    rows = _wanted(ledger.steps(migration or None), applied, since)
    details = details_of(ledger, rows)
    by_migration: dict[str, list[StepRecord]] = {}
    for row in rows:
        record = StepRecord(row, details[row.id])
        if not table or (touches(record.detail, table) and _began(row, since)):
            by_migration.setdefault(row.migration_id, []).append(record)
    newer = [name for name, when in applied.items() if not since or when >= since]
    chosen = [name for name in newer if (not migration or name == migration) and not table]
    ids = dict.fromkeys((*chosen, *(name for name in applied if name in by_migration)))
    names = [name for name in applied if name in ids]
    names += [name for name in by_migration if name not in applied]
    tables, runs = ledger.table_counts(), ledger.runs()
    return [_record(name, applied, tables, runs, by_migration.get(name, [])) for name in names]


def _began(row: StepRow, since: datetime | None) -> bool:
    """It began since, or has not begun."""
    return since is None or row.started_at is None or row.started_at >= since


def _wanted(
    rows: Iterable[StepRow], applied: Mapping[str, datetime], since: datetime | None
) -> list[StepRow]:
    """All rows of the migrations that were applied or began a step since."""
    found = list(rows)
    if since is None:
        return found
    newer = {name for name, when in applied.items() if when >= since}
    newer |= {row.migration_id for row in found if row.started_at and row.started_at >= since}
    return [row for row in found if row.migration_id in newer]


def _record(
    name: str,
    applied: Mapping[str, datetime],
    tables: Mapping[str, int],
    runs: Mapping[tuple[str, str], Mapping[str, Any]],
    steps: Iterable[StepRecord],
) -> MigrationRecord:
    before = runs.get((name, "before"), {})
    run = runs.get((name, "after")) or before
    past = before.get("past")
    return MigrationRecord(
        name,
        applied.get(name),
        tables.get(name),
        {key: run[key] for key in ABOUT if key in run},
        [each for each in past if isinstance(each, dict)] if isinstance(past, list) else [],
        tuple(steps),
    )

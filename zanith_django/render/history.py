"""The history, for a terminal and as JSON data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.management.color import Style
from django.utils import timezone

from zanith_django.audit.history import MigrationRecord, StepRecord, end_of, who
from zanith_django.render.durations import spelled_seconds
from zanith_django.render.text import SIGILS, counted, status_style, wrapped


def history_text(
    records: Sequence[MigrationRecord], style: Style, *, verbose: bool = False
) -> Iterator[str]:
    """Applied migrations in order, then unfinished ones, then those that were rolled back.
    `verbose` adds every attempt at every step, and snapshots."""
    applied = [each for each in records if each.applied_at]
    undone = [each for each in records if each.undone]
    unfinished = [each for each in records if not each.applied_at and not each.undone]
    yield f"Applied migrations ({len(applied)}):"
    for record in applied:
        yield from _migration(record, style, verbose=verbose)
    if unfinished:
        yield f"Unfinished ({len(unfinished)}):"
    for record in unfinished:
        yield from _migration(record, style, verbose=True)
    if undone:
        yield f"Rolled back ({len(undone)}):"
    for record in undone:
        yield from _migration(record, style, verbose=verbose)


def _migration(record: MigrationRecord, style: Style, *, verbose: bool) -> Iterator[str]:
    when = f"  {_time(record.applied_at)}" if record.applied_at and not verbose else ""
    yield f"▸ {record.id}{when}"
    if verbose:
        for step in record.steps:
            yield from _step(step, style)
        if record.tables is not None:
            yield f"  snapshot: {record.tables} model(s)"
        yield from _run(record)
    else:
        yield from wrapped(_summary(record), "  ")
    for run in record.past:
        yield from wrapped(_past(run), "  ")


def _summary(record: MigrationRecord) -> str:
    spent = sum(step.seconds or 0 for step in record.steps if not step.detail.undoes)
    steps = len({step.row.step for step in record.steps})
    by = f", by {record.who}" if record.who else ""
    return f"{counted(steps, 'step')}, {spelled_seconds(spent)}{by}"


def _run(record: MigrationRecord) -> Iterator[str]:
    """Who ran it, when, and with which versions."""
    if not record.who:
        return
    when = f"applied {_time(record.applied_at)}, " if record.applied_at else ""
    versions = record.run.get("versions")
    with_ = [f"{n} {v}" for n, v in versions.items()] if isinstance(versions, dict) else []
    tail = f", with {', '.join(with_)}" if with_ else ""
    yield from wrapped(f"{when}by {record.who}{tail}", "      ")


def _past(run: Mapping[str, Any]) -> str:
    ended = end_of(run)
    words = "repeated" if ended.repeated else "rolled back"
    by, applied = who(run) or "unknown", _day(run.get("applied_at"))
    return f"applied {applied} by {by}, {words} {_day(ended.at)} by {ended.who or 'unknown'}"


def _day(text: object) -> str:
    """An ISO time of the ledger's JSON; `never` for a run that has not ended."""
    try:
        return _time(datetime.fromisoformat(str(text))) if text else "never"
    except (ValueError, OverflowError):  # another user wrote it
        return str(text)[:19]


def _step(record: StepRecord, style: Style) -> Iterator[str]:
    row, detail = record.row, record.detail
    attempt = f" (attempt {row.attempt})" if row.attempt > 1 else ""
    sigil = status_style(style, row.status, SIGILS.get(row.status, "?"))
    yield f"  {sigil} step {row.step}{attempt}: [{row.risk_level}] {row.operation_kind}"
    if row.error:
        yield from wrapped(row.error, "      ")
    took = "" if record.seconds is None else spelled_seconds(record.seconds)
    facts = (detail.target, took, _time(row.started_at) if row.started_at else "", detail.by)
    if any(facts):
        yield from wrapped(" · ".join(fact for fact in facts if fact), "      ")
    known = detail.estimate is not None
    expected = f"expected {spelled_seconds(detail.estimate or 0)}" if known else ""
    lock = detail.lock and f"lock {detail.lock}"
    about = (detail.description, lock, expected, ", ".join(detail.reasons))
    if any(about):
        yield from wrapped("; ".join(part for part in about if part), "      ")


def _time(value: Any) -> str:
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return f"{local:%Y-%m-%d %H:%M:%S}"


def history_data(records: Iterable[MigrationRecord]) -> list[dict[str, Any]]:
    """The whole history: migrations that ran or began, each with every attempt at its steps."""
    return [
        {
            "id": record.id,
            "applied_at": record.applied_at,
            "tables": record.tables,
            "run": dict(record.run),
            "past": list(record.past),
            "steps": [_row(step) for step in record.steps],
        }
        for record in records
    ]


def _row(record: StepRecord) -> dict[str, Any]:
    row, detail = record.row, record.detail
    return {
        "id": row.id,
        "step": row.step,
        "attempt": row.attempt,
        "kind": row.operation_kind,
        "target": detail.target,
        "description": detail.description,
        "tables": list(detail.tables),
        "status": row.status,
        "level": row.risk_level,
        "score": row.risk_score,
        "reasons": list(detail.reasons),
        "lock": detail.lock,
        "rows": detail.rows,
        "sql": row.sql,
        "error": row.error,
        "by": detail.by,
        "undoes": detail.undoes or None,
        "estimate": detail.estimate,
        "seconds": record.seconds,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }

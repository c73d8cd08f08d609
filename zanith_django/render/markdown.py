"""A plan as one comment for a pull request, and helpers for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.plan.reasons import REASONS
from zanith_django.postgres.locks import Lock
from zanith_django.render.report import PlanReport

LONGEST_COMMENT = 65_000
"""GitHub refuses a comment of more than 65,536 characters."""


def plan_markdown(report: PlanReport) -> Iterator[str]:
    """One comment: the refusals, a table of the steps, and what their reasons mean."""
    yield from _fitting(_lines(report))


def _lines(report: PlanReport) -> Iterator[str]:
    yield f"### zanith_plan: {cell(report.headline)}"
    yield ""
    if report.refusals:
        yield from ("**Refused**", "")
    for refusal in report.refusals:
        yield f"- {cell(refusal)}"
    yield from [""] if report.refusals else []
    judged = list(report.judged)
    if judged:
        yield "| step | level | what | lock | duration | rows | reason | undo |"
        yield "|---|---|---|---|---|---|---|---|"
    for migration, step, refusals in judged:
        yield _step_row(migration, step, refused=bool(refusals))
    yield from _explained(
        dict.fromkeys(c for _, step, _ in judged for c in step.assessment.reasons)
    )


def _step_row(migration: PlannedMigration, step: PlannedStep, *, refused: bool) -> str:
    cells = (
        f"{migration.id}::{step.number:04d}",
        f"{step.level} {step.score}{', refused' if refused else ''}"
        f"{f', approved: {step.approved}' if step.approved else ''}",
        f"{step.kind} {step.operation.target}",
        _locks(step),
        step.duration if step.duration.noticed else "under a second",
        f"{step.rows:,}",
        ", ".join(step.assessment.reasons),
        step.back,
    )
    return row(cells)


def _locks(step: PlannedStep) -> str:
    """The strongest lock on each table."""
    named = [(str(name), lock) for name, lock in step.locks.items() if lock != Lock.NONE]
    if not named and step.statements:
        strongest = max(step.statements, key=lambda statement: statement.lock)
        if strongest.lock != Lock.NONE:
            named = [(", ".join(map(str, strongest.tables)), strongest.lock)]
    return "; ".join(f"{lock} on {name}" if name else str(lock) for name, lock in named) or "none"


def _explained(codes: Iterable[str]) -> Iterator[str]:
    known = [REASONS[code] for code in codes]
    if known:
        yield from ("", "<details><summary>What the reasons mean</summary>", "")
    for each in known:
        words = f"{cell(each.effect)} Safer: {cell(each.safer)}"
        yield f"- [{code(each.code)}]({each.page}) ({each.level} {int(each.level)}): {words}"
    if known:
        yield from ("", "</details>")


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    """The lines that fit in a comment, and the number of those left out."""
    room, missing = LONGEST_COMMENT, 0
    for line in lines:
        room -= len(line) + 1
        if room >= 0 and not missing:
            yield line
        else:
            missing += 1
    if missing:
        yield from ("", f"… and {missing:,} more lines: run zanith_plan to see the whole plan.")


# --- pieces --------------------------------------------------------------------------------------


def row(cells: Iterable[object]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(cell, cells))} |"


_MARKS = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]|~#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)


def cell(text: object) -> str:
    """The text on one line, with the markup of Markdown and HTML escaped."""
    return " ".join(str(text).split()).translate(_MARKS)


def code(text: str) -> str:
    """The text as code."""
    return f"`{text.replace('`', '')}`"

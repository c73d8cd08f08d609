"""Annotations of GitHub Actions on the lines of a migration file.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator

from zanith_django.plan.gates import Refusal
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.render.report import PlanReport
from zanith_django.timeline.sources import Source


def plan_annotations(report: PlanReport) -> Iterator[str]:
    """An error for each step that a gate refuses, a warning for each other step that is high or
    worse, and the verdict."""
    for refusal in report.loose:
        title, source = f"zanith_plan: {refusal.gate}", report.source(refusal.migration)
        yield annotation("error", title, str(refusal), *_place(source, refusal.step))
    for migration, step, refusals in report.judged:
        if refusals or step.level >= Level.HIGH:
            place = _place(report.source(migration.id), step.number)
            level = "error" if refusals else "warning"
            title = f"{step.level} {step.score}: {step.kind} {step.operation.target}"
            yield annotation(level, title, _message(migration, step, refusals), *place)
    level = "error" if report.refusals else "notice"
    yield annotation(level, "zanith_plan", report.headline)


def _message(migration: PlannedMigration, step: PlannedStep, refusals: tuple[Refusal, ...]) -> str:
    lines = [str(refusal) for refusal in refusals]
    if not refusals:
        lines.append(f"{migration.id}: step {step.number:02d} ({step.kind}) may run.")
    if step.approved:
        lines.append(f"approved: {step.approved}")
    for code in step.assessment.reasons:
        found = REASONS[code]
        lines.append(f"{code}: {found.effect} Safer: {found.safer} ({found.page})")
    return "\n".join(lines)


def _place(source: Source | None, step: int) -> tuple[str, int]:
    return (source.path, source.lines.of(step)) if source else ("", 0)


def annotation(level: str, title: str, message: str, file: str = "", line: int = 0) -> str:
    """One workflow command. `level` is error, warning or notice."""
    place = {"file": file, "line": str(line or ""), "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""A plan as the SQL that will run."""

from __future__ import annotations

from collections.abc import Iterator

from zanith_django.render.report import PlanReport


def plan_sql(report: PlanReport) -> Iterator[str]:
    """The statements of every waiting step, exactly as zanith_apply sends them."""
    for migration, step in report.plan.steps:
        yield f"-- {migration.id} step {step.number:02d}\n{step.sql}"

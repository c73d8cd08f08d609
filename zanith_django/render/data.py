"""Plans and diffs as JSON data; the shapes are a contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zanith_django.operations import Operation, Statement
from zanith_django.plan.collisions import Collision
from zanith_django.plan.durations import Duration
from zanith_django.plan.findings import Finding
from zanith_django.plan.gates import Refusal
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.render.report import PlanReport
from zanith_django.schema.findings import Extra
from zanith_django.timeline.timeline import dotted


def plan_data(report: PlanReport) -> dict[str, Any]:
    """A plan and the verdict of its gates, as docs/plan.schema.json describes it."""
    plan, worst = report.plan, report.plan.worst
    return {
        "database": plan.database,
        "mode": report.mode,
        "max_risk": report.max_risk,
        "blocked": bool(report.refusals),
        "worst": {"level": str(worst), "score": int(worst)} if worst else None,
        "total_score": plan.total_score,
        "by_level": plan.by_level,
        **({"unseen": list(plan.unseen)} if plan.unseen else {}),
        "refusals": list(map(_refusal, report.refusals)),
        "migrations": [_migration(migration) for migration in plan.migrations],
        **({"receivers": list(report.receivers)} if report.receivers else {}),
        **({"newer": list(report.newer)} if report.newer else {}),
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "gate": refusal.gate,
        "migration": refusal.migration,
        "step": refusal.step,
        "message": refusal.message,
    }


def _migration(migration: PlannedMigration) -> dict[str, Any]:
    return {
        "id": migration.id,
        "source": migration.entry.source,
        "covers": [dotted(key) for key in migration.entry.covers]
        if migration.entry.migration
        else [],
        "steps": [_step(step) for step in migration.steps],
    }


def _step(step: PlannedStep) -> dict[str, Any]:
    return {
        "step": step.number,
        "kind": step.kind,
        "target": step.operation.target,
        "level": str(step.level),
        "score": step.score,
        "reasons": list(step.assessment.reasons),
        "recoverable": step.operation.recoverable,
        "reversible": step.reversible,
        **({"undo": str(step.back)} if step.back.but else {}),
        **(_duration(step.duration) if step.duration.noticed else {}),
        "rows": step.rows,
        **({"approved": step.approved} if step.approved else {}),
        **({"dependents": list(map(_collision, step.collisions))} if step.collisions else {}),
        **({"findings": list(map(_finding, step.findings))} if step.findings else {}),
        **({"locks": _locks(step)} if step.locks.keys() - {*step.operation.tables} else {}),
        **({"breaks": list(map(str, step.breaks))} if step.breaks else {}),
        "statements": [_statement(statement) for statement in step.statements],
    }


def _locks(step: PlannedStep) -> dict[str, str]:
    """The strongest lock on each table, of a step that locks others than its own."""
    return {str(name): str(lock) for name, lock in step.locks.items()}


def _collision(collision: Collision) -> dict[str, Any]:
    return {
        "kind": collision.dependent.kind,
        "name": collision.dependent.name,
        "message": str(collision),
        "blocked": collision.blocked,
    }


def _duration(duration: Duration) -> dict[str, Any]:
    return {
        "seconds": round(duration.seconds, 1),
        "wait_seconds": round(duration.waits, 1),
        "estimated_by": duration.source,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "reason": finding.code,
        "message": str(finding),
        "blocked": finding.certain,
        "rows": finding.rows,
        "samples": list(finding.samples),
    }


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "sql": statement.sql,
        "lock": str(statement.lock),
        "transactional": statement.transactional,
    }


def diff_data(
    before: str, after: str, operations: Iterable[Operation], extras: Iterable[Extra]
) -> dict[str, Any]:
    """The operations that turn one graph into another, and the extras."""
    return {
        "from": before,
        "to": after,
        "operations": [
            {"kind": o.kind, "target": o.target, "description": o.describe()} for o in operations
        ],
        "extra": [extra.description for extra in extras],
    }

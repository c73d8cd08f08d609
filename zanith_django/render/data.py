"""Plans, diffs and history as JSON data; the shapes are a contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zanith_django.ledger.steps import StepRow
from zanith_django.operations import Operation, Statement
from zanith_django.plan.collisions import Collision
from zanith_django.plan.gates import Refusal
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.schema.findings import Extra
from zanith_django.timeline.timeline import dotted


def plan_data(plan: Plan, refusals: Iterable[Refusal], mode: str, max_risk: int) -> dict[str, Any]:
    """A plan and the verdict of its gates."""
    listed = list(refusals)
    worst = plan.worst
    return {
        "database": plan.database,
        "mode": mode,
        "max_risk": max_risk,
        "blocked": bool(listed),
        "worst": {"level": str(worst), "score": int(worst)} if worst else None,
        "total_score": plan.total_score,
        "by_level": plan.by_level,
        "refusals": [
            {"gate": r.gate, "migration": r.migration, "step": r.step, "message": r.message}
            for r in listed
        ],
        "migrations": [_migration(migration) for migration in plan.migrations],
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
        "rows": step.rows,
        **({"dependents": list(map(_collision, step.collisions))} if step.collisions else {}),
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


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "sql": statement.sql,
        "lock": str(statement.lock),
        "transactional": statement.transactional,
    }


def diff_data(
    before: str, after: str, operations: Iterable[Operation], extras: Iterable[Extra]
) -> dict[str, Any]:
    """What turns one graph into another, and what no model names."""
    return {
        "from": before,
        "to": after,
        "operations": [
            {"kind": o.kind, "target": o.target, "description": o.describe()} for o in operations
        ],
        "extra": [extra.description for extra in extras],
    }


def history_data(
    applied: dict[str, Any], steps: Iterable[StepRow], tables: dict[str, int]
) -> list[dict[str, Any]]:
    """Migrations that ran or began to, each with every attempt of its steps."""
    by_migration: dict[str, list[StepRow]] = {}
    for row in steps:
        by_migration.setdefault(row.migration_id, []).append(row)
    ids = [*applied, *(name for name in by_migration if name not in applied)]
    return [
        {
            "id": name,
            "applied_at": applied.get(name),
            "tables": tables.get(name),
            "steps": [_row(row) for row in by_migration.get(name, [])],
        }
        for name in ids
    ]


def _row(row: StepRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "step": row.step,
        "attempt": row.attempt,
        "kind": row.operation_kind,
        "status": row.status,
        "level": row.risk_level,
        "score": row.risk_score,
        "error": row.error,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }

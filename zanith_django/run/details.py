"""The details of each step that the ledger stores beside its row: its target, its reasons, its
user."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.details import StepDetail
from zanith_django.operations import Operation, Statement
from zanith_django.plan.durations import Duration
from zanith_django.plan.plan import PlannedStep
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.run.audit import user_name


def planned_detail(step: PlannedStep) -> StepDetail:
    """The details of a planned step."""
    return detail_of(
        step.operation,
        step.statements,
        reasons=step.assessment.reasons,
        rows=step.rows,
        estimate=step.duration,
        locked=step.locks,
    )


def detail_of(
    operation: Operation,
    statements: Iterable[Statement],
    *,
    reasons: Iterable[str] = (),
    rows: int = 0,
    estimate: Duration | None = None,
    locked: Iterable[TableName] = (),
    undoes: str = "",
) -> StepDetail:
    """The details of a step. `locked` are the tables that it locks if its operation names none,
    such as raw SQL."""
    return StepDetail(
        target=target_of(operation),
        description=operation.describe(),
        lock=_strongest(statements),
        reasons=tuple(reasons),
        tables=tuple(map(str, operation.tables or locked)),
        rows=rows,
        estimate=round(estimate.seconds, 3) if estimate and estimate.known else None,
        by=_by(),
        undoes=undoes,
    )


def kept_detail(
    artifact: ArtifactRow, description: str, statements: Iterable[Statement]
) -> StepDetail:
    """The details of a restore, reseed or purge of an artifact."""
    table = TableName(artifact.source_schema, artifact.source_table)
    return StepDetail(
        target=artifact.target,
        description=description,
        lock=_strongest(statements),
        tables=(str(table),),
        by=_by(),
    )


def _strongest(statements: Iterable[Statement]) -> str:
    lock = max((statement.lock for statement in statements), default=Lock.NONE)
    return "" if lock is Lock.NONE else str(lock)


def _by() -> str:
    return f"{user_name() or '?'}@{socket.gethostname()}"


def target_of(operation: Operation) -> str:
    """The object that a step changes; for one of Django's the table, if it has one."""
    return str(operation.tables[0]) if operation.runs and operation.tables else operation.target

"""The details that the ledger keeps of each step beside its row: its object, and its user."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from zanith_django.ledger.details import StepDetail
from zanith_django.operations import DjangoOperation, Operation, Statement
from zanith_django.plan.plan import PlannedStep
from zanith_django.postgres.locks import Lock
from zanith_django.run.audit import user_name


def planned_detail(step: PlannedStep) -> StepDetail:
    """The details of a planned step."""
    return detail_of(
        step.operation, step.statements, reasons=step.assessment.reasons, rows=step.rows
    )


def detail_of(
    operation: Operation,
    statements: Iterable[Statement],
    *,
    reasons: Iterable[str] = (),
    rows: int = 0,
    undoes: str = "",
) -> StepDetail:
    strongest = max((statement.lock for statement in statements), default=Lock.NONE)
    return StepDetail(
        target=target_of(operation),
        description=operation.describe(),
        lock="" if strongest is Lock.NONE else str(strongest),
        reasons=tuple(reasons),
        tables=tuple(map(str, operation.tables)),
        rows=rows,
        by=f"{user_name() or '?'}@{socket.gethostname()}",
        undoes=undoes,
    )


def target_of(operation: Operation) -> str:
    """The object that a step changes; for one of Django's the table, if it has one."""
    if isinstance(operation, DjangoOperation) and operation.table:
        return str(operation.table)
    return operation.target

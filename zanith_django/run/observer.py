"""Observes the statements of a run: not at all by default; verify passes an observer of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from zanith_django.operations.base import Statement
from zanith_django.plan.plan import PlannedStep


class Observer:
    """Observes nothing. If a subclass `looks`, each statement is sent alone; otherwise quick steps
    are sent in groups.
    """

    looks = False

    def begin(self, migration_id: str, number: int, step: PlannedStep | None) -> None:
        """This step begins; None for the SQL that Django deferred to the end."""

    def statement(self, statement: Statement | None) -> AbstractContextManager[None]:
        """SQL that the connection runs meanwhile belongs to this statement; None for the SQL of one
        of Django's operations."""
        return nullcontext()

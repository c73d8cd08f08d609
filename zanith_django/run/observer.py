"""Who may look on while a run works: no one by default, verify's observer on a shadow."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from zanith_django.operations.base import Statement
from zanith_django.plan.plan import PlannedStep


class Observer:
    """Looks on while steps run. This one sees nothing; verify sets one that does.

    An observer that `looks` needs each statement to be sent alone: without one, quick steps go to
    the server together.
    """

    looks = False

    def begin(self, migration_id: str, number: int, step: PlannedStep | None) -> None:
        """This step runs from now on; None for the SQL that Django deferred to the end."""

    def statement(self, statement: Statement | None) -> AbstractContextManager[None]:
        """What the connection runs meanwhile belongs to the statement; None for the SQL of one of
        Django's operations."""
        return nullcontext()

"""Refusals of gates and comparisons."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django.exceptions.base import Refused


class GateRefused(Refused):
    """A gate refused the plan. `refusals` are lines, one each."""

    def __init__(self, refusals: Iterable[str], hint: str = "") -> None:
        self.refusals = tuple(refusals)
        self.hint = hint or "Run zanith_plan to see the whole plan."
        super().__init__(*self.refusals)

    def __str__(self) -> str:
        return "The plan is blocked.\n" + "\n".join(f"  {line}" for line in self.refusals)


class Blocked(Refused):
    """The plan was printed with its refusals."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        super().__init__(refusals)

    def __str__(self) -> str:
        return f"The plan is blocked ({self.refusals} refused)."


class Differs(Refused):
    """The difference was printed."""

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after
        super().__init__(before, after)

    def __str__(self) -> str:
        return f"{self.before} and {self.after} differ."


class NotVerified(Refused):
    """A verdict other than ok was printed."""

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        super().__init__(verdict)

    def __str__(self) -> str:
        return f"The verdict of the run on the shadow is: {self.verdict}."


class ChangesFound(Refused):
    """Migrations or files are missing: `zanith_generate --check` found something to write."""

    def __init__(self, changes: Iterable[str]) -> None:
        self.changes = tuple(changes)
        self.hint = "Run zanith_generate and commit what it writes."
        super().__init__(*self.changes)

    def __str__(self) -> str:
        return "Changes without a migration:\n" + "\n".join(f"  {c}" for c in self.changes)

"""What the pages say of a step beside its row: reasons, what to do next, where it is documented."""

from __future__ import annotations

from typing import NamedTuple

from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.marks import is_refusal
from zanith_django.models import MigrationStep, Status
from zanith_django.operations import KINDS
from zanith_django.plan.reasons import REASONS


class Why(NamedTuple):
    """A reason of a step's risk, and what it means."""

    code: str
    effect: str
    safer: str


def reasons_of(detail: StepDetail) -> list[Why]:
    """The reasons with their words; a code of another release has none."""
    found = []
    for code in detail.reasons:
        known = REASONS.get(code)
        words = (known.effect, known.safer) if known else ("", "")
        found.append(Why(code, *words))
    return found


def next_command(step: MigrationStep) -> str:
    """The command that goes on after a step that failed; "" for any other."""
    if step.status != Status.FAILED:
        return ""
    if step.migration_id.startswith(RECOVER_PREFIX):
        return "manage.py zanith_recover list"
    if is_refusal(step.error):
        return "manage.py zanith_plan -v 2"
    return "manage.py zanith_apply"


def documentation(kind: str) -> str:
    """The name of the page in docs/operations; "" for what has none."""
    return f"docs/operations/{kind}.md" if kind in KINDS else ""

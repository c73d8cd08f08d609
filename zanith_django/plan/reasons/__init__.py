"""Every reason why an operation is risky, by its code."""

from __future__ import annotations

from zanith_django.exceptions import UnknownReason
from zanith_django.plan.levels import Level
from zanith_django.plan.reasons import (
    code,
    columns,
    constraints,
    indexes,
    locks,
    objects,
    obstacles,
    rows,
    tables,
)
from zanith_django.plan.reasons.reason import Reason

__all__ = ["REASONS", "SUBJECTS", "Level", "Reason", "reason"]

# {what they are about: reasons}, in the order in which the documentation lists them
SUBJECTS: dict[str, tuple[Reason, ...]] = {
    "Columns": columns.REASONS,
    "Tables": tables.REASONS,
    "Constraints": constraints.REASONS,
    "Indexes": indexes.REASONS,
    "Locks and work": locks.REASONS,
    "Rows": rows.REASONS,
    "SQL and Python of an author": code.REASONS,
    "Other objects": objects.REASONS,
    "Certain failures and objects in the way": obstacles.REASONS,
}

REASONS: dict[str, Reason] = {each.code: each for those in SUBJECTS.values() for each in those}


def reason(code: str) -> Reason:
    """The reason of that code; raises `UnknownReason`."""
    try:
        return REASONS[code]
    except KeyError:
        raise UnknownReason(code, REASONS) from None

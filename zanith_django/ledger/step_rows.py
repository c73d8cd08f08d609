"""The statuses of a step, and the ids of its rows. The models import it, so it imports nothing."""

from __future__ import annotations

import functools
import re

PENDING, RUNNING, DONE = "pending", "running", "done"
FAILED, SKIPPED, ROLLED_BACK = "failed", "skipped", "rolled_back"
FINISHED = (DONE, SKIPPED)

_FIRST, _LAST = "timestamptz '0001-01-03 00:00+00'", "timestamptz '9999-12-29 00:00+00'"

_STEP_ID = re.compile(r"(.*)::(\d{4,})(?:\.(\d+))?", re.DOTALL)


def step_id(migration_id: str, step: int, attempt: int = 1) -> str:
    """`<migration>::0003`, and `.2` after it from the second attempt on."""
    name = f"{migration_id}::{step:04d}"
    return name if attempt == 1 else f"{name}.{attempt}"


def readable_time(column: str) -> str:
    """SQL for a time that Python can hold in every time zone: PostgreSQL also has infinity."""
    return (
        f"CASE WHEN {column} < {_FIRST} THEN {_FIRST} "
        f"WHEN {column} > {_LAST} THEN {_LAST} ELSE {column} END"
    )


@functools.lru_cache(maxsize=10_000)
def split_step_id(row_id: str) -> tuple[str, int, int]:
    """(migration, step, attempt) of a step row's id."""
    match = _STEP_ID.fullmatch(row_id)
    if match is None:
        return row_id, 0, 1
    return match[1], int(match[2]), int(match[3] or 1)

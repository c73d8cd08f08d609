"""The level of raw SQL, Python and Django's operations by their effects on a shadow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zanith_django.exceptions import InvalidArgument
from zanith_django.operations.base import to_data
from zanith_django.plan.plan import Plan, PlannedStep
from zanith_django.plan.risk import Assessment
from zanith_django.postgres.locks import Lock

_DROPS = {
    "table": "drops_table_with_data",
    "foreign table": "drops_table_with_data",
    "materialized view": "drops_table_with_data",
    "column": "drops_column_with_data",
    "index": "drops_index",
    "statistics": "drops_index",
    "constraint": "drops_unique_constraint",
    "extension": "drops_extension",
    "policy": "rls_change",
}


# Whether one of these holds, the shadow knows better than a reader of the code; of the last ones
# only a shadow with rows.
_ANSWERED = {
    "raw_sql",
    "may_drop",
    "calls_functions",
    "locks_reads",
    "locks_writes",
    "rewrites_table",
    "scans_table",
}
_ANSWERED_WITH_ROWS = {"requires_backfill", "loops_over_rows", "python_code", "imports_models"}


@dataclass(frozen=True, slots=True)
class Observed:
    """The effects of one step on tables that rows are in. `data` says whether the shadow had rows:
    without rows, Python that reads rows and writes some of them seems to write none."""

    reasons: tuple[str, ...]
    data: bool


def digest(step: PlannedStep) -> str:
    """The hash of the observed code: of the operation, and of the SQL or Python that its author
    wrote."""
    text = json.dumps([to_data(step.operation), step.texts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_observed(path: str) -> dict[str, Observed]:
    """{digest: what was seen} from the JSON of zanith_verify. Raises `InvalidArgument`."""
    hint = "Make it with: zanith_verify --format json > FILE."
    try:
        data = json.loads(Path(path).read_text())
        return {
            step["digest"]: Observed(tuple(_reasons(step)), bool(data["data"]))
            for step in data["steps"]
            if not step["failed"] and not any(each["unseen"] for each in step["statements"])
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        words = f"it has no {error}" if isinstance(error, KeyError) else error
        raise InvalidArgument(f"--observed {path}: {words}", hint) from error


def _reasons(step: Mapping[str, Any]) -> Iterator[str]:
    """The reasons for the effects of a step on tables with rows."""
    in_use, statements = set(step["in_use"]), step["statements"]
    if any(in_use.intersection(statement["rewrites"]) for statement in statements):
        yield "rewrites_table"
    for kind in step["dropped_kinds"]:
        yield _DROPS.get(kind, "breaks_running_code")
    if "extension" in step["made_kinds"]:
        yield "adds_extension"
    writes = any(in_use.intersection(_written(statement)) for statement in statements)
    if writes:
        yield "requires_backfill"
    for statement in statements:
        locks = [_lock(mode) for name, mode in statement["locks"].items() if name in in_use]
        longest = max(locks, default=Lock.NONE)
        changes = statement["made"] or statement["dropped"]
        # A strong lock is brief unless rows are read or written under it, or it is all there is.
        if longest.blocks_writes and (statement["work"] or writes or not changes):
            yield "locks_reads" if longest.blocks_reads else "locks_writes"
        elif statement["work"] and locks:
            yield "scans_table"


def _written(statement: Mapping[str, Any]) -> Iterator[str]:
    """Tables that a statement writes rows of, or would if they had any."""
    yield from statement["rows"]
    yield from (n for n, mode in statement["locks"].items() if _lock(mode) is Lock.ROW_EXCLUSIVE)


def _lock(mode: str) -> Lock:
    return Lock[mode.replace(" ", "_")]


def with_observed(plan: Plan, observed: Mapping[str, Observed]) -> Plan:
    """The plan with raw SQL, Python and Django's operations judged by the observations."""
    migrations = tuple(
        dataclasses.replace(
            migration, steps=tuple(_judged(step, observed) for step in migration.steps)
        )
        for migration in plan.migrations
    )
    return dataclasses.replace(plan, migrations=migrations)


def _judged(step: PlannedStep, observed: Mapping[str, Observed]) -> PlannedStep:
    opaque = bool(step.operation.authored)
    found = observed.get(digest(step)) if opaque and step.waits else None
    if found is None:
        return step
    answered = _ANSWERED | (_ANSWERED_WITH_ROWS if found.data else set())
    kept = (code for code in step.assessment.reasons if code not in answered)
    judged = Assessment.of((*found.reasons, *kept))
    return dataclasses.replace(step, assessment=judged, observed=True)

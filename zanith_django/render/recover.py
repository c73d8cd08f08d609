"""Artifacts for a terminal and as JSON data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.management.color import Style

from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations.keep.kept import Restore
from zanith_django.plan.obstacles import Obstacle
from zanith_django.render.text import counted
from zanith_django.run.keeping import without_demand


def artifacts_text(rows: Sequence[ArtifactRow], style: Style, *, every: bool) -> Iterator[str]:
    """Newest first; `every` includes those that were restored or purged."""
    live = [row for row in rows if row.expires_at is None]
    if not live:
        yield "Nothing is kept: no column or table waits to be brought back."
    else:
        yield f"Kept, and can be brought back ({len(live)}):"
        yield from _listed(live, style)
    ended = [row for row in rows if row.expires_at is not None]
    if every and ended:
        yield f"Restored or purged ({len(ended)}):"
        yield from _listed(ended, style)


def left_off_text(left_off: Sequence[Obstacle], style: Style) -> Iterator[str]:
    """The constraints that were left out because rows inserted since the drop violate them."""
    if not left_off:
        return
    yield str(style.WARNING("Still missing, because rows that came since do not allow it:"))
    for obstacle in left_off:
        yield f"  {obstacle}"
    yield "Fix these rows. zanith_rollback of the migration that dropped it adds what is missing."


def restored_text(operation: Restore, field: str) -> Iterator[str]:
    """The next commands for a column that no model has: how to keep it, with this field, or to drop
    it again."""
    (column,) = operation.restored.columns
    if without_demand(operation) != operation:
        yield f"{operation.target} accepts NULL until a model has it: running code leaves it out."
    model = operation.model or f"the model of {operation.home}"
    yield f"To keep it, add the field to {model}:"
    yield f"    {field or f'# the column {column.name}, of type {column.type}'}"
    yield "then run, and deploy as usual:"
    for command in ("zanith_generate", "zanith_plan", "zanith_apply"):
        yield f"    manage.py {command}"


def _listed(rows: Iterable[ArtifactRow], style: Style) -> Iterator[str]:
    for row in rows:
        yield f"{style.MIGRATE_HEADING(f'▸ {row.target}')}  {_rows(row)}, {_since(row)}"
        yield f"  {row.id}"


def _rows(row: ArtifactRow) -> str:
    thing = "value" if row.source_column else "row"
    return "" if row.row_count is None else counted(row.row_count, thing)


def _since(row: ArtifactRow) -> str:
    ended = f", ended {row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else ""
    return f"dropped {row.created_at:%Y-%m-%d %H:%M}{ended}"


def artifact_text(row: ArtifactRow) -> Iterator[str]:
    """Every column of one artifact, its recovery SQL last."""
    values = dataclasses.asdict(row)
    recovery = values.pop("recovery_sql")
    metadata = values.pop("metadata")
    width = max(map(len, values))
    for name, value in values.items():
        yield f"{name:<{width}}  {'' if value is None else value}"
    yield "metadata"
    yield from (f"  {line}" for line in json.dumps(metadata, indent=2).splitlines())
    yield "recovery_sql (to read; zanith_recover never runs it)"
    yield from (f"  {line}" for line in recovery.splitlines())


def artifact_data(row: ArtifactRow) -> dict[str, Any]:
    """One artifact as JSON data: the columns of the ledger, and its target."""
    return {"target": row.target, **dataclasses.asdict(row)}

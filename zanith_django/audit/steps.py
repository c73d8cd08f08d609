"""The details of steps, for admin, history, JSON and ask alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zanith_django.audit.written import written
from zanith_django.ledger.details import Attempt, StepDetail
from zanith_django.ledger.ledger import Ledger

UNKNOWN = StepDetail()


def details_of(
    ledger: Ledger,
    attempts: Iterable[Attempt],
    kept: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, StepDetail]:
    """{row: its details} of all attempts. Details that the ledger does not have come from the
    migration's file, or from Django's migration. `kept` are details that the caller has read."""
    rows = list(attempts)
    known = ledger.details(rows, kept)
    return {row.id: known.get(row.id) or written(row.id) or UNKNOWN for row in rows}


def touches(detail: StepDetail, table: str) -> bool:
    """Is the step about this table? `users` is that of the default schema, too."""
    plain = table.removeprefix("public.")
    names = {name.removeprefix("public.") for name in detail.tables}
    return plain in names or detail.target.removeprefix("public.") == plain

"""The details of a step beyond its ten columns: kept in the `before` snapshot beside the graph."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from zanith_django.files.migration import is_djangos
from zanith_django.ledger.access import json_object
from zanith_django.ledger.snapshots import Snapshots
from zanith_django.ledger.step_rows import split_step_id, step_id


class Attempt(Protocol):
    """A row of a step, as the ledger or the Django model has it."""

    @property
    def id(self) -> str: ...
    @property
    def migration_id(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class StepDetail:
    """The details of one attempt at a step. `lock` is the strongest that it takes, `estimate` the
    seconds that the plan expected, `by` who ran it, and `undoes` the row that it rolls back."""

    target: str = ""
    description: str = ""
    lock: str = ""
    reasons: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    rows: int = 0
    estimate: float | None = None
    by: str = ""
    undoes: str = ""

    def to_json(self) -> dict[str, Any]:
        """The known details as JSON."""
        empty = ("", (), None, 0)
        return {k: v for k, v in dataclasses.asdict(self).items() if v not in empty}

    @classmethod
    def from_json(cls, data: object) -> StepDetail:
        """The details that this release can read; another release or user may have written
        others."""
        if not isinstance(data, Mapping):
            return cls()
        texts = (str(data.get(name) or "") for name in ("target", "description", "lock"))
        target, description, lock = texts
        return cls(
            target,
            description,
            lock,
            _texts(data.get("reasons")),
            _texts(data.get("tables")),
            int(_number(data.get("rows")) or 0),
            _number(data.get("estimate")),
            str(data.get("by") or ""),
            str(data.get("undoes") or ""),
        )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def spelled(details: Mapping[str, StepDetail]) -> dict[str, Any]:
    """{row: detail} as the JSON that `write_snapshot` keeps."""
    return {row_id: detail.to_json() for row_id, detail in details.items()}


class Details(Snapshots):
    """The details of steps in `_zanith_schema_snapshots`.

    An attempt without its own has those of the attempt before it. Django's migrations of one
    unbroken stretch share the snapshot of the first.
    """

    def add_details(self, home: str, details: Mapping[str, StepDetail]) -> None:
        """Adds them to the `before` snapshot of the migration `home`; does nothing without a
        snapshot."""
        if not details:
            return
        self._run(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, '{run,details}', "
            "coalesce(graph #> '{run,details}', '{}') || %s::jsonb) "
            "WHERE migration_id = %s AND phase = 'before' "
            "AND jsonb_typeof(graph -> 'run') = 'object'",
            [json.dumps(spelled(details)), home],
        )

    def details(
        self, attempts: Iterable[Attempt], known: Mapping[str, dict[str, Any]] | None = None
    ) -> dict[str, StepDetail]:
        """{row: its details}, if they are known. It reads no graph. `known` are details of
        migrations, as JSON, that the caller has read."""
        rows = list(attempts)
        if not rows or not self.exists():
            return {}
        known = known or self._kept({row.migration_id for row in rows})
        rest = (row for row in rows if row.migration_id not in known)
        missing = [row for row in rest if is_djangos(row.migration_id)]
        if missing:
            known = {**known, **self._kept_elsewhere(missing)}
        found = {row.id: _of(row.id, known.get(row.migration_id, {})) for row in rows}
        return {row_id: detail for row_id, detail in found.items() if detail}

    def _kept(self, migrations: set[str]) -> dict[str, dict[str, Any]]:
        rows = self._rows(
            "SELECT migration_id, (graph #> '{run,details}')::text FROM _zanith_schema_snapshots "
            "WHERE phase = 'before' AND migration_id = ANY (%s)",
            [sorted(migrations)],
        )
        return {name: json_object(text) for name, text in rows if text}

    def _kept_elsewhere(self, attempts: Sequence[Attempt]) -> dict[str, dict[str, Any]]:
        """Details of Django's migrations, from the newest snapshot that was taken before they
        began."""
        began = {row.migration_id: row.started_at for row in attempts if row.started_at}
        rows = self._rows(
            "WITH wanted AS MATERIALIZED ("
            "SELECT w.id, home.migration_id AS home "
            "FROM unnest(%s::text[], %s::timestamptz[]) AS w(id, began) "
            "CROSS JOIN LATERAL (SELECT migration_id FROM _zanith_schema_snapshots "
            "WHERE phase = 'before' AND starts_with(migration_id, 'django:') "
            "AND captured_at <= began ORDER BY captured_at DESC LIMIT 1) AS home) "
            "SELECT ARRAY(SELECT id FROM wanted WHERE home = s.migration_id), "
            "(graph #> '{run,details}')::text FROM _zanith_schema_snapshots AS s "
            "WHERE phase = 'before' AND migration_id IN (SELECT home FROM wanted)",
            [list(began), list(began.values())],
        )
        return {name: kept for names, text in rows if (kept := json_object(text)) for name in names}


def _of(row_id: str, kept: Mapping[str, Any]) -> StepDetail | None:
    """The details of this attempt, or of the newest one before it."""
    migration_id, step, attempt = split_step_id(row_id)
    for number in range(attempt, 0, -1):
        name = step_id(migration_id, step, number)
        if name in kept:
            return StepDetail.from_json(kept[name])
    return None

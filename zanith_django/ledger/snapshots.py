"""The schema before and after each migration, and the facts of its run."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.ledger.access import json_object
from zanith_django.ledger.checkpoints import APPLY
from zanith_django.ledger.marks import every
from zanith_django.ledger.paces import Paces
from zanith_django.ledger.step_rows import (
    readable_time,
    step_id,
)
from zanith_django.schema.graph import SchemaGraph

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
BASELINE = "baseline"


# {key in the JSON of a run: its empty value} of data that a new snapshot adds to and never
# replaces.
_STAYING = {"details": "{}", "past": "[]"}
_STAYS = ", ".join(
    f"'{name}', coalesce(s.graph #> '{{run,{name}}}', '{nothing}') "
    f"|| coalesce(excluded.graph #> '{{run,{name}}}', '{nothing}')"
    for name, nothing in _STAYING.items()
)
# The run of a migration ended in one of these ways: a rollback undid it, or a verb of
# zanith_recover worked on the same artifact once more.
UNDONE, REPEATED = "rolled_back", "repeated"
_ENDED = "coalesce(graph #>> '{run,rolled_back,run}', graph #>> '{run,repeated,run}')"
_OF_PAST = "graph -> 'run' ?| ARRAY['rolled_back', 'repeated']"
# Snapshots of such a run stay: as before.1 and after.1 when the migration runs again.
_WRITE = f"""\
WITH earlier AS (
    INSERT INTO _zanith_schema_snapshots (migration_id, phase, graph, captured_at)
    SELECT migration_id, phase || '.' || {_ENDED},
        CASE phase WHEN 'before' THEN jsonb_set(graph, '{{run}}',
            coalesce(graph #> '{{run,past,-1}}', '{{}}'))
        ELSE graph END, captured_at
    FROM _zanith_schema_snapshots
    WHERE migration_id = %s AND phase = %s AND {_ENDED} IS NOT NULL
    ON CONFLICT DO NOTHING)
INSERT INTO _zanith_schema_snapshots AS s (migration_id, phase, graph, captured_at)
VALUES (%s, %s, %s::jsonb || jsonb_build_object('run', %s::jsonb), clock_timestamp())
ON CONFLICT (migration_id, phase) DO UPDATE SET captured_at = excluded.captured_at,
    graph = excluded.graph
        || jsonb_build_object('run', (excluded.graph -> 'run') || jsonb_build_object({_STAYS}))"""

_BECOMES_PAST = """\
UPDATE _zanith_schema_snapshots
SET graph = jsonb_set(graph, '{run}', %s::jsonb || jsonb_build_object(
    'checksum', graph #> '{run,checksum}',
    'details', coalesce(graph #> '{run,details}', '{}'),
    'past', coalesce(graph #> '{run,past}', '[]') || %s::jsonb))
WHERE migration_id = %s AND phase = 'before' AND jsonb_typeof(graph -> 'run') = 'object'"""
_NOT_PAST = ("past", "details", UNDONE, REPEATED, "checksum")

RUNS = f"""\
SELECT migration_id, phase, ((graph -> 'run') - 'details')::text
FROM _zanith_schema_snapshots
WHERE jsonb_typeof(graph -> 'run') = 'object' AND (phase = 'before' OR NOT {_OF_PAST})"""
# The tables before the run that the checkpoint of runs names.
BEFORE_RUN = f"""\
SELECT ARRAY(SELECT jsonb_object_keys(s.graph -> 'tables'))
FROM _zanith_migration_checkpoints AS c
JOIN _zanith_schema_snapshots AS s ON s.migration_id = c.cursor ->> 'first' AND s.phase = 'before'
WHERE c.id = '{APPLY}' AND jsonb_typeof(s.graph -> 'tables') = 'object'"""

_PHASE = re.compile(r"baseline|(before|after)(\.[1-9]\d*)?")


def is_phase(text: str) -> bool:
    """Is it `before`, `after` or `baseline`, or that of a rolled-back run (`after.2` for the second
    one)?"""
    return _PHASE.fullmatch(text) is not None


def ran_in_past(run: Mapping[str, Any]) -> bool:
    """What is stored beside a snapshot names it as one of an earlier run."""
    return UNDONE in run or REPEATED in run


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A graph as JSON text, with its fingerprint."""

    graph: SchemaGraph
    text: str
    checksum: str


class Snapshots(Paces):
    """`_zanith_schema_snapshots`: the schema before and after a migration, and who ran it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._last: _Spelled | None = None

    def write_snapshot(
        self, migration_id: str, phase: str, graph: SchemaGraph, run: Mapping[str, Any]
    ) -> None:
        """Stores the graph, and beside it in the same JSON who made it and from which file. The
        data about steps and earlier runs in an older snapshot of the same phase stays, and the
        snapshot of a rolled-back run stays as a whole."""
        spelled = self._spelled(graph)
        more = self._beside_after() if phase == "after" else {}
        beside = json.dumps({**run, **more, "checksum": spelled.checksum})
        key = [migration_id, phase]
        self._run(_WRITE, [*key, *key, spelled.text, beside])

    def _spelled(self, graph: SchemaGraph) -> _Spelled:
        """The graph as JSON. The last one is cached: the `after` of a migration is the `before` of
        the next."""
        if self._last is None or self._last.graph is not graph:
            self._last = _Spelled(graph, json.dumps(graph.to_json()), graph.fingerprint())
        return self._last

    def follow_edits(self, migration_id: str, digests: Sequence[str]) -> None:
        """Records the edited steps of an unfinished migration, and deletes the checkpoints of
        operations that changed."""
        known = self._rows(
            "SELECT (graph #> '{run,steps}')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = 'before'",
            [migration_id],
        )
        before = json.loads(known[0][0] or "null") if known else None
        if not isinstance(before, list):
            return
        pairs = enumerate(itertools.zip_longest(before, digests), 1)
        edited = {number for number, (old, new) in pairs if old != new}
        if not edited:
            return
        for step in self.checkpointed(migration_id) & edited:
            name = every(step_id(migration_id, step))
            table = "_zanith_migration_checkpoints"
            self._run(f"DELETE FROM {table} WHERE starts_with(id, %s)", [name])
        self._run(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, '{run,steps}', %s) "
            "WHERE migration_id = %s AND phase = 'before'",
            [json.dumps(digests), migration_id],
        )

    def mark_undone(
        self, migration_id: str, by: Mapping[str, Any], applied_at: datetime | None
    ) -> None:
        """Marks the snapshots of an undone run with the user who undid it, and lists the run beside
        `before` as a past one."""
        self._mark_past(UNDONE, migration_id, by, applied_at)

    def mark_repeated(
        self, migration_id: str, by: Mapping[str, Any], applied_at: datetime | None
    ) -> None:
        """As `mark_undone`, of a run after which `by` begins another."""
        if ran_in_past(self.run_of(migration_id)):  # the last run did not come to its end
            applied_at = None
        self._mark_past(REPEATED, migration_id, by, applied_at)

    def _mark_past(
        self, ended: str, migration_id: str, by: Mapping[str, Any], applied_at: datetime | None
    ) -> None:
        known, after = (self.run_of(migration_id, phase) for phase in ("before", "after"))
        past = known.get("past")
        mark = {**by, "run": len(past) + 1 if isinstance(past, list) else 1}
        ran = known if not after or ran_in_past(after) else after
        gone = {key: value for key, value in ran.items() if key not in _NOT_PAST} | {
            "applied_at": applied_at.isoformat() if applied_at else None,
            ended: mark,
        }
        self._run(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, %s, %s) "
            "WHERE migration_id = %s AND phase = 'after' "
            f"AND jsonb_typeof(graph -> 'run') = 'object' AND NOT {_OF_PAST}",
            [["run", ended], json.dumps(mark), migration_id],
        )
        run = {**by, ended: mark}
        self._run(_BECOMES_PAST, [json.dumps(run), json.dumps([gone]), migration_id])

    def snapshot(self, migration_id: str, phase: str = "after") -> dict[str, Any] | None:
        """The stored JSON of graph and run; None if there is none."""
        if not self.exists():
            return None
        rows = self._rows(
            "SELECT graph::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s",
            [migration_id, phase],
        )
        return json.loads(rows[0][0]) if rows else None

    def run_of(self, migration_id: str, phase: str = "after") -> dict[str, Any]:
        """The data stored beside the graph of a snapshot; empty without one."""
        if not self.exists():
            return {}
        rows = self._rows(
            "SELECT ((graph -> 'run') - 'details')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s AND jsonb_typeof(graph -> 'run') = 'object'",
            [migration_id, phase],
        )
        return json_object(rows[0][0]) if rows else {}

    def phases(self, migration_id: str) -> list[tuple[str, datetime, dict[str, Any]]]:
        """(phase, when it was taken, what is stored beside the graph) of a migration's snapshots,
        oldest first; `before` with the details of its steps."""
        rows = self._rows(
            f"SELECT phase, {readable_time('captured_at')}, "
            "CASE jsonb_typeof(graph -> 'run') WHEN 'object' THEN (graph -> 'run')::text END "
            "FROM _zanith_schema_snapshots WHERE migration_id = %s ORDER BY captured_at",
            [migration_id],
        )
        return [(phase, captured_at, json_object(run)) for phase, captured_at, run in rows]

    def runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(migration, phase): what is stored beside the graph}, without reading the graphs. Of an
        earlier run there is only `before`, which names the past runs."""
        if not self.exists():
            return {}
        return {(row[0], row[1]): json_object(row[2]) for row in self._rows(RUNS)}

    def accepted(self) -> list[str]:
        """Applied or unfinished migrations that zanith_baseline accepted without a file."""
        if not self.exists():
            return []
        rows = self._rows(
            "SELECT (graph #> '{run,accepted}')::text FROM _zanith_schema_snapshots "
            "WHERE migration_id = %s AND phase = %s",
            [BASELINE, BASELINE],
        )
        found = json.loads(rows[0][0] or "[]") if rows else []
        return found if isinstance(found, list) else []

    def tables_before_run(self) -> frozenset[str] | None:
        """The tables that were there before the run that was interrupted, by their names with
        schema; None if the last run came to its end."""
        rows = self._rows(BEFORE_RUN) if self.exists() else []
        return frozenset(rows[0][0]) if rows else None

    def table_counts(self) -> dict[str, int]:
        """{migration: number of tables in its snapshot}; `before` is that of another migration."""
        if not self.exists():
            return {}
        rows = self._rows(
            "SELECT migration_id, CASE jsonb_typeof(graph->'tables') WHEN 'object' "
            "THEN (SELECT count(*) FROM jsonb_object_keys(graph->'tables')) ELSE 0 END "
            "FROM _zanith_schema_snapshots WHERE phase IN ('baseline', 'after') "
            "ORDER BY migration_id, phase = 'after'"
        )
        return dict(rows)

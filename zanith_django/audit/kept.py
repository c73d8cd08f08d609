"""The artifacts of recoverable drops, with their size on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _

from zanith_django.audit.questions import Answer, Question, readable

SHOWN = 10

# A kept table has a size. The size of a hidden column is an estimate by the width of its values in
# the statistics, and unknown before the first ANALYZE.
KEPT = Question(
    "kept",
    _("Kept data"),
    f"""\
WITH kept AS (
    SELECT id, row_count, created_at, count(*) OVER () AS number,
           split_part(physical_name, '.', 1)::name AS place,
           substr(physical_name, strpos(physical_name, '.') + 1)::name AS called
    FROM _zanith_migration_artifacts WHERE expires_at IS NULL
    ORDER BY created_at DESC, id LIMIT {SHOWN}),
tables AS (
    SELECT n.nspname, c.relname, pg_total_relation_size(c.oid) AS bytes
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (SELECT place, called FROM kept) AND c.relkind IN ('r', 'p')),
columns AS (
    SELECT s.attname, sum(c.reltuples::float8 * (1 - s.null_frac) * s.avg_width)::bigint AS bytes
    FROM pg_catalog.pg_stats AS s
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schemaname
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename
    WHERE s.attname IN (SELECT called FROM kept) AND c.reltuples > 0
    GROUP BY s.attname)
SELECT k.id, k.row_count, k.created_at, coalesce(t.bytes, o.bytes) AS bytes, k.number
FROM kept AS k
LEFT JOIN tables AS t ON t.nspname = k.place AND t.relname = k.called
LEFT JOIN columns AS o ON o.attname = k.called
ORDER BY k.created_at DESC, k.id;""",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact that can be restored; `bytes` is None if its size is unknown."""

    id: str
    rows: int | None
    created_at: Any
    bytes: int | None

    @property
    def target(self) -> str:
        return self.id.rsplit("::", 1)[-1]

    @property
    def age(self) -> str:
        """The age; a time that Python cannot hold is shown as PostgreSQL prints it."""
        at = self.created_at
        return timesince(at) if isinstance(at, datetime) else str(at)


def kept(answer: Answer) -> tuple[list[Kept], int]:
    """(the newest ones, the number of others)."""
    rows = answer.rows
    found = [Kept(row[0], row[1], readable(row[2]), row[3]) for row in rows]
    return found, rows[0][4] - len(rows) if rows else 0

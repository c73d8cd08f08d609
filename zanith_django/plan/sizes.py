"""The sizes of tables: estimates of the live database, or from a file of production."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zanith_django.exceptions import InvalidArgument
from zanith_django.operations.base import TableFacts
from zanith_django.postgres.locks import LOCKED_BY_OTHERS
from zanith_django.postgres.names import TableName

# A table that has not grown since ANALYZE has the rows that ANALYZE counted, or more that were
# inserted since. For one that has grown, the pages count times the rows on a page. If ANALYZE saw a
# few pages or no row, or never ran, the statistics have what was inserted and not deleted; they may
# have been reset, so a full page counts for a tenth of the rows that its columns leave room for.
# Nothing has more than 226 rows on a page of 8 kB. A table is the sum of itself and of its
# partitions and other heirs. The size of a file can be read only under
# a lock on the table: one that another session locks has the pages of its last ANALYZE.
# The last column: another session locks the table or a part of it.
SIZES = f"""\
WITH RECURSIVE locked AS MATERIALIZED ({LOCKED_BY_OTHERS}), known AS (
    SELECT c.oid, size.bytes,
           CASE WHEN c.reltuples > 0 AND size.pages <= c.relpages
                THEN greatest(c.reltuples, least(stat.live, 226 * size.pages))
                WHEN c.reltuples > 0 AND c.relpages >= 10
                THEN greatest(size.pages * c.reltuples / c.relpages,
                              least(stat.live, 226 * size.pages))
                WHEN stat.live > 0
                THEN greatest(least(stat.live, 226 * size.pages), size.pages * width.per_page / 10)
                ELSE size.pages * width.per_page
           END AS rows,
           stat.writes, stat.reads
    FROM pg_catalog.pg_class c
    CROSS JOIN LATERAL (
        SELECT c.relpages::float8 AS pages,
               c.relpages * current_setting('block_size')::bigint AS bytes
        WHERE c.oid IN (TABLE locked)
        UNION ALL
        SELECT pg_relation_size(c.oid) / current_setting('block_size')::float8,
               pg_total_relation_size(c.oid)
        WHERE c.oid NOT IN (TABLE locked)
    ) AS size
    CROSS JOIN LATERAL (
        SELECT coalesce(pg_stat_get_live_tuples(c.oid), 0) AS live,
               pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                   + pg_stat_get_tuples_deleted(c.oid) AS writes,
               pg_stat_get_numscans(c.oid) AS reads
    ) AS stat
    CROSS JOIN LATERAL (
        SELECT current_setting('block_size')::float8
                   / (28 + coalesce(sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 24 END), 0))
               AS per_page
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS width
    WHERE c.relkind = 'r' AND c.relnamespace NOT IN (
        SELECT oid FROM pg_catalog.pg_namespace
        WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
), whole AS (
    SELECT oid, oid AS part FROM known
    UNION
    SELECT partrelid, partrelid FROM pg_catalog.pg_partitioned_table
    UNION
    SELECT whole.oid, i.inhrelid
    FROM whole JOIN pg_catalog.pg_inherits i ON i.inhparent = whole.part
)
SELECT n.nspname, c.relname, coalesce(sum(known.rows), 0)::bigint,
       coalesce(sum(known.bytes), 0)::bigint, coalesce(sum(known.writes), 0)::bigint,
       coalesce(sum(known.reads), 0)::bigint,
       bool_or(whole.oid IN (TABLE locked) OR whole.part IN (TABLE locked))
FROM whole
JOIN pg_catalog.pg_class c ON c.oid = whole.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN known ON known.oid = whole.part
GROUP BY n.nspname, c.relname"""


def sizes_of(
    rows: Iterable[tuple[Any, ...]], schema: str
) -> tuple[dict[TableName, TableFacts], set[TableName]]:
    """The rows of `SIZES`: the sizes, and the tables that another session locks."""
    sizes, locks = {}, set()
    for place, name, *facts, locked in rows:
        table = TableName("" if place == schema else place, name)
        sizes[table] = TableFacts(*facts)
        if locked:
            locks.add(table)
    return sizes, locks


_HINT = "Make it in production: zanith_diff live --format graph > sizes.json."


def read_sizes(path: str) -> dict[str, object]:
    """A graph with sizes, as `zanith_diff live --format graph` prints it. Raises
    `InvalidArgument` for anything else."""
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise InvalidArgument(f"--sizes {path}: {error.strerror}", _HINT) from error
    except ValueError as error:
        raise InvalidArgument(f"--sizes {path} is not JSON: {error}", _HINT) from error
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise InvalidArgument(f"--sizes {path} has a {kind}, not a graph.", _HINT)
    if not isinstance(data.get("rows"), Mapping):
        raise InvalidArgument(f'--sizes {path} has no "rows": it is a graph without sizes.', _HINT)
    for name, value in data["rows"].items():
        if wrong := _wrong(value):
            raise InvalidArgument(f"--sizes {path}: {name} has {wrong}.", _HINT)
    return data


def _wrong(value: object) -> str:
    if not isinstance(value, Mapping):
        return f"{value!r}, which is not {{'rows': …, 'bytes': …}}"
    for key in ("rows", "bytes"):
        number = value.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            never = ", a table that was never analysed: run ANALYZE" if number == -1 else ""
            return f"{key} {number!r}{never}"
    return ""

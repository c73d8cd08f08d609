"""The sessions that block a waiting session: found, described, and found again later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.base import Statement
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName

_OF_SESSION = """\
a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''),
       coalesce(a.state, a.backend_type, 'unknown'), coalesce(a.xact_start::text, ''),
       coalesce(date_trunc('second', clock_timestamp() - a.xact_start)::text, ''),
       left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80)"""

# Sessions with a lock that conflicts with one of these modes on these tables.
CONFLICTING = f"""\
SELECT {_OF_SESSION}
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.pid IN (
    SELECT l.pid FROM pg_locks l
    JOIN unnest(%s::text[], %s::text[]) AS wanted(name, mode)
      ON l.relation = to_regclass(wanted.name) AND l.mode = wanted.mode
    WHERE l.granted AND l.locktype = 'relation'
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
ORDER BY a.xact_start LIMIT 3"""

# Sessions that the backend of this number waits for: for locks of any kind, and for snapshots.
WAITED_FOR = f"""\
SELECT {_OF_SESSION}
FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids(%s))
ORDER BY a.xact_start LIMIT 3"""

# The transactions among these that are still open.
STILL_THERE = f"""\
SELECT {_OF_SESSION}
FROM pg_stat_activity a
JOIN unnest(%s::int[], %s::text[]) AS known(pid, since)
  ON a.pid = known.pid AND a.xact_start::text = known.since
ORDER BY a.xact_start"""

# Sessions whose transactions have written or locked a row of this range. If several sessions share
# a row lock, PostgreSQL stores the number of a group instead, and the query does not find them.
LOCKING_ROWS = f"""\
SELECT {_OF_SESSION}
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.pid IN (
    SELECT l.pid FROM pg_locks l
    WHERE l.granted AND l.locktype = 'transactionid' AND l.transactionid IN (
        SELECT xmax FROM {{table}} WHERE {{condition}} AND ({{where}}) AND xmax <> '0'::xid)
)
ORDER BY a.xact_start LIMIT 3"""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session and its transaction: its beginning, its age, and its current query."""

    pid: int
    user: str
    application: str
    state: str
    since: str
    age: str
    query: str

    def __str__(self) -> str:
        known = (("user", self.user), ("application", self.application))
        who = [f"{word} {name}" for word, name in known if name]
        about = ", ".join((self.state, self.age or "just now", *who))
        return f"pid {self.pid} ({about}): {self.query}"


def blockers(rows: Iterable[Sequence[Any]]) -> tuple[Blocker, ...]:
    """The blockers from the rows of one of these queries."""
    return tuple(Blocker(*row) for row in rows)


def named(found: Iterable[Blocker]) -> str:
    """All of them in one line."""
    return "; ".join(map(str, found))


def wanted(statements: Iterable[Statement]) -> tuple[list[str], list[str]]:
    """(tables, lock modes) of locks that conflict with these statements."""
    pairs = [
        (_spelled(table), mode.catalog)
        for statement in statements
        for table in statement.tables
        for mode in statement.lock.conflicts
    ]
    return [name for name, _ in pairs], [mode for _, mode in pairs]


def _spelled(name: TableName) -> str:
    """The name for `to_regclass`; without a schema, the search_path decides."""
    return sql.qualified(*name) if name.schema else sql.ident(name.name)

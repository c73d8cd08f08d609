"""The sessions of this database that wait now, and those that they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_WAITING = """\
SELECT w.pid, coalesce(w.usename, ''), coalesce(w.application_name, ''), coalesce(w.query, ''),
       extract(epoch FROM clock_timestamp() - coalesce(w.state_change, w.query_start))::float8,
       b.pid, coalesce(b.usename, ''), coalesce(b.application_name, ''), coalesce(b.state, ''),
       coalesce(b.query, ''), extract(epoch FROM clock_timestamp() - b.xact_start)::float8
FROM pg_stat_activity AS w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
JOIN pg_stat_activity AS b ON b.pid = blocking.pid
WHERE w.datname = current_database()
ORDER BY 5 DESC NULLS LAST LIMIT 100"""


@dataclass(frozen=True, slots=True)
class Session:
    """One session; `seconds` is how long it has waited, or how old its transaction is."""

    pid: int
    user: str
    application: str
    query: str
    seconds: float | None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A session that waits, and one that it waits for."""

    waiting: Session
    blocker: Session


def waits(connection: BaseDatabaseWrapper) -> list[Wait]:
    """Every pair of sessions, the longest wait first. Queries of other roles may be hidden."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return [_wait(*row) for row in cursor.fetchall()]


def _wait(*row: Any) -> Wait:
    pid, user, application, query, seconds, *other = row
    blocker, its_user, its_application, state, its_query, age = other
    return Wait(
        Session(pid, user, application, query, seconds),
        Session(blocker, its_user, its_application, its_query, age, state),
    )

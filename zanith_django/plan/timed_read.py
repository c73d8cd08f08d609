"""A timed read of one table: how fast this server reads, if no run has measured it yet."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.operations.base import Context
from zanith_django.plan.durations import Rates, weight
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import is_open, milliseconds

_SECONDS = 1.0
_BYTES = 32_000_000
# A smaller table measures the round trip rather than the server.
_LEAST_ROWS = 50_000

_READ = "SELECT count(*) FROM {table} TABLESAMPLE SYSTEM ({percent})"


def with_timed_read(
    connection: BaseDatabaseWrapper, rates: Rates, names: Iterable[TableName], context: Context
) -> Rates:
    """`rates`, with those that nothing measured derived from a read of the largest of the tables.
    The caller's transaction bounds the wait for its lock."""
    known = {name: context.facts[name] for name in names if name in context.facts}
    name = max(known, key=lambda each: known[each].bytes, default=None)
    if not rates.seeds or name is None or known[name].rows < _LEAST_ROWS:
        return rates
    facts = known[name]
    share = min(1.0, _BYTES / max(facts.bytes, 1))
    seconds = _seconds(connection, name, 100 * share, context.schema)
    rows = weight(facts.rows, facts.bytes) * share
    return rates.seeded(rows / seconds) if seconds else rates


def _seconds(
    connection: BaseDatabaseWrapper, name: TableName, percent: float, schema: str
) -> float | None:
    """None if the table is locked, may not be read, or takes too long."""
    text = sql.compose(_READ, table=sql.table(name, schema), percent=sql.literal(percent))
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            bound = milliseconds(_SECONDS)
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [bound])
            started = time.monotonic()
            cursor.execute(text)
            return max(time.monotonic() - started, 1e-6)
    except DatabaseError:
        if not is_open(connection):
            raise
        return None

"""Rows per second of a backfill against one plain UPDATE of the same rows, in the same run.

    DATABASE_URL=postgres://… python benchmarks/backfill.py [rows] [--rounds N] [--key KEY]

The key is bigint, uuid or none. Nothing stays in the database: the table and the ledger live in a
schema that is dropped at the end.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import django
import environ
from django.conf import settings
from django.db import connection

sys.path.insert(0, str(Path(__file__).parent.parent))

from zanith_django import sql
from zanith_django.backfill import backfill
from zanith_django.ledger import Ledger
from zanith_django.operations.base import Context
from zanith_django.operations.columns import update_in_batches
from zanith_django.schema.graph import TableName

SCHEMA = "_zanith_benchmark"
KEYS = {
    "bigint": ("g::bigint", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    "uuid": ("gen_random_uuid()", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    "none": ("g::bigint", ""),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="?", type=int, default=10**6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--key", choices=KEYS, default="bigint")
    arguments = parser.parse_args()
    database = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    try:
        ratios = [one_round(number, arguments) for number in range(arguments.rounds)]
    finally:
        execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"median ratio {statistics.median(ratios):.2f}, peak memory {memory} MB")


def one_round(number: int, arguments: argparse.Namespace) -> float:
    """The two take turns at going first, so that neither profits from what the other warmed."""
    rates: dict[str, float] = {}
    for way in (plain, batched) if number % 2 == 0 else (batched, plain):
        make_table(arguments.rows, arguments.key)
        started = time.perf_counter()
        way(arguments.rows)
        rates[way.__name__] = arguments.rows / (time.perf_counter() - started)
    ratio = rates["batched"] / rates["plain"]
    print(
        f"{arguments.rows:,} rows, key {arguments.key}: plain UPDATE {rates['plain']:,.0f} rows/s, "
        f"backfill {rates['batched']:,.0f} rows/s, ratio {ratio:.2f}"
    )
    return ratio


def make_table(rows: int, key: str) -> None:
    value, constraint = KEYS[key]
    execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    execute(f"CREATE SCHEMA {SCHEMA}")
    execute(f"SET search_path = {SCHEMA}")
    execute(
        f"CREATE TABLE t AS SELECT {value} AS id, 'customer ' || g AS name, NULL::text AS slug "
        f"FROM generate_series(1, {rows}) AS g"
    )
    if constraint:
        execute(constraint)
    execute("ALTER TABLE t SET (autovacuum_enabled = off)")
    Ledger(connection).ensure()
    execute("VACUUM ANALYZE t")
    execute("CHECKPOINT")


def plain(rows: int) -> None:
    execute("UPDATE t SET slug = lower(name) WHERE slug IS NULL")


def batched(rows: int) -> None:
    batches = update_in_batches(
        TableName(SCHEMA, "t"),
        sql.clause("slug = lower(name)"),
        sql.clause("slug IS NULL"),
        Context(),
    )
    written = backfill(
        connection,
        batches,
        ledger=Ledger(connection),
        checkpoint_id="benchmark::0001",
        migration_id="benchmark",
        schema=SCHEMA,
        batch_seconds=0.1,
    )
    assert written == rows


def execute(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


if __name__ == "__main__":
    main()

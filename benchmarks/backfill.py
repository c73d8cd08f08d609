"""Rows per second of a backfill against one plain UPDATE of the same rows, in the same run.

    DATABASE_URL=postgres://… python benchmarks/backfill.py [rows] [--rounds N] [--key KEY]
    DATABASE_URL=postgres://… python benchmarks/backfill.py [rows] [--indexes N]
    DATABASE_URL=postgres://… python benchmarks/backfill.py [rows] --clients 10 [--key bigint]

The key is bigint, uuid or none; the table may have more indexes than that of its key. Beside the
rows per second stands how many times its size the table has afterwards. With clients, who update
rows all over the table meanwhile, it tells how long a row was locked: a batch is a transaction, so
at most as long as its batch took; and how long the clients' updates took, in a table at rest and
while it is filled.
Nothing stays in the database: the table and the ledger live in a schema that is dropped at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import environ
import psycopg
from django.conf import settings
from django.db import connection

sys.path.insert(0, str(Path(__file__).parent.parent))

from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Context
from zanith_django.operations.column_sql import update_in_batches
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.run.backfill import backfill
from zanith_django.run.progress import Progress

SCHEMA = "_zanith_benchmark"
REST = 3.0  # seconds in which the clients are alone
KEYS = {
    "bigint": ("g::bigint", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    "uuid": ("gen_random_uuid()", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    "none": ("g::bigint", ""),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="?", type=int, default=10**6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--key", choices=KEYS, default="bigint")
    parser.add_argument("--indexes", type=int, default=0, help="beside that of the key")
    parser.add_argument("--clients", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.clients and arguments.key == "uuid":
        parser.error("clients find their rows by number: take another key")
    database = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    try:
        if arguments.clients:
            for _ in range(arguments.rounds):
                beside_clients(arguments)
        else:
            ratios = [one_round(number, arguments) for number in range(arguments.rounds)]
            print(f"median ratio {statistics.median(ratios):.2f}, {memory()}")
    finally:
        execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def one_round(number: int, arguments: argparse.Namespace) -> float:
    """The two take turns at going first, so that neither profits from what the other warmed."""
    rates: dict[str, float] = {}
    growth: dict[str, float] = {}
    for way in (plain, batched) if number % 2 == 0 else (batched, plain):
        make_table(arguments)
        size = table_size()
        started = time.perf_counter()
        way(arguments.rows)
        rates[way.__name__] = arguments.rows / (time.perf_counter() - started)
        growth[way.__name__] = table_size() / size
    ratio = rates["batched"] / rates["plain"]
    print(
        f"{arguments.rows:,} rows, key {arguments.key}, {arguments.indexes} more indexes: "
        f"plain UPDATE {rates['plain']:,.0f} rows/s, {growth['plain']:.1f} times the size, "
        f"backfill {rates['batched']:,.0f} rows/s, {growth['batched']:.1f} times, "
        f"ratio {ratio:.2f}",
        flush=True,
    )
    return ratio


def make_table(arguments: argparse.Namespace) -> None:
    value, constraint = KEYS[arguments.key]
    execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    execute(f"CREATE SCHEMA {SCHEMA}")
    execute(f"SET search_path = {SCHEMA}")
    execute(
        f"CREATE TABLE t AS SELECT {value} AS id, 'customer ' || g AS name, NULL::text AS slug "
        f"FROM generate_series(1, {arguments.rows}) AS g"
    )
    if constraint:
        execute(constraint)
    for _ in range(arguments.indexes):
        execute("CREATE INDEX ON t (name)")
    execute("ALTER TABLE t SET (autovacuum_enabled = off)")
    Ledger(connection).ensure()
    execute("VACUUM ANALYZE t")
    execute("CHECKPOINT")
    os.sync()  # what the way before this one wrote is not left for this one to wait for


def table_size() -> int:
    """Bytes, without indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('t')")
        return int(cursor.fetchone()[0])


def plain(rows: int) -> None:
    execute("UPDATE t SET slug = lower(name) WHERE slug IS NULL")


def batched(rows: int) -> None:
    assert fill() == rows


def fill(
    before_batch: Callable[[], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Rows written."""
    batches = update_in_batches(
        TableName(SCHEMA, "t"),
        sql.clause("slug = lower(name)"),
        sql.clause("slug IS NULL"),
        Context(),
    )
    return backfill(
        connection,
        batches,
        ledger=Ledger(connection),
        checkpoint_id="benchmark::0001",
        migration_id="benchmark",
        schema=SCHEMA,
        batch_seconds=0.1,
        before_batch=before_batch,
        progress=progress,
    )


# --- beside clients ------------------------------------------------------------------------------


def beside_clients(arguments: argparse.Namespace) -> None:
    """Clients are threads of a process of their own, which leaves this one its processor."""
    make_table(arguments)
    rows, clients = arguments.rows, arguments.clients
    begun, durations, resident = [0.0], [], [resident_megabytes()]

    def before() -> None:
        begun[0] = time.perf_counter()

    def after(progress: Progress) -> None:
        durations.append(time.perf_counter() - begun[0])
        resident.append(resident_megabytes())

    with clients_at_work(rows, clients) as latencies:
        time.sleep(REST)
        turned = time.time()
        fill(before, after)
        seconds = time.time() - turned
    rest = [took for at, took in latencies if at < turned]
    busy = [took for at, took in latencies if at >= turned]
    print(
        f"{rows:,} rows, key {arguments.key}, {clients} clients: {rows / seconds:,.0f} rows/s in "
        f"{len(durations)} batches; a row was locked for at most {spread(durations)}; "
        f"updates of clients took {spread(busy)}, at rest {spread(rest)}; memory from "
        f"{resident[0]} to {max(resident)} MB",
        flush=True,
    )


@contextmanager
def clients_at_work(rows: int, clients: int) -> Iterator[list[tuple[float, float]]]:
    """(when, seconds) of every update, there once the clients are stopped."""
    context = multiprocessing.get_context("spawn")
    begun, stop, queue = context.Event(), context.Event(), context.Queue()
    given = (os.environ["DATABASE_URL"], rows, clients, begun, stop, queue)
    process = context.Process(target=work, args=given)
    process.start()
    begun.wait()
    found: list[tuple[float, float]] = []
    try:
        yield found
    finally:
        stop.set()
        found += queue.get()
        process.join()


def work(url: str, rows: int, clients: int, begun: Any, stop: Any, queue: Any) -> None:
    found: list[tuple[float, float]] = []

    def one() -> None:
        with psycopg.connect(url, autocommit=True) as raw:
            while not stop.is_set():
                at, row = time.time(), random.randint(1, rows)
                text = f"UPDATE {SCHEMA}.t SET name = name || '' WHERE id = {row}"
                raw.execute(text.encode())
                found.append((at, time.time() - at))
                time.sleep(0.01)

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    queue.put(found)


def spread(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and longest, in milliseconds."""
    if len(seconds) < 2:
        return "nothing"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    told = (statistics.median(seconds), cuts[98], max(seconds))
    return "p50 {:.0f}, p99 {:.0f}, max {:.0f} ms".format(*(value * 1000 for value in told))


def memory() -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return f"memory now {resident_megabytes()} MB, at most {peak} MB"


def resident_megabytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024**2


def execute(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


if __name__ == "__main__":
    main()

"""Estimated against measured durations of an index, a validation, a backfill and a rewrite.

    DATABASE_URL=postgres://… python benchmarks/durations.py [rows …] [--rounds N]

Each round plans and runs the four on tables of 10⁴, 10⁵ and 10⁶ rows; give other numbers, such as
10000000, for other tables. The estimates of the first round come from a timed read of the table, as
by `zanith_plan --preflight` on a server where nothing ran yet; later rounds use what the rounds
before measured. A ratio of 2 means that the estimate is twice the measurement. Nothing stays in the
database: the tables and the ledger live in a schema that is dropped at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import environ
from django.conf import settings
from django.db import connection

sys.path.insert(0, str(Path(__file__).parent.parent))

SCHEMA = "_zanith_benchmark"
WORST = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", type=int, default=[10**4, 10**5, 10**6])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    database = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    execute(f"CREATE SCHEMA {SCHEMA}")
    execute(f"SET search_path = {SCHEMA}")
    ratios: list[float] = []
    try:
        for number in range(1, arguments.rounds + 1):
            for rows in arguments.rows:
                ratios += one_table(number, rows)
    finally:
        execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    wrong = [ratio for ratio in ratios if not 1 / WORST <= ratio <= WORST]
    print(f"{len(ratios) - len(wrong)} of {len(ratios)} estimates within a factor of {WORST:g}")
    return bool(wrong)


def one_table(number: int, rows: int) -> Iterator[float]:
    """The ratio of each kind of work on a new table of so many rows."""
    from zanith_django.ledger.ledger import Ledger
    from zanith_django.plan.durations import Rates, duration
    from zanith_django.plan.live_facts import live_context
    from zanith_django.plan.timed_read import with_timed_read
    from zanith_django.postgres.names import TableName
    from zanith_django.run.audit import working_session
    from zanith_django.run.executor import Executor
    from zanith_django.run.work import Attempt, Finish
    from zanith_django.schema.graph import SchemaGraph
    from zanith_django.timeline.project import live_graph

    make_table(rows)
    name = TableName("", "t")
    for place, (work, operation) in enumerate(operations().items(), 1):
        with working_session(connection, wait=10):
            execute(f"SET search_path = {SCHEMA}")
            ledger = Ledger(connection)
            ledger.ensure()
            context = live_context(connection, live_graph(connection))
            rates = Rates.of(ledger.paces())
            rates = with_timed_read(connection, rates, [name], context)
            statements = operation.statements(context)
            estimate = duration(statements, context, rates)
            executor = Executor(connection, ledger)
            executor.stopwatch.facts = context.facts
            step = Attempt(f"{number}_{rows}::{place:04d}", f"{number}_{rows}", SCHEMA)
            started = time.perf_counter()
            executor.run(step, statements, Finish())
            seconds = time.perf_counter() - started
            ledger.write_snapshot(step.row_id, "after", SchemaGraph(), {})
        ratio = estimate.seconds / seconds
        print(
            f"round {number}, {rows:>10,} rows, {work:<8}: estimated {estimate.seconds:8.3f} s "
            f"({estimate.source}), took {seconds:8.3f} s, ratio {ratio:.2f}",
            flush=True,
        )
        yield ratio


def operations() -> dict[str, Any]:
    from zanith_django.operations import AddCheck, AddGeneratedColumn, AddIndex, Backfill
    from zanith_django.postgres.names import TableName
    from zanith_django.schema.graph import Check, Column, Index, IndexKey

    name = TableName("", "t")
    return {
        "index": AddIndex(table=name, index=Index("t_total", (IndexKey(column="total"),))),
        "validate": AddCheck(table=name, check=Check("t_positive", "(total >= 0)")),
        "backfill": Backfill(table=name, column="note", value="lower(label)"),
        "rewrite": AddGeneratedColumn(
            table=name, column=Column("twice", "integer", generated="(total * 2)")
        ),
    }


def make_table(rows: int) -> None:
    execute("DROP TABLE IF EXISTS t")
    execute(
        "CREATE TABLE t AS SELECT g::bigint AS id, (g::bigint * 7919 % 1000003)::integer AS total, "
        f"'customer number ' || g AS label, NULL::text AS note FROM generate_series(1, {rows}) AS g"
    )
    execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    execute("VACUUM ANALYZE t")
    execute("CHECKPOINT")


def execute(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


if __name__ == "__main__":
    sys.exit(main())

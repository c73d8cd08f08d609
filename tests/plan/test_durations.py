"""Durations are estimated by the rates of this server: measured by runs, or read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.copies import Copy
from tests.plan.test_gates import T, three_of_a_name
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.paces import Pace
from zanith_django.operations import AddIndex
from zanith_django.operations.base import Batches, Context, Statement, TableFacts
from zanith_django.plan.durations import (
    CONSTANTS,
    FILL,
    INDEX,
    MEASURED,
    READ,
    REWRITE,
    SCAN,
    Rates,
    duration,
)
from zanith_django.plan.timed_read import with_timed_read
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.run.stopwatch import Stopwatch
from zanith_django.schema.graph import Index, IndexKey, SchemaGraph

ITEMS = TableName("", "items")
MANY = Context(facts={ITEMS: TableFacts(1_000_000, 50_000_000)})
REWRITES = Statement("ALTER", Lock.ACCESS_EXCLUSIVE, (ITEMS,), rewrites=True)
BUILDS = Statement("CREATE", Lock.SHARE_UPDATE_EXCLUSIVE, (ITEMS,), transactional=False, scans=True)
FILLS = Batches("UPDATE", Lock.ROW_EXCLUSIVE, (ITEMS,), transactional=False, table=ITEMS)
SETS = Statement("SET DEFAULT", Lock.ACCESS_EXCLUSIVE, (ITEMS,))


def test_the_median_of_earlier_runs_is_the_rate() -> None:
    paces = [Pace(REWRITE, 1_000_000, 0, seconds) for seconds in (10, 20, 90)]
    rates = Rates.of([*paces, Pace("unheard of", 1, 1, 1)])
    rewritten = duration((REWRITES,), MANY, rates)
    assert round(rewritten.seconds) == round(rewritten.waits) == 20
    assert str(rewritten) == "about 20 s (by earlier runs here), others wait 20 s"
    built = duration((BUILDS, SETS), MANY, rates)
    assert (built.source, built.waits < 1) == (CONSTANTS, True)
    assert duration((REWRITES, BUILDS), MANY, rates).source == CONSTANTS


def test_a_timed_read_takes_the_place_of_constants_alone() -> None:
    rates = Rates.of([Pace(INDEX, 1_000_000, 0, 5)]).seeded(Rates()[SCAN][0] / 4)
    assert rates[INDEX] == (200_000, MEASURED)
    assert rates[FILL] == (Rates()[FILL][0] / 4, READ)
    assert rates.seeded(1) == rates  # nothing is left to seed


# --- what a run measures -------------------------------------------------------------------------


@pytest.fixture
def stopwatch() -> tuple[Stopwatch, list[Pace]]:
    kept: list[Pace] = []
    return Stopwatch(MANY.facts, kept.append), kept


def test_a_statement_that_works_is_timed(stopwatch: tuple[Stopwatch, list[Pace]]) -> None:
    watch, kept = stopwatch
    with watch.timing([SETS, REWRITES]):
        time.sleep(0.06)
    with watch.timing([FILLS]):
        watch.written = 100_000
        time.sleep(0.06)
    assert [(pace.work, pace.rows, pace.bytes) for pace in kept] == [
        (REWRITE, 1_000_000, 50_000_000),
        (FILL, 100_000, 5_000_000),
    ]
    assert all(pace.seconds >= 0.06 for pace in kept)


def test_what_says_nothing_about_the_table_is_not_kept(
    stopwatch: tuple[Stopwatch, list[Pace]],
) -> None:
    watch, kept = stopwatch
    with watch.timing([REWRITES]):
        pass  # a moment
    for group in ([SETS], [REWRITES, BUILDS]):
        with watch.timing(group):
            time.sleep(0.06)
    watch.facts = {ITEMS: TableFacts(100, 1_000)}
    with watch.timing([REWRITES]):
        time.sleep(0.06)
    assert kept == []


def test_a_snapshot_has_the_newest_of_each_kind(
    django_connection: DatabaseWrapper,
) -> None:
    ledger = Ledger(django_connection)
    ledger.ensure()
    ledger.note(Pace(FILL, 10_000, 0, 0.5))
    for number in range(1, 12):
        ledger.note(Pace(INDEX, 10_000 + number, 0, 1.5))
    ledger.write_snapshot("m1", "after", SchemaGraph(), {})
    later = Ledger(django_connection)
    assert [pace.rows for pace in later.paces()] == [10_000, *range(10_003, 10_012)]
    later.write_snapshot("m2", "after", SchemaGraph(), {})
    assert Ledger(django_connection).paces() == later.paces()
    with django_connection.cursor() as cursor:
        cursor.execute(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, '{run,paces}', "
            """'[["fill", 1], "x", ["fill", true, 1, 1], ["fill", 1, 1, -1]]')"""
        )
    assert Ledger(django_connection).paces() == []


def test_a_run_measures_and_the_next_plan_uses_it(copy_of: Copy) -> None:
    releases = copy_of(three_of_a_name)
    run = releases.project
    run.sql(
        "INSERT INTO people_t (name) "
        "SELECT left(md5(n::text), 20) FROM generate_series(1, 200000) AS n"
    )
    run.sql("ANALYZE people_t")
    index = Index("people_t_name", (IndexKey(column="name"),))
    releases.file("index", [AddIndex(table=T, index=index)])
    releases.apply()
    kept = "SELECT graph #>> '{run,paces,0,0}' FROM _zanith_schema_snapshots WHERE phase = 'after'"
    assert ("index",) in run.sql(f"{kept} ORDER BY captured_at DESC LIMIT 1")

    run.sql("UPDATE pg_class SET reltuples = 1e9 WHERE relname = 'people_t'")
    other = Index("people_t_other", (IndexKey(column="name"), IndexKey(column="id")))
    releases.file("other", [AddIndex(table=T, index=other)])
    shown = run.manage("zanith_plan", "--format", "json", check=True).stdout
    (step,) = json.loads(shown)["migrations"][0]["steps"]
    assert step["estimated_by"] == MEASURED


# --- a timed read --------------------------------------------------------------------------------


@pytest.fixture
def items(django_connection: DatabaseWrapper) -> Iterator[DatabaseWrapper]:
    with django_connection.cursor() as cursor:
        cursor.execute("CREATE TABLE items AS SELECT n FROM generate_series(1, 60000) AS n")
    yield django_connection
    with django_connection.cursor() as cursor:
        cursor.execute("DROP TABLE items")


def read(connection: DatabaseWrapper, facts: TableFacts) -> Rates:
    context = Context(facts={ITEMS: facts})
    return with_timed_read(connection, Rates(), [ITEMS], context)


def test_a_table_in_the_plan_is_read_once(items: DatabaseWrapper) -> None:
    known = read(items, TableFacts(60_000, 2_000_000)).known
    assert {source for _, source in known.values()} == {READ}


def test_a_small_or_locked_table_is_not_read(
    items: DatabaseWrapper,
) -> None:
    assert read(items, TableFacts(100, 8192)) == Rates()
    with psycopg.connect(**items.get_connection_params()) as other:
        other.execute("LOCK TABLE items")
        with items.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        assert read(items, TableFacts(60_000, 2_000_000)) == Rates()
    with items.cursor() as cursor:
        cursor.execute("RESET lock_timeout")

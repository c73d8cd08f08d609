"""What goes on around a step: open transactions, vacuum, replication, busy tables."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.plan.test_preflight import T, connection, key, known, not_null, planned
from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan import surroundings
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.plan.surroundings import Surroundings
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Index, IndexKey

__all__ = ["connection"]

P = TableName("", "pf_p")
INDEX = ops.AddIndex(table=T, index=Index("pf_i", (IndexKey(column="code"),)))
FILL = ops.Backfill(table=T, column="code", value="'x'")
VACUUM = "SELECT count(*) FROM pg_stat_progress_vacuum"


@contextmanager
def other(connection: DatabaseWrapper) -> Iterator[psycopg.Connection]:
    settings = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**settings) as made:
        yield made


def notes(
    connection: DatabaseWrapper, operation: Operation, context: Context | None = None
) -> list[str]:
    context = context or known(connection)
    seen = looked_at(connection, planned(context, [operation]), context, Look())
    return [str(finding) for finding in seen.migrations[0].steps[0].findings]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each open transaction is a long one."""
    monkeypatch.setattr(surroundings, "_LONG", 0)


@pytest.mark.usefixtures("impatient")
def test_an_open_transaction_with_a_lock_is_in_the_way(connection: DatabaseWrapper) -> None:
    with other(connection) as reader:
        reader.execute("SELECT FROM pf_t")
        (note,) = notes(connection, not_null("n"))
        assert f"pid {reader.info.backend_pid} (" in note
        assert "holds a lock on pf_t that the step waits for" in note
        reader.execute("LOCK TABLE pf_p IN ROW EXCLUSIVE MODE")
        (note,) = notes(connection, key())  # the referenced table too
        assert "holds a lock on pf_p that" in note
        reader.rollback()
        reader.execute("SELECT 1")  # without a lock on the table
        assert notes(connection, not_null("n")) == []


@pytest.mark.usefixtures("impatient")
def test_a_concurrent_build_waits_for_older_snapshots(connection: DatabaseWrapper) -> None:
    with other(connection) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT FROM pf_p")
        (note,) = notes(connection, INDEX)
        assert "is older than the step, which waits for it to build its index" in note


def test_a_young_transaction_is_not_in_the_way(connection: DatabaseWrapper) -> None:
    with other(connection) as reader:
        reader.execute("SELECT FROM pf_t")
        assert notes(connection, not_null("n")) == []


def test_a_running_vacuum_is_named(connection: DatabaseWrapper) -> None:
    with other(connection) as worker, other(connection) as watcher:
        worker.autocommit = watcher.autocommit = True
        worker.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        vacuum = threading.Thread(target=_vacuum, args=(worker,))
        vacuum.start()
        until = time.monotonic() + 5
        while time.monotonic() < until and watcher.execute(VACUUM).fetchone() == (0,):
            time.sleep(0.005)
        found = Surroundings.of(connection, "public")
        worker.cancel()
        vacuum.join()
    assert T in found.vacuumed
    context = known(connection)
    (step,) = planned(context, [not_null("n")]).migrations[0].steps
    (note,) = found.findings(step, context)
    assert "a vacuum of pf_t is running" in str(note)


def _vacuum(worker: psycopg.Connection) -> None:
    with suppress(psycopg.errors.QueryCanceled):
        worker.execute("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) pf_t")


def test_slots_and_publications_are_named_where_rows_are_written(
    connection: DatabaseWrapper,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_create_physical_replication_slot('pf_slot', true)")
        cursor.execute("CREATE PUBLICATION pf_pub FOR TABLE pf_t")
    try:
        context = known(connection)
        facts = {**context.facts, T: TableFacts(1_000_000, 80_000_000)}
        large = _with(context, facts)
        filled = notes(connection, FILL, large)
        assert any("pf_t is in publication pf_pub" in note for note in filled)
        assert any("80 MB, and replication slot pf_slot is" in note for note in filled)
        assert any("slot pf_slot" in note for note in notes(connection, INDEX, large))
        assert not any("slot" in note for note in notes(connection, INDEX, context))
        assert not any("slot" in note for note in notes(connection, not_null("n"), large))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_drop_replication_slot('pf_slot')")


def test_a_busy_table_is_named_if_its_users_wait(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "_COUNTED_LONG", 0)
    context = known(connection)
    busy = TableFacts(10, 8192, writes=10**12, reads=10**12)
    facts = {**context.facts, P: busy}
    (note,) = notes(connection, key(), _with(context, facts))
    assert note.startswith("pf_p has at most ")
    assert "they queue while SHARE ROW EXCLUSIVE is waited for" in note
    assert notes(connection, INDEX, _with(context, {**context.facts, T: busy})) == []


def test_a_server_that_refuses_to_answer_is_named(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "_SLOTS", "SELECT 1 / 0")
    (note,) = notes(connection, not_null("n"))
    assert note == "open transactions and replication: not looked at (division by zero)"


def _with(context: Context, facts: dict[TableName, TableFacts]) -> Context:
    return dataclasses.replace(context, facts=facts)

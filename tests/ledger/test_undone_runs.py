"""The snapshots of runs that were undone: they stay, and count for nothing but history."""

from __future__ import annotations

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from zanith_django.audit.history import history
from zanith_django.ledger.ledger import Ledger
from zanith_django.plan.comparison import Sources
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

FIRST, SECOND, THIRD = (
    SchemaGraph(tables=(Table(TableName("", name), (Column("id", "bigint"),)),))
    for name in ("first", "second", "third")
)
RUN = {"user": "deploy", "steps": ["a digest"]}


@pytest.fixture
def ledger(within: DatabaseWrapper) -> Ledger:
    ledger = Ledger(within)
    ledger.ensure()
    return ledger


def run(ledger: Ledger, before: SchemaGraph, after: SchemaGraph | None) -> None:
    """A run to its end; without `after`, one that stopped half way."""
    ledger.write_snapshot("m", "before", before, RUN)
    if after:
        ledger.write_snapshot("m", "after", after, RUN)
        ledger.record("m")


def test_each_run_that_was_undone_keeps_its_schemas(ledger: Ledger) -> None:
    run(ledger, FIRST, SECOND)
    ledger.put_back("m", {"user": "ann"})
    run(ledger, SECOND, None)
    ledger.put_back("m", {"user": "bob"})
    assert ledger.runs().keys() == {("m", "before")}
    run(ledger, THIRD, FIRST)

    graphs = Sources(ledger.connection)
    wanted = {"m:before.1": FIRST, "m:after.1": SECOND, "m:before.2": SECOND}
    wanted |= {"m:before": THIRD, "m:after": FIRST, "m": FIRST}
    assert {name: graphs.graph(name) for name in wanted} == wanted
    assert [phase for phase, *_ in ledger.phases("m")].count("after.2") == 0
    assert ledger.runs().keys() == {("m", "before"), ("m", "after")}
    (record,) = history(ledger.connection)
    backs = [past["rolled_back"] for past in record.past]
    assert [(back["user"], back["run"]) for back in backs] == [("ann", 1), ("bob", 2)]
    assert [bool(past["applied_at"]) for past in record.past] == [True, False]
    assert all(past["steps"] == RUN["steps"] for past in record.past)


def test_what_djangos_migrate_undid_keeps_its_schema(ledger: Ledger) -> None:
    run(ledger, FIRST, SECOND)
    ledger.take_back("m")
    assert Sources(ledger.connection).graph("m") == SECOND
    assert ledger.applied() == {}
    assert "steps" not in ledger.runs()["m", "before"]  # its file may be edited


@pytest.mark.parametrize("graph", ["5", "[]", '{"run": 7}', '{"run": {"past": 7}}'])
def test_a_snapshot_that_another_program_wrote_can_be_undone(ledger: Ledger, graph: str) -> None:
    run(ledger, FIRST, SECOND)
    with ledger.connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_schema_snapshots SET graph = %s::jsonb", [graph])
    ledger.put_back("m", {"user": "ann"})
    run(ledger, FIRST, SECOND)
    assert Sources(ledger.connection).graph("m") == SECOND

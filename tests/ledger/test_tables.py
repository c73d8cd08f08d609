"""Ledger tables of an older version, or altered by hand, are made what they should be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.servers import Database
from zanith_django.exceptions import LedgerHeld, LedgerKeyLost
from zanith_django.ledger.checkpoints import Checkpoint
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FAILED, RUNNING
from zanith_django.ledger.steps import PendingStep
from zanith_django.ledger.tables import TABLES

# As a first version might have had them, with a view of somebody's own beside them.
OLDER = """
CREATE TABLE _zanith_migrations (id varchar(255) PRIMARY KEY, applied_at timestamp, team text);
CREATE TABLE _zanith_migration_steps (id text, status varchar(20), sql text DEFAULT '');
CREATE TABLE _zanith_schema_snapshots (migration_id text, phase text, graph json);
INSERT INTO _zanith_migrations VALUES ('20250101_000000_old', '2025-01-01', 'blue');
INSERT INTO _zanith_migration_steps VALUES ('20250101_000000_old::0001', NULL, NULL);
INSERT INTO _zanith_schema_snapshots VALUES ('20250101_000000_old', 'after', '{"a": 1}');
"""

BY_HAND = [
    "ALTER TABLE _zanith_migration_steps DROP error",
    "ALTER TABLE _zanith_migration_steps ALTER id TYPE varchar(300), ALTER sql DROP DEFAULT",
    "ALTER TABLE _zanith_migration_steps ALTER risk_score TYPE text",
    "ALTER TABLE _zanith_migration_steps DROP CONSTRAINT _zanith_migration_steps_pkey",
    "ALTER TABLE _zanith_migration_steps ALTER status DROP NOT NULL",
    "DROP INDEX _zanith_migration_steps_migration_id",
    "ALTER TABLE _zanith_migration_artifacts DROP metadata, DROP expires_at",
    "ALTER TABLE _zanith_schema_snapshots ALTER graph TYPE json",
    "DROP TABLE _zanith_migration_checkpoints",
]


@pytest.fixture
def connection(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    address = environ.Env.db_url_config(fresh_database.url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="fresh")
    connections["fresh"] = wrapper
    with django_db_blocker.unblock():
        yield wrapper
        wrapper.close()
    del connections["fresh"]


def shape(connection: DatabaseWrapper) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), "
            "  attnotnull, attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid) "
            "FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND relkind = 'r' "
            "LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum "
            "WHERE attrelid::regclass::text LIKE '%zanith%' AND attnum > 0 AND NOT attisdropped "
            "  AND attname <> 'team' "
            "UNION ALL SELECT indexdef, '', '', false, '', '' FROM pg_indexes "
            "  WHERE tablename LIKE '%zanith%' ORDER BY 1, 2"
        )
        return list(cursor.fetchall())


def execute(connection: DatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def test_older_tables_are_upgraded_without_losing_a_row(connection: DatabaseWrapper) -> None:
    execute(connection, OLDER)
    Ledger(connection).ensure()
    upgraded = shape(connection)

    ledger = Ledger(connection)
    assert list(ledger.applied()) == ["20250101_000000_old"]
    (step,) = ledger.steps()
    assert (step.migration_id, step.status, step.sql) == ("20250101_000000_old", "done", "")
    assert ledger.snapshot("20250101_000000_old") == {"a": 1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT team FROM _zanith_migrations")
        assert cursor.fetchall() == [("blue",)]
    for table in TABLES:
        execute(connection, f"DROP TABLE {table.name}")
    Ledger(connection).ensure()
    assert upgraded == shape(connection)


@pytest.mark.parametrize("change", BY_HAND)
def test_a_change_by_hand_is_repaired_once(connection: DatabaseWrapper, change: str) -> None:
    ledger = Ledger(connection)
    ledger.ensure()
    wanted = shape(connection)
    ledger.add_pending("m", [PendingStep(1, "addColumn", "SQL", "low", 15)])
    ledger.finish("m::0001", DONE)
    execute(connection, change)
    assert shape(connection) != wanted

    Ledger(connection).ensure()

    assert shape(connection) == wanted
    (step,) = ledger.steps()
    assert (step.id, step.status, step.risk_score) == ("m::0001", "done", 15)


def test_a_missing_status_follows_from_the_rest_of_the_row(connection: DatabaseWrapper) -> None:
    ledger = Ledger(connection)
    ledger.ensure()
    one = PendingStep(1, "addColumn", "SQL", "low", 15)
    ledger.add_pending("stopped", [dataclasses.replace(one, step=step) for step in range(1, 6)])
    ledger.finish("stopped::0001", DONE)
    ledger.finish("stopped::0002", FAILED, error="no")
    ledger.start("stopped::0003")
    ledger.start_undoing(ledger.latest("stopped")[4], dataclasses.replace(one, step=4))
    ledger.add_pending("whole", [one])
    ledger.record("whole")
    ledger.save_checkpoint(Checkpoint("stopped::0003#1", "stopped", status=DONE))
    execute(connection, "ALTER TABLE _zanith_migration_steps RENAME status TO state")
    execute(connection, "ALTER TABLE _zanith_migration_checkpoints DROP status")

    Ledger(connection).ensure()

    assert [row.status for row in ledger.steps()] == [
        "done",
        "failed",
        "running",
        "pending",
        "running",
        "pending",
        "done",
    ]
    ledger.add_pending("new", [one])
    checkpoint = ledger.checkpoint("stopped::0003#1")
    assert checkpoint
    assert checkpoint.status == RUNNING


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "ALTER TABLE _zanith_migrations RENAME id TO ident",
            "ALTER TABLE _zanith_migrations RENAME COLUMN ident TO id;",
        ),
        (
            "ALTER TABLE _zanith_migration_steps DROP id",
            "ALTER TABLE _zanith_migration_steps RENAME COLUMN <its name now> TO id;",
        ),
        (
            "DELETE FROM _zanith_migrations; ALTER TABLE _zanith_migrations RENAME id TO ident",
            "ALTER TABLE _zanith_migrations RENAME COLUMN ident TO id;",
        ),
    ],
)
def test_rows_are_never_given_new_ids(connection: DatabaseWrapper, change: str, says: str) -> None:
    ledger = Ledger(connection)
    ledger.ensure()
    ledger.add_pending("m", [PendingStep(1, "addColumn", "SQL", "low", 15)])
    ledger.record("m")
    execute(connection, change)
    changed = shape(connection)

    with pytest.raises(LedgerKeyLost) as refused:
        Ledger(connection).ensure()

    assert says in refused.value.hint
    assert shape(connection) == changed


def test_an_empty_table_gets_its_key_again(connection: DatabaseWrapper) -> None:
    Ledger(connection).ensure()
    wanted = shape(connection)
    execute(connection, "ALTER TABLE _zanith_migrations DROP id")

    Ledger(connection).ensure()

    assert shape(connection) == wanted


VIEW = "CREATE VIEW report AS SELECT status FROM _zanith_migration_steps"


def test_a_varchar_under_a_view_is_left_as_it_is(connection: DatabaseWrapper) -> None:
    Ledger(connection).ensure()
    varchar = "ALTER TABLE _zanith_migration_steps ALTER status TYPE varchar"
    execute(connection, f"{varchar}; {VIEW}")
    changed = shape(connection)

    Ledger(connection).ensure()

    assert shape(connection) == changed


def test_a_view_in_the_way_is_named(connection: DatabaseWrapper) -> None:
    Ledger(connection).ensure()
    varchar = "ALTER TABLE _zanith_migration_steps ALTER status TYPE varchar(20)"
    execute(connection, f"{varchar}; {VIEW}")

    with pytest.raises(LedgerHeld) as refused:
        Ledger(connection).ensure()

    assert "ALTER TABLE _zanith_migration_steps ALTER COLUMN status" in str(refused.value)
    assert "view report depends on column" in str(refused.value)

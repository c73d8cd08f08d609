"""How many rows a plan believes a table to have."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from zanith_django.operations.answers import Loss
from zanith_django.plan.live_facts import live_context, looked_into
from zanith_django.plan.sizes import SIZES, sizes_of
from zanith_django.postgres.names import TableName
from zanith_django.rollback.losses import holds_nothing
from zanith_django.schema.graph import Column, SchemaGraph, Table

T = TableName("", "sz_t")


@pytest.fixture
def connection(django_connection: DatabaseWrapper) -> Iterator[DatabaseWrapper]:
    run(django_connection, "CREATE TABLE sz_t (id integer) WITH (autovacuum_enabled = false)")
    yield django_connection
    run(django_connection, "DROP TABLE sz_t")


def run(connection: DatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def fill(connection: DatabaseWrapper, rows: int) -> None:
    run(connection, f"INSERT INTO sz_t SELECT n FROM generate_series(1, {rows}) AS n")


def rows(connection: DatabaseWrapper, name: TableName = T) -> int:
    run(connection, "SELECT pg_stat_clear_snapshot()")
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        return sizes_of(cursor.fetchall(), "public")[0][name].rows


def forget(connection: DatabaseWrapper) -> None:
    """As after a crash of the server, or on a restored backup."""
    run(connection, "SELECT pg_stat_reset_single_table_counters('sz_t'::regclass)")


def test_a_table_without_pages_is_empty(connection: DatabaseWrapper) -> None:
    assert rows(connection) == 0


def test_a_table_that_was_analysed_has_the_rows_that_were_counted(
    connection: DatabaseWrapper,
) -> None:
    fill(connection, 5000)
    run(connection, "ANALYZE sz_t")
    assert rows(connection) == 5000


def test_a_table_that_was_never_analysed_is_not_empty(connection: DatabaseWrapper) -> None:
    fill(connection, 50_000)
    forget(connection)
    assert 20_000 < rows(connection) < 100_000


def test_an_analysis_of_a_few_rows_is_not_believed_once_the_table_has_grown(
    connection: DatabaseWrapper,
) -> None:
    fill(connection, 10)
    run(connection, "ANALYZE sz_t")
    fill(connection, 50_000)
    forget(connection)
    assert rows(connection) > 5_000


def test_a_table_that_grew_since_its_analysis_has_more_rows(connection: DatabaseWrapper) -> None:
    fill(connection, 20_000)
    run(connection, "ANALYZE sz_t")
    fill(connection, 20_000)
    forget(connection)
    assert 39_000 < rows(connection) < 41_000


def test_a_table_that_had_no_row_when_it_was_analysed_is_not_empty_for_ever(
    connection: DatabaseWrapper,
) -> None:
    fill(connection, 50_000)
    run(connection, "DELETE FROM sz_t")
    run(connection, "ANALYZE sz_t")
    fill(connection, 50_000)
    forget(connection)
    assert rows(connection) > 5_000


def test_a_table_has_the_rows_of_its_heirs(connection: DatabaseWrapper) -> None:
    run(connection, "CREATE TABLE sz_heir () INHERITS (sz_t)")
    run(connection, "INSERT INTO sz_heir SELECT n FROM generate_series(1, 5000) AS n")
    run(connection, "ANALYZE sz_heir")
    assert rows(connection) == 5000
    run(connection, "DROP TABLE sz_heir")


def test_a_partitioned_table_has_the_rows_of_its_partitions(connection: DatabaseWrapper) -> None:
    run(
        connection,
        "CREATE TABLE sz_whole (id integer) PARTITION BY RANGE (id);"
        "CREATE TABLE sz_1 PARTITION OF sz_whole FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE sz_2 PARTITION OF sz_whole FOR VALUES FROM (100) TO (10000)"
        " PARTITION BY RANGE (id);"
        "CREATE TABLE sz_3 PARTITION OF sz_2 FOR VALUES FROM (100) TO (10000);"
        "INSERT INTO sz_whole SELECT n FROM generate_series(1, 5000) AS n;"
        "ANALYZE sz_1; ANALYZE sz_3",
    )
    assert rows(connection, TableName("", "sz_whole")) == 5000
    assert rows(connection, TableName("", "sz_2")) == 4901
    run(connection, "DROP TABLE sz_whole")


def test_a_table_that_another_session_locks_is_not_waited_for(connection: DatabaseWrapper) -> None:
    fill(connection, 5000)
    run(connection, "ANALYZE sz_t; SET lock_timeout = '5s'")
    settings = connection.get_connection_params()
    with psycopg.connect(**{**settings, "cursor_factory": psycopg.Cursor}) as other:
        other.execute("LOCK TABLE sz_t")
        assert rows(connection) == 5000
        empty, locked = looked_into(connection, "public", [T])
    run(connection, "RESET lock_timeout")
    assert (empty, locked) == (frozenset(), frozenset([T]))
    assert looked_into(connection, "public", [T]) == (frozenset(), frozenset())


def test_many_pages_of_deleted_rows_are_not_nothing(connection: DatabaseWrapper) -> None:
    run(connection, "ALTER TABLE sz_t ADD filling text")
    for rows_, counts in ((100, True), (9000, False)):
        run(connection, "TRUNCATE sz_t")
        run(
            connection,
            "INSERT INTO sz_t SELECT n, repeat('x', 1000) FROM generate_series(1, "
            f"{rows_}) AS n; DELETE FROM sz_t",
        )
        assert (T in looked_into(connection, "public", [T])[0]) is counts


@pytest.fixture
def blinded(connection: DatabaseWrapper) -> Iterator[DatabaseWrapper]:
    """Its role owns the table, and a policy refuses queries without a setting."""
    role = f"blinded_{connection.settings_dict['NAME']}"
    run(
        connection,
        f"CREATE ROLE {role}; ALTER TABLE sz_t OWNER TO {role}; SET ROLE {role};"
        "ALTER TABLE sz_t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON sz_t USING (id = current_setting('app.user')::int)",
    )
    yield connection
    run(connection, f"RESET ROLE; REASSIGN OWNED BY {role} TO CURRENT_USER; DROP ROLE {role}")


def test_a_table_whose_rows_policies_hide_is_empty_only_without_pages(
    blinded: DatabaseWrapper,
) -> None:
    assert looked_into(blinded, "public", [T]) == (frozenset([T]), frozenset())
    assert T in live_context(blinded, SchemaGraph((Table(T),))).empty
    run(blinded, "RESET ROLE")
    fill(blinded, 5)
    run(blinded, f"SET ROLE blinded_{blinded.settings_dict['NAME']}")
    assert looked_into(blinded, "public", [T]) == (frozenset(), frozenset())
    assert T not in live_context(blinded, SchemaGraph((Table(T),))).empty


def test_a_rollback_keeps_what_policies_may_hide(blinded: DatabaseWrapper) -> None:
    run(blinded, "RESET ROLE; INSERT INTO sz_t VALUES (NULL)")
    column = Column("id", "integer")
    assert holds_nothing(blinded, Loss(T, column), "public")
    run(blinded, f"SET ROLE blinded_{blinded.settings_dict['NAME']}")
    assert not holds_nothing(blinded, Loss(T, column), "public")
    assert not holds_nothing(blinded, Loss(T), "public")

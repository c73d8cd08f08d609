"""The names that PostgreSQL gives, measured against the server."""

from __future__ import annotations

import pytest
from psycopg import sql

from tests.servers import Database
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.object_names import clip, unquote, with_real_name

NEUTRAL = "_zs_0001"
LONG = "a_column_name_of_some_more_bytes_than_thirty_two"

TABLES = {
    "plain": "orders",
    "with blanks": 'my "own" % table',
    "of 50 bytes": "f" * 50,
    "of 63 bytes": "t" * 63,
    "of two-byte characters": "ä" * 31,
    "of three-byte characters": "€" * 21,
    "of mixed characters": "x" + "€" * 20 + "é",
}

DEFINITIONS = {
    "keys": "id integer PRIMARY KEY, a integer UNIQUE, b integer UNIQUE",
    "a composite key": "a integer, b integer, PRIMARY KEY (a, b), UNIQUE (b, a)",
    "long columns": f"{LONG} integer UNIQUE CHECK ({LONG} > 0)",
    "many columns": f"a integer, {LONG} integer, {LONG}_2 integer, UNIQUE (a, {LONG}, {LONG}_2)",
    "wide characters": "é€é€é€é€é€é€é€é€é€é€ integer UNIQUE",
    "checks": "a integer CHECK (a > 0), b integer, CHECK (a > b), CHECK (b > 1), CHECK (true)",
    "the same twice": "a integer CHECK (a > 0), CHECK (a < 9), CHECK (a <> 5)",
    "names cut alike": f"{'c' * 60}_1 integer UNIQUE, {'c' * 60}_2 integer UNIQUE",
    "an exclusion": "a int4range, EXCLUDE USING gist (a WITH &&)",
}


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_names_come_out_as_the_server_chooses_them(
    fresh_database: Database, definition: str
) -> None:
    template = sql.SQL(f"CREATE TABLE {{}} ({DEFINITIONS[definition]})")
    with fresh_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA scratch")
        cursor.execute(template.format(sql.Identifier("scratch", NEUTRAL)))
        scratch = from_catalog(cursor, schemas=["scratch"], default_schema="scratch")
        neutral = scratch.table(TableName("", NEUTRAL))
        assert neutral is not None
        for name in TABLES.values():
            cursor.execute(template.format(sql.Identifier(name)))
            real = from_catalog(cursor).table(TableName("", name))
            assert with_real_name(neutral, TableName("", name)) == real


def test_indexes_without_a_name_come_out_as_the_server_names_them(
    fresh_database: Database,
) -> None:
    with fresh_database.connect() as connection, connection.cursor() as cursor:
        for name in (NEUTRAL, "orders"):
            cursor.execute(f"CREATE TABLE {name} (a integer, b integer)".encode())
            cursor.execute(f"CREATE INDEX ON {name} (a, b)".encode())
            cursor.execute(f"CREATE INDEX ON {name} (b, (a + b))".encode())
        graph = from_catalog(cursor)
        neutral = graph.table(NEUTRAL)
        assert neutral is not None
        assert with_real_name(neutral, TableName("", "orders")) == graph.table("orders")


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a" * 64, "a" * 63), ("ä" * 32, "ä" * 31), ("x" + "ä" * 32, "x" + "ä" * 31), ("a", "a")],
)
def test_a_long_name_is_cut_as_the_server_cuts_it(
    fresh_database: Database, name: str, kept: str
) -> None:
    with fresh_database.connect() as connection:
        row = connection.execute("SELECT %s::name::text", [name]).fetchone()
    assert row == (clip(name),) == (kept,)


@pytest.mark.parametrize(
    ("spelled", "name"), [("a", "a"), ('"a"', "a"), ('"a""b"', 'a"b'), ('"', '"')]
)
def test_quotes_of_sql_are_no_part_of_a_name(spelled: str, name: str) -> None:
    assert unquote(spelled) == name

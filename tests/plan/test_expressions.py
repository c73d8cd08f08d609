"""An expression of SQL is spelled again so that PostgreSQL reads the same from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.place import Connection
from tests.servers import Database, Server
from zanith_django.plan.effects.columns import exclusion
from zanith_django.plan.effects.expressions import spelled
from zanith_django.postgres.grammar import parse

KNOWN = (
    "a > 0",
    "a > -1 AND b IS NOT NULL OR NOT c",
    "b IN ('x', 'it''s')",
    "a NOT IN (1, 2)",
    "a BETWEEN 1 AND 2",
    "a NOT BETWEEN 1 AND 2 + 3 * 4",
    "b LIKE 'x%' AND b NOT ILIKE '%y'",
    "a = ANY (ARRAY[1, 2])",
    "d::date IS DISTINCT FROM '2026-01-01'::date",
    "d < CURRENT_TIMESTAMP",
    "c IS NOT TRUE",
    "coalesce(b, '') <> ''",
    'lower(b) COLLATE "C" = upper(b)',
    "greatest(a, 2) = least(a, 3)",
    "CASE WHEN c THEN a ELSE 0 END > 1.5",
    "(a + 1) * 2 = 4",
    "t.a > 0",
)
UNKNOWN = ("(SELECT true)", "count(*) > 1", "row(a, b) = row(1, 'x')")


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[Connection]:
    name = server.create_database()
    with Database(name, server.url(name)).connect() as made:
        made.execute("CREATE TABLE t (a integer, b text, c boolean, d timestamptz)")
        yield made
    server.drop_database(name)


def respelled(text: str) -> str:
    found = parse(f"SELECT {text}")
    assert found
    return spelled(found[0][1]["SelectStmt"]["targetList"][0]["ResTarget"]["val"])


def printed(text: str, connection: Connection) -> str:
    """As PostgreSQL prints it, of a check."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"ALTER TABLE t ADD CONSTRAINT k CHECK ({text})".encode())
        row = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'k'"
        ).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize("text", KNOWN)
def test_the_same_is_read_from_it(text: str, connection: Connection) -> None:
    assert printed(respelled(text), connection) == printed(text, connection)


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_not_spelled_is_empty(text: str) -> None:
    assert respelled(text) == ""


def test_an_exclusion_is_spelled_with_its_operators() -> None:
    text = "ALTER TABLE t ADD EXCLUDE USING gist (a WITH =, lower(b) WITH <>) WHERE (c)"
    found = parse(text)
    assert found
    command = found[0][1]["AlterTableStmt"]["cmds"][0]["AlterTableCmd"]
    assert exclusion(command["def"]["Constraint"]) == (
        'EXCLUDE USING gist ("a" WITH =, ("lower"("b")) WITH <>) WHERE ("c")'
    )

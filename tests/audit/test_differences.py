"""Two snapshots compared, as Markdown and as SQL."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.admin.conftest import GRAPH, RUN
from zanith_django.ledger.ledger import Ledger
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

OLD, NEW = "20260101_000000_old", "20260102_000000_new"
NOTES = Table(TableName("", "notes|<b>"), (Column("id", "bigint", nullable=False),))


@pytest.fixture
def two(ledger: Ledger) -> None:
    ledger.write_snapshot(OLD, "after", GRAPH, RUN)
    ledger.write_snapshot(NEW, "after", SchemaGraph(tables=(*GRAPH.tables, NOTES)), RUN)


def printed(*arguments: str) -> str:
    output = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("zanith_diff", *arguments, stdout=output)
    assert caught.value.returncode == 1
    return output.getvalue()


def test_markdown_is_a_table_and_obeys_no_name(two: None) -> None:
    text = printed(OLD, NEW, "--format", "markdown")
    assert "| operation | target | description |" in text
    (line,) = (line for line in text.splitlines() if line.startswith("| createTable"))
    assert "notes\\|&lt;b&gt;" in line
    assert line.replace("\\|", "").count("|") == 4


def test_sql_runs_and_makes_the_difference(two: None) -> None:
    text = printed(OLD, NEW, "--format", "sql")
    with connection.cursor() as cursor:
        cursor.execute(text)
        cursor.execute("""SELECT count(*) FROM "notes|<b>" """)
        assert cursor.fetchone() == (0,)


def test_sql_from_empty_is_the_ddl_of_a_snapshot(two: None) -> None:
    text = printed("empty", OLD, "--format", "sql")
    assert "CREATE TABLE" in text
    assert "CONCURRENTLY" not in text

"""Tables that no graph has: misspelt ones, and those that PostgreSQL knows and no model."""

from __future__ import annotations

from tests.copies import Copy
from tests.plan.test_tables_by_identity import (
    AMOUNT,
    a_full_table,
    drop_column,
    index,
    planned,
    raw,
)
from tests.releases import Releases
from zanith_django import operations as ops
from zanith_django.postgres.names import TableName as Name
from zanith_django.schema.graph import Table


def elsewhere(releases: Releases) -> None:
    a_full_table(releases)
    releases.project.sql("CREATE SCHEMA audit")
    releases.project.sql("CREATE TABLE audit.t AS SELECT * FROM item")
    releases.project.sql("CREATE FOREIGN DATA WRAPPER nothing")
    releases.project.sql("CREATE SERVER files FOREIGN DATA WRAPPER nothing")
    releases.project.sql("CREATE FOREIGN TABLE distant (amount integer) SERVER files")


def test_a_misspelt_table_is_blocked(copy_of: Copy) -> None:
    releases = copy_of(a_full_table)
    releases.file("misspelt", (drop_column("itme"), index("itme")))
    steps = planned(releases.project)
    assert [step["level"] for step in steps] == ["blocked", "blocked"]
    assert all("missing_table" in step["reasons"] for step in steps)


def test_a_table_that_earlier_code_may_have_made_is_not(copy_of: Copy) -> None:
    releases = copy_of(a_full_table)
    made = raw("CREATE TABLE made (amount integer)")
    opaque = raw("SELECT make_table('other')")
    releases.file("made", (made, drop_column("made"), opaque, drop_column("other")))
    levels = [step["level"] for step in planned(releases.project)]
    assert levels == ["medium", "safe", "high", "destructive"]


def test_a_full_table_of_another_schema_is_no_new_one(copy_of: Copy) -> None:
    releases = copy_of(elsewhere)
    drop = ops.DropTable(table=Table(Name("audit", "t"), (AMOUNT,)))
    foreign = ops.DropColumn(table=Name("", "distant"), column=AMOUNT)
    text = raw('ALTER TABLE "audit"."t" RENAME TO "u"; DROP TABLE "audit"."u"')
    releases.file("elsewhere", (foreign, text, drop))
    steps = planned(releases.project)
    assert [step["level"] for step in steps[:2]] == ["destructive", "destructive"]
    assert "missing_table" not in steps[0]["reasons"]


def test_dropping_a_table_that_does_not_exist_destroys_nothing(copy_of: Copy) -> None:
    releases = copy_of(a_full_table)
    drop = "DROP TABLE IF EXISTS nothing"
    opaque = "SELECT make_table('nothing')"
    full = raw("DROP TABLE IF EXISTS item")
    releases.file("dropped", (raw(drop), raw(f"{opaque}; {drop}"), raw(drop), full))
    steps = planned(releases.project)
    assert [step["level"] for step in steps] == ["medium", *3 * ["destructive"]]
    assert steps[0]["reasons"] == ["irreversible"]

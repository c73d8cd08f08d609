"""What models do not know and depends on a table: named by plan, verify, apply and rollback before
anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.copies import Copy
from tests.releases import Releases
from zanith_django.operations import (
    AddColumn,
    AlterColumnType,
    Operation,
    RawSql,
    RenameColumn,
    RenameTable,
    SoftDropColumn,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column

T = TableName("", "people_t")
MODEL = """
from django.db import models

class T(models.Model):
    {fields}
"""
NAME, NOTE = "name = models.CharField(max_length=20)", "note = models.IntegerField({})"
OLD, NEW = Column("name", "character varying(20)", False), Column("name", "character varying(40)")
VIEW = "CREATE VIEW v AS SELECT id, name, note FROM people_t"
YES = ("--max-risk", "100", "--allow-destructive")


def two_fields(releases: Releases) -> None:
    releases.start(MODEL.format(fields=f"{NAME}\n    {NOTE.format('')}"))
    releases.project.sql("INSERT INTO people_t (name, note) VALUES ('a', 1), ('b', 2)")


@pytest.fixture
def releases(copy_of: Copy) -> Releases:
    return copy_of(two_fields)


def widen(table: TableName = T) -> AlterColumnType:
    new = Column("name", "character varying(40)", nullable=False)
    return AlterColumnType(table=table, old=OLD, new=new)


def soft_drop() -> SoftDropColumn:
    return SoftDropColumn(table=T, column=Column("note", "integer", nullable=False))


def planned(releases: Releases) -> Any:
    done = releases.project.manage("zanith_plan", *YES, "--format", "json")
    return json.loads(done.stdout)


@pytest.mark.parametrize("step", [widen, soft_drop])
def test_a_view_is_named_by_plan_verify_and_apply_before_anything_runs(
    releases: Releases, step: Callable[[], Operation]
) -> None:
    run = releases.project
    run.sql(VIEW)
    run.sql("CREATE MATERIALIZED VIEW on_it AS TABLE v")
    before = releases.live()
    releases.file("change", [step()])

    plan = planned(releases)
    verified = run.manage("zanith_verify")
    applied = run.manage("zanith_apply", *YES)

    assert plan["blocked"]
    assert [refusal["gate"] for refusal in plan["refusals"]] == ["preflight"]
    (found,) = plan["migrations"][0]["steps"][0]["dependents"]
    assert (found["kind"], found["name"], found["blocked"]) == ("view", "public.v", True)
    assert "and materialized view public.on_it on it" in found["message"]
    assert verified.returncode == applied.returncode == 1
    assert "view public.v depends on" in " ".join(verified.stdout.split())
    assert "view public.v depends on people_t." in applied.stderr
    assert releases.live() == before


def test_a_view_that_an_earlier_step_drops_is_in_the_way_of_nothing(releases: Releases) -> None:
    releases.project.sql(VIEW)
    around = RawSql(sql="DROP VIEW v", reverse_sql=VIEW)
    again = RawSql(sql=VIEW, reverse_sql="DROP VIEW v")
    releases.file("change", [around, widen(), again])

    assert not planned(releases)["blocked"]
    releases.apply()
    releases.project.manage("zanith_rollback", "--steps", "1", check=True)

    assert releases.project.sql("SELECT name FROM v ORDER BY id") == [("a",), ("b",)]


def test_a_view_that_an_earlier_step_names_and_does_not_drop_is_found_when_the_step_runs(
    releases: Releases,
) -> None:
    releases.project.sql(VIEW)
    releases.file("change", [RawSql(sql="COMMENT ON VIEW v IS 'x'"), soft_drop()])

    failed = releases.project.manage("zanith_apply", *YES)

    assert failed.returncode == 1
    assert "view public.v depends on people_t.note" in failed.stderr
    assert releases.project.sql("SELECT note FROM v ORDER BY id") == [(1,), (2,)]


def test_dependents_follow_a_table_and_a_column_that_the_same_plan_renames(
    releases: Releases,
) -> None:
    releases.project.sql(VIEW)
    moved = TableName("", "people_moved")
    renamed = RenameColumn(table=moved, old="note", new="remark")
    column = Column("remark", "integer", nullable=False)
    drop = SoftDropColumn(table=moved, column=column)
    releases.file("change", [RenameTable(old=T, new=moved), renamed, drop])

    plan = planned(releases)

    (refusal,) = plan["refusals"]
    assert refusal["step"] == 3
    assert "view public.v depends on people_moved.remark" in refusal["message"]


def test_functions_that_name_a_column_in_their_text_are_shown(releases: Releases) -> None:
    run = releases.project
    run.sql(
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS "
        "'BEGIN RETURN (SELECT sum(note) FROM people_t); END'"
    )
    run.sql(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.note := 1; RETURN NEW; END'"
    )
    run.sql("CREATE TRIGGER stamp BEFORE INSERT ON people_t FOR EACH ROW EXECUTE FUNCTION stamp()")
    releases.file("change", [RenameColumn(table=T, old="note", new="remark")])

    plan = planned(releases)

    assert not plan["blocked"]
    (step,) = plan["migrations"][0]["steps"]
    assert {item["name"] for item in step["dependents"]} == {"public.total()", "public.stamp()"}
    assert "functions_name_it" in step["reasons"]


def test_an_approved_step_runs_beside_what_depends_on_it(releases: Releases) -> None:
    releases.project.sql(VIEW)
    migration = releases.file("change", [soft_drop()])
    path = f"people/zanith_migrations/{migration}.py"
    text = (releases.project.root / path).read_text()
    approved = '    approved = {"0001": "the view may read NULL"}\n\n    operations = ['
    releases.project.write(path, text.replace("    operations = [", approved))

    releases.apply()

    assert releases.project.sql("SELECT count(note) FROM v") == [(2,)]


def test_a_rollback_names_what_came_to_depend_since(releases: Releases) -> None:
    run = releases.project
    releases.file("more", [AddColumn(table=T, column=Column("extra", "text"))])
    releases.apply()
    run.sql("CREATE VIEW v AS SELECT id, extra FROM people_t")
    before = releases.live()

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert "view public.v depends on people_t.extra" in refused.stderr
    assert releases.live() == before


def test_a_rollback_adds_what_a_restore_left_off(releases: Releases) -> None:
    run = releases.project
    before = releases.live()
    releases.file("change", [soft_drop()])
    releases.apply()
    run.sql("INSERT INTO people_t (name) VALUES ('new')")
    restored = run.manage("zanith_recover", "restore-column", "people_t.note", check=True).stdout
    refused = run.manage("zanith_rollback", "--steps", "1")
    run.sql("UPDATE people_t SET note = 3 WHERE note IS NULL")

    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert "Still missing" in restored
    assert refused.returncode == 1
    assert "people_t.note must have a value: 1 row, such as id=3" in refused.stderr
    assert releases.live() == before
    required = "SELECT attnotnull FROM pg_attribute WHERE attname = 'note'"
    assert run.sql(f"{required} AND attrelid = 'people_t'::regclass") == [(True,)]

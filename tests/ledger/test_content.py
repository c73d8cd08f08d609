"""What others wrote into the ledger, and clocks that go wrong, break no command."""

from __future__ import annotations

import json

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases
from zanith_django.operations import AddColumn, RunPython
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column

USERS = """
from django.db import models

class User(models.Model):
    {fields}

    class Meta:
        db_table = "users"
"""
TABLE = TableName("", "users")
FIRST, SECOND = "20260101_000002_one", "20260101_000003_two"


def two_releases(releases: Releases) -> None:
    releases.start(USERS.format(fields="email = models.TextField()"))
    for number, name in enumerate(("one", "two")):
        fields = ["email = models.TextField()", "one = models.TextField(null=True)"]
        fields += ["two = models.TextField(null=True)"] if number else []
        add = AddColumn(table=TABLE, column=Column(name, "text"))
        releases.write(name, USERS.format(fields="\n    ".join(fields)), [add])
        releases.apply()


@pytest.fixture
def project(copy_of: Copy) -> Project:
    return copy_of(two_releases).project


@pytest.mark.parametrize("command", ["zanith_history --verbose", "zanith_status", "zanith_plan"])
def test_the_terminal_obeys_nothing_that_the_ledger_holds(project: Project, command: str) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J"
    project.sql("UPDATE _zanith_migration_steps SET operation_kind = %s", f"kind{hostile}")
    project.sql(
        "INSERT INTO _zanith_migration_steps (id, migration_id, operation_kind, status, "
        "risk_level, risk_score, started_at, error) "
        "VALUES (%s, %s, 'x', 'failed', 'safe', 5, now(), %s)",
        f"lost{hostile}::0001",
        f"lost{hostile}",
        hostile,
    )
    done = project.manage(*command.split())
    assert "Traceback" not in done.stderr
    assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}
    assert "\\x1b]0;owned\\x07" in done.stdout + done.stderr


@pytest.mark.parametrize("graph", ["5", '"text"', "[]", "null", '{"tables": 5, "run": 7}'])
def test_a_snapshot_that_is_no_graph_breaks_no_history(project: Project, graph: str) -> None:
    project.sql("UPDATE _zanith_schema_snapshots SET graph = %s::jsonb", graph)
    for command in ("zanith_history --verbose", "zanith_history --format json", "zanith_status"):
        project.manage(*command.split(), check=True)
    project.manage("zanith_plan", check=True)
    project.manage("zanith_apply", check=True)


def test_a_clock_that_was_set_back_does_not_change_the_order(project: Project) -> None:
    project.sql("UPDATE _zanith_migrations SET applied_at = now() + interval '1 day'")
    project.sql("UPDATE _zanith_migrations SET applied_at = now() WHERE id = %s", SECOND)
    project.manage("zanith_rollback", "--steps", "1", check=True)
    assert project.sql("SELECT id FROM _zanith_migrations WHERE id = %s", SECOND) == []

    project.manage("zanith_apply", check=True)  # a day before the others, by the clock
    newest = "SELECT id FROM _zanith_migrations ORDER BY applied_at DESC LIMIT 1"
    assert project.sql(newest) == [(SECOND,)]
    project.manage("zanith_rollback", "--to", FIRST, check=True)
    assert project.sql("SELECT id FROM _zanith_migrations WHERE id = %s", SECOND) == []


@pytest.mark.parametrize("text", [r"nul \0 here", r"half \udcff a character"])
def test_a_step_fails_whatever_characters_its_error_has(copy_of: Copy, text: str) -> None:
    releases = copy_of(two_releases)
    project = releases.project
    project.write(
        "people/migrations/0004_raises.py",
        f"""
        from django.db import migrations

        def raises(apps, schema_editor):
            raise ValueError("{text}")

        class Migration(migrations.Migration):
            dependencies = [("people", "0003_two")]
            operations = [migrations.RunPython(raises)]
        """,
    )
    step = RunPython(migration="people.0004_raises", position=1, description="RunPython raises()")
    releases.count = 4
    name = releases.file("raises", [step], covers=["people.0004_raises"])

    failed = project.manage("zanith_apply", "--no-preflight")

    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert releases.statuses(name) == ["failed"]
    ((error,),) = project.sql("SELECT error FROM _zanith_migration_steps WHERE status = 'failed'")
    assert text.replace(r"\0", r"\x00") in error
    data = json.loads(project.manage("zanith_status", "--format", "json", check=True).stdout)
    assert [row["status"] for row in data["unfinished"]] == ["failed"]

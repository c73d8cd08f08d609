"""A rollback is judged by the reverse SQL and the reverse code that will run."""

from __future__ import annotations

import pytest

from tests.copies import Copy
from tests.plan.test_gates import three_of_a_name
from tests.releases import Releases
from zanith_django.operations import RawSql, RunPython

DATA = """
from django.db import migrations, models


def forwards(apps, editor):
    pass


def backwards(apps, editor):
    {body}


class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [{operation}]
"""
KEEP = "CREATE TABLE kept AS SELECT * FROM people_t"
PYTHON = "migrations.RunPython(forwards, backwards)"
INSIDE = "migrations.SeparateDatabaseAndState([{}], [])"
ROWS = "apps.get_model('people', 'T').objects.{}"
DROP = "editor.execute('DROP TABLE people_t')"
SQL = "migrations.RunSQL('', {!r})"
FIELD = "migrations.AddField('T', 'note', models.TextField(null=True))"

# {what the way back does: (an operation, the body of `backwards`, its level and one reason)}
REVERSES = {
    "deletes rows": (PYTHON, ROWS.format("all().delete()"), "destructive deletes_all_rows"),
    "drops a table": (PYTHON, DROP, "destructive drops_table_with_data"),
    "updates rows": (PYTHON, ROWS.format("update(name='x')"), "high updates_all_rows"),
    "nothing": (PYTHON, "pass", "safe"),
    "drops in SQL": (
        SQL.format("DROP TABLE people_t"),
        "pass",
        "destructive drops_table_with_data",
    ),
    "SQL inside": (INSIDE.format(SQL.format("DELETE FROM people_t")), "pass", "destructive"),
    "a column beside SQL": (
        INSIDE.format(f"{FIELD}, {SQL.format('SELECT 1')}"),
        "pass",
        "destructive drops_column_with_data",
    ),
}


@pytest.fixture
def releases(copy_of: Copy) -> Releases:
    return copy_of(three_of_a_name)


@pytest.mark.parametrize("name", REVERSES)
def test_reverse_code_is_judged_by_its_effects(releases: Releases, name: str) -> None:
    operation, body, verdict = REVERSES[name]
    run = releases.project
    run.write("people/migrations/0002_data.py", DATA.format(body=body, operation=operation))
    step = RunPython(migration="people.0002_data", position=1, reversible=True)
    releases.file("data", [step], covers=["people.0002_data"])
    releases.apply()
    shown = run.manage("zanith_rollback", "--steps", "1", "--dry-run").stdout
    level, _, reason = verdict.partition(" ")
    assert f"-- {level} " in shown
    assert reason in shown
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert refused.returncode == int("destructive" in verdict)
    assert ("needs --allow-destructive" in refused.stderr) is ("destructive" in verdict)


def test_reverse_sql_is_judged_by_its_effects(releases: Releases) -> None:
    run = releases.project
    releases.file("keep", [RawSql(sql=KEEP, reverse_sql="DROP TABLE kept")])
    releases.apply()
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert (refused.returncode, run.sql("SELECT count(*) FROM kept")) == (1, [(3,)])
    assert "Step 01 (rawSql) is destructive · needs --allow-destructive" in refused.stderr
    run.sql("DELETE FROM kept")  # nothing is left to lose
    run.manage("zanith_rollback", "--steps", "1", check=True)


def test_reverse_sql_that_fails_on_rows_is_blocked(releases: Releases) -> None:
    run = releases.project
    unique = "ALTER TABLE people_t ADD CONSTRAINT u UNIQUE (name)"
    releases.file("free", [RawSql(sql="SELECT 1", reverse_sql=unique)])
    releases.apply()
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert (refused.returncode, "is blocked: unique u: 3 rows" in refused.stderr) == (1, True)

"""The gates of plan, apply and rollback: one list, asked in the same way; flags and files that
would be ignored are errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases
from zanith_django.operations import (
    AddColumn,
    AddIndex,
    AddUnique,
    DropColumn,
    DropUnique,
    RawSql,
    SoftDropColumn,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Index, IndexKey, Unique

T = TableName("", "people_t")
MODEL = """
from django.db import models

class T(models.Model):
    name = models.CharField(max_length=20)
"""
NAMES = "INSERT INTO people_t (name) SELECT 'same' FROM generate_series(1, 3)"
UNIQUE = AddUnique(table=T, unique=Unique("people_t_name_key", ("name",)))
NOTE = AddColumn(table=T, column=Column("note", "text"))
DROP_NAME = DropColumn(table=T, column=Column("name", "character varying(20)", nullable=False))


def three_of_a_name(releases: Releases) -> None:
    releases.start(MODEL)
    releases.project.sql(NAMES)


@pytest.fixture
def releases(copy_of: Copy) -> Releases:
    return copy_of(three_of_a_name)


def asked(run: Project, *arguments: str) -> list[tuple[str, int, str]]:
    """(gate, step, target) of each refusal of a plan with preflight."""
    done = run.manage("zanith_plan", "--preflight", "--format", "json", *arguments)
    plan: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == int(plan["blocked"])
    steps = {(m["id"], s["step"]): s["target"] for m in plan["migrations"] for s in m["steps"]}
    return [
        (each["gate"], each["step"], steps.get((each["migration"], each["step"]), ""))
        for each in plan["refusals"]
    ]


def test_plan_and_apply_refuse_the_same_steps_for_the_same_reasons(releases: Releases) -> None:
    run = releases.project
    migration = releases.file("change", [NOTE, UNIQUE, DROP_NAME])
    assert asked(run) == [
        ("preflight", 2, "people_t(name)"),
        ("budget", 2, "people_t(name)"),
        ("budget", 3, "people_t.name"),
        ("consent", 3, "people_t.name"),
    ]
    refused = run.manage("zanith_apply")
    assert refused.returncode == 1
    assert (
        f"{migration}: Step 02 (addUnique) is blocked: unique people_t_name_key" in refused.stderr
    )
    assert f"{migration}: Step 03 (dropColumn) is destructive" in refused.stderr
    assert "(people_t.name)" in refused.stderr
    rows = run.sql(
        "SELECT id, error FROM _zanith_migration_steps WHERE migration_id = %s", migration
    )
    errors = dict(rows)
    assert errors[f"{migration}::0002"].startswith("refused — unique people_t_name_key")
    assert errors[f"{migration}::0003"] == "refused — max risk 60"
    assert "note" not in releases.live()


def test_a_plan_shows_rows_without_values_and_apply_can_go_without_a_look(
    releases: Releases,
) -> None:
    run = releases.project
    releases.file("change", [UNIQUE])
    shown = run.manage("zanith_plan", "--preflight").stdout
    assert "blocked: unique people_t_name_key: 3 rows, such as id=1 and id=3" in " ".join(
        shown.split()
    )
    assert "same" not in shown
    values = run.manage("zanith_plan", "--preflight", "--show-values").stdout
    assert "name=same" in values
    assert run.manage("zanith_plan").returncode == 0
    failed = run.manage("zanith_apply", "--no-preflight")
    assert (failed.returncode, "could not create unique index" in failed.stderr) == (1, True)


def test_a_demand_for_a_fingerprint_stops_plan_and_apply_alike(releases: Releases) -> None:
    run = releases.project
    run.write(
        "settings.py",
        (run.root / "settings.py").read_text() + "ZANITH['REQUIRE_VERIFIED'] = True\n",
    )
    releases.file("change", [NOTE])
    assert [gate for gate, _, _ in asked(run)] == ["verified"]
    assert "run zanith_verify" in run.manage("zanith_apply").stderr
    stale = run.manage("zanith_plan", "--verified", "0" * 32)
    assert (stale.returncode, "files, models or tables changed" in stale.stdout) == (1, True)


def test_approval_lifts_budget_and_consent_and_is_in_the_json(releases: Releases) -> None:
    run = releases.project
    migration = releases.file("change", [DROP_NAME])
    path = run.root / f"people/zanith_migrations/{migration}.py"
    text = path.read_text()
    path.write_text(f"{text}    approved = {{'0001': 'nobody reads it since May'}}\n")
    assert asked(run) == []
    plan = json.loads(run.manage("zanith_plan", "--format", "json", check=True).stdout)
    assert plan["migrations"][0]["steps"][0]["approved"] == "nobody reads it since May"


APPROVALS = {
    "['0001']": "approved is not a dict",
    "{1: 'why'}": "approved has 1, which is not a text",
    "{'0007': 'why'}": "approved names step '0007': its steps are 0001 to 0001",
    "{'0001': ' '}": "approved gives no reason for step '0001'",
}


@pytest.mark.parametrize("value", APPROVALS)
def test_an_approval_that_approves_nothing_is_an_error(releases: Releases, value: str) -> None:
    run = releases.project
    migration = releases.file("change", [NOTE])
    path = run.root / f"people/zanith_migrations/{migration}.py"
    path.write_text(f"{path.read_text()}    approved = {value}\n")
    done = run.manage("zanith_plan")
    assert done.returncode == 3
    assert APPROVALS[value] in done.stderr


FLAGS = {
    "zanith_plan --sizes sizes.json": "--sizes needs --since or --only",
    "zanith_plan --since HEAD --only x": "--since and --only exclude each other",
    "zanith_plan --since HEAD --preflight": "--preflight needs a database",
    "zanith_plan --only x --verified abc": "--verified needs a database",
    "zanith_plan --show-values": "--show-values needs --preflight",
    "zanith_plan --only x --steps 0": "--steps needs a database",
    "zanith_plan --explain adds_index --format json": "--format would be ignored",
    "zanith_plan --explain adds_index --max-risk 0": "--max-risk would be ignored",
    "zanith_plan --explain adds_index --since HEAD": "--since would be ignored",
    "zanith_apply --dry-run --verify": "--dry-run prints the SQL and runs nothing",
    "zanith_generate --check --name x": "--check and --name exclude each other",
    "zanith_generate --check --from-diff": "--check and --from-diff exclude",
    "zanith_generate --check --from empty": "--check and --from exclude",
    "zanith_generate --check --empty people": "--check and --empty exclude",
    "zanith_generate --check --drop hard": "--check and --drop exclude",
    "zanith_generate --check --timestamp 20260101_000000": "--check and --timestamp exclude",
    "zanith_generate --empty people people": "--empty and an app exclude",
    "zanith_generate --empty people --from-diff": "--empty and --from-diff exclude",
    "zanith_generate --empty people --drop soft": "--empty and --drop exclude",
    "zanith_generate --from empty --from-diff": "--from and --from-diff exclude",
    "zanith_generate --from empty --drop soft": "--from and --drop exclude",
    "zanith_generate --drop-extra": "--drop-extra needs --from-diff",
}


@pytest.mark.parametrize("command", FLAGS)
def test_a_flag_that_would_be_ignored_is_an_error(releases: Releases, command: str) -> None:
    run = releases.project
    files = sorted(run.root.rglob("*.py"))
    done = run.manage(*command.split())
    assert (done.returncode, FLAGS[command] in done.stderr) == (2, True)
    assert sorted(run.root.rglob("*.py")) == files


SIZES = {
    "[]": "has a list, not a graph",
    "{}": 'has no "rows"',
    '{"rows": {"people_t": 5}}': "people_t has 5, which is not",
    '{"rows": {"people_t": {"rows": -1}}}': "a table that was never analysed: run ANALYZE",
    "nothing": "is not JSON",
    None: "No such file",
}


@pytest.mark.parametrize("text", SIZES)
def test_sizes_that_are_none_are_an_error(releases: Releases, text: str | None) -> None:
    run = releases.project
    migration = releases.file("change", [NOTE])
    if text is not None:
        run.write("sizes.json", text)
    done = run.manage("zanith_plan", "--only", migration, "--sizes", "sizes.json")
    assert (done.returncode, SIZES[text] in done.stderr) == (2, True)
    assert "zanith_diff live --format graph" in done.stderr


def test_a_dry_run_goes_as_far_as_the_run_would(releases: Releases) -> None:
    run = releases.project
    releases.file("first", [NOTE])
    releases.count += 1
    index = AddIndex(table=T, index=Index("people_t_note", (IndexKey("note"),)))
    releases.file("second", [index])
    assert "people_t_note" not in run.manage("zanith_apply", "--dry-run", "--steps", "1").stdout
    assert "people_t_note" in run.manage("zanith_apply", "--dry-run").stdout


# --- rollback ------------------------------------------------------------------------------------


def test_a_rollback_keeps_values_and_asks_before_they_go_for_good(releases: Releases) -> None:
    run = releases.project
    releases.file("change", [NOTE])
    releases.apply()
    run.sql("UPDATE people_t SET note = 'kept'")
    shown = run.manage("zanith_rollback", "--steps", "1", "--dry-run", check=True).stdout
    assert "-- high 60: sets_aside" in shown

    refused = run.manage("zanith_rollback", "--steps", "1", "--drop", "hard")
    assert refused.returncode == 1
    assert "Step 01 (dropColumn) is destructive · needs --allow-destructive" in refused.stderr
    preview = run.manage("zanith_rollback", "--steps", "1", "--drop", "hard", "--dry-run")
    assert (preview.returncode, "-- destructive 80" in preview.stdout) == (1, True)

    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert run.sql("SELECT row_count FROM _zanith_migration_artifacts") == [(3,)]


def test_a_budget_holds_for_a_rollback_too(releases: Releases) -> None:
    run = releases.project
    releases.file("change", [NOTE])
    releases.apply()
    run.sql("UPDATE people_t SET note = 'kept'")
    refused = run.manage("zanith_rollback", "--steps", "1", "--max-risk", "35")
    assert (refused.returncode, "over the budget of 35" in refused.stderr) == (1, True)
    assert "--dry-run" in refused.stderr


def test_a_rollback_that_would_fail_on_rows_is_refused(releases: Releases) -> None:
    run = releases.project
    unique = Unique("people_t_name_key", ("name",))
    run.sql("UPDATE people_t SET name = id; ALTER TABLE people_t ADD UNIQUE (name)")
    releases.file("change", [DropUnique(table=T, unique=unique)])
    releases.apply()
    run.sql(NAMES)
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert (refused.returncode, "is blocked: unique people_t_name_key" in refused.stderr) == (
        1,
        True,
    )


def test_recover_asks_the_same_gates(releases: Releases) -> None:
    run = releases.project
    soft = SoftDropColumn(table=T, column=Column("name", "character varying(20)", nullable=False))
    releases.file("change", [soft])
    releases.apply()
    settings = (run.root / "settings.py").read_text()
    verbs = ("restore-column", "people_t.name"), ("purge", "people_t.name", "--yes")

    run.write(
        "settings.py", settings + "ZANITH['FAIL_ON'] = ['irreversible']\nZANITH['MAX_RISK'] = 4\n"
    )
    for verb in verbs:
        refused = run.manage("zanith_recover", *verb)
        assert refused.returncode == 1
        assert "recover:" in refused.stderr
    assert "over the budget of 4" in run.manage("zanith_recover", *verbs[0]).stderr
    assert "has the reason irreversible" in run.manage("zanith_recover", *verbs[1]).stderr
    assert run.sql("SELECT count(*) FROM _zanith_migration_artifacts WHERE expires_at IS NULL") == [
        (1,)
    ]

    run.write("settings.py", settings + "ZANITH['MAX_RISK'] = 4\n")
    run.manage("zanith_recover", *verbs[0], "--max-risk", "35", check=True)
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert "Step 01 (completion) scores 35 · over the budget of 4" in refused.stderr
    run.manage("zanith_rollback", "--steps", "1", "--max-risk", "60", check=True)
    releases.apply()
    run.manage("zanith_recover", *verbs[1], check=True)


def test_a_plan_names_what_its_author_may_fix_first(releases: Releases) -> None:
    run = releases.project
    releases.file("change", [RawSql(sql="UPDATE people_t SET name = id"), UNIQUE])
    done = run.manage("zanith_plan", "--preflight", "--max-risk", "60", check=True)
    assert "an earlier step may fix it" in " ".join(done.stdout.split())
    run.manage("zanith_apply", "--max-risk", "60", check=True)


def test_the_managed_apps_are_named(releases: Releases) -> None:
    run = releases.project
    done = run.manage("check", "--deploy", "--tag", "zanith")
    assert "(zanith_django.I001) zanith writes and checks the migrations of: people." in done.stderr
    settings = run.root / "settings.py"
    settings.write_text(settings.read_text() + "ZANITH['APPS'] = []\n")
    assert "migrations of: no app." in run.manage("check", "--deploy", "--tag", "zanith").stderr


CONSTRAINT = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [{operation}]
"""
FORMS = {
    "Django's": "migrations.AddConstraint('T', models.UniqueConstraint(fields=['name'], name='u'))",
    "RunSQL": "migrations.RunSQL('ALTER TABLE people_t ADD CONSTRAINT u UNIQUE (name)')",
    "inside": "migrations.SeparateDatabaseAndState([migrations.RunSQL("
    "'ALTER TABLE people_t ADD CONSTRAINT u UNIQUE (name)')], [])",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_step_that_would_fail_on_rows_is_blocked(
    releases: Releases, form: str
) -> None:
    run = releases.project
    run.write("people/migrations/0002_unique.py", CONSTRAINT.format(operation=FORMS[form]))
    assert ("preflight", 1, "people.0002_unique#1") in asked(run, "--max-risk", "60")
    run.sql("UPDATE people_t SET name = id")
    assert asked(run, "--max-risk", "60") == []

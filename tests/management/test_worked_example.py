"""The worked example that the product was asked for with, from the first command to the last."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.project import BASE_APPS, SETTINGS, Project
from tests.releases import Releases
from tests.verify.test_shadows import shadows

BEFORE = """
import uuid

from django.db import models


class User(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    legacy_uuid = models.UUIDField()

    class Meta:
        db_table = "users"
"""

AFTER = BEFORE.replace(
    "legacy_uuid = models.UUIDField()",
    "last_login = models.DateTimeField(null=True, db_index=True)",
)

ID = "20260501_113022_add_last_login"
FILE = f"accounts/zanith_migrations/{ID}.py"

STEPS = f"""
SELECT DISTINCT ON (left(id, 36)) operation_kind, status, error
FROM _zanith_migration_steps WHERE migration_id = '{ID}'
ORDER BY left(id, 36), id DESC"""


def generated(releases: Releases) -> None:
    """A table of the release before, with rows, and the files of the next release."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, "accounts"]))
    project.add_app("accounts", BEFORE)
    project.manage("zanith_generate", "--timestamp", "20260301_080000", check=True)
    project.manage("zanith_apply", check=True)
    project.sql(
        "INSERT INTO users SELECT gen_random_uuid(), n || '@example.org', now(), "
        "gen_random_uuid() FROM generate_series(1, 100) AS n"
    )
    project.write("accounts/models.py", AFTER)
    arguments = ("--name", "add_last_login", "--timestamp", "20260501_113022")
    project.manage("zanith_generate", *arguments, check=True)


def applied(releases: Releases) -> None:
    generated(releases)
    releases.project.manage("zanith_apply", "--max-risk", "80", "--allow-destructive", check=True)


@pytest.fixture
def users(copy_of: Copy) -> Project:
    """The next release is generated and not applied."""
    return copy_of(generated).project


@pytest.fixture
def released(copy_of: Copy) -> Project:
    """The next release is applied."""
    return copy_of(applied).project


# --- generate ------------------------------------------------------------------------------------


def test_the_difference_becomes_three_operations_in_a_safe_order(users: Project) -> None:
    assert (users.root / FILE).read_text() == Path(__file__).with_name(
        "add_last_login.txt"
    ).read_text()


def test_the_same_models_and_stamp_give_the_same_bytes(users: Project) -> None:
    first = (users.root / FILE).read_bytes()
    (users.root / FILE).unlink()
    arguments = ("--name", "add_last_login", "--timestamp", "20260501_113022")
    users.manage("zanith_generate", *arguments, check=True)
    assert (users.root / FILE).read_bytes() == first


# --- plan ----------------------------------------------------------------------------------------

PLAN = """\
pending plan · 3 operations                                        budget · ≤ 35

▸ 20260501_113022_add_last_login
  covers accounts.0002_add_last_login
  01  safe          5  addColumn       users.last_login
  02  low          15  addIndex        users(last_login)
  03  destructive  80  softDropColumn  users.legacy_uuid  (refused)
      soft-drop column users.legacy_uuid (its values are kept).
      · drops_column_with_data: The column and its values are no longer there
        for any query. The running release fails as soon as it reads or writes
        the column.
      · breaks_running_code: Queries of the previous release fail from this step
        until its last process has stopped. The plan names the queries.
      lock: ACCESS EXCLUSIVE on users, for an instant; blocks reads and writes
      undo: zanith_rollback, or later zanith_recover restore-column
      users.legacy_uuid

Step 03 (softDropColumn) scores 80 · over the budget of 35
Step 03 (softDropColumn) is destructive · needs --allow-destructive
blocked · review required
"""


def test_the_plan_names_the_step_over_budget_and_blocks(users: Project) -> None:
    done = users.manage("zanith_plan", "--max-risk", "35")
    assert (done.returncode, done.stdout) == (1, PLAN)
    assert done.stderr == "CommandError: The plan is blocked (2 refused).\n"


def test_the_plan_says_the_same_in_json(users: Project) -> None:
    done = users.manage("zanith_plan", "--max-risk", "35", "--format", "json")
    assert done.returncode == 1
    plan = json.loads(done.stdout)
    (migration,) = plan.pop("migrations")
    steps = migration.pop("steps")
    refusals = plan.pop("refusals")
    assert plan == {
        "database": "default",
        "mode": "production",
        "max_risk": 35,
        "blocked": True,
        "worst": {"level": "destructive", "score": 80},
        "total_score": 100,
        "by_level": {"safe": 1, "low": 1, "medium": 0, "high": 0, "destructive": 1, "blocked": 0},
    }
    assert refusals == [
        {"gate": gate, "migration": ID, "step": 3, "message": message}
        for gate, message in (
            ("budget", "Step 03 (softDropColumn) scores 80 · over the budget of 35"),
            ("consent", "Step 03 (softDropColumn) is destructive · needs --allow-destructive"),
        )
    ]
    assert migration == {"id": ID, "source": "zanith", "covers": ["accounts.0002_add_last_login"]}
    statements = [step.pop("statements") for step in steps]
    assert steps[1] == {
        "step": 2,
        "kind": "addIndex",
        "target": "users(last_login)",
        "level": "low",
        "score": 15,
        "reasons": ["adds_index"],
        "recoverable": False,
        "reversible": True,
        "rows": steps[1]["rows"],
    }
    assert [step["recoverable"] for step in steps] == [False, False, True]
    assert [step["reversible"] for step in steps] == [True, True, True]
    (index,) = statements[1]
    assert index.pop("sql").startswith("CREATE INDEX CONCURRENTLY")
    assert index == {"lock": "SHARE UPDATE EXCLUSIVE", "transactional": False}


def test_a_plan_leaves_no_object(users: Project) -> None:
    before = users.sql("SELECT count(*), max(id) FROM _zanith_migration_steps")
    users.manage("zanith_plan", "--max-risk", "35")
    assert users.sql("SELECT count(*), max(id) FROM _zanith_migration_steps") == before


# --- verify --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["schema", "ephemeral"])
def test_the_shadow_takes_it_and_is_gone_afterwards(users: Project, shape: str) -> None:
    done = users.manage("zanith_verify", "--shadow", shape, "--format", "json", check=True)
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["operations"]) == ("ok", [])
    assert verdict["fingerprint"]
    assert shadows(users) == []
    assert users.sql("SELECT count(legacy_uuid) FROM users") == [(100,)]


# --- apply ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "refused — max risk 60"),
        (["--max-risk", "80"], "refused — destructive not allowed"),
        (
            ["--max-risk", "80", "--allow-destructive", "--fail-on", "adds_index"],
            "refused — fail on adds_index",
        ),
    ],
)
def test_a_gate_leaves_one_failed_row_and_nothing_else(
    users: Project, arguments: list[str], error: str
) -> None:
    done = users.manage("zanith_apply", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: The plan is blocked.")
    rows = users.sql(
        f"SELECT status, error FROM _zanith_migration_steps WHERE migration_id = '{ID}'"
    )
    assert rows == [("failed", error)]
    assert users.sql("SELECT count(legacy_uuid) FROM users") == [(100,)]
    assert users.manage("migrate", "--plan").returncode == 0


def test_every_step_writes_its_own_row(released: Project) -> None:
    assert released.sql(STEPS) == [
        ("addColumn", "done", None),
        ("addIndex", "done", None),
        ("softDropColumn", "done", None),
    ]
    count = f"SELECT count(*) FROM _zanith_migrations WHERE id = '{ID}'"
    assert released.sql(count) == [(1,)]
    phases = f"SELECT phase FROM _zanith_schema_snapshots WHERE migration_id = '{ID}' ORDER BY 1"
    assert released.sql(phases) == [("after",), ("before",)]
    artifacts = "SELECT id, artifact_type, row_count, expires_at FROM _zanith_migration_artifacts"
    name = f"{ID}::soft_drop_column::users.legacy_uuid"
    assert released.sql(artifacts) == [(name, "soft_drop_column", 100, None)]


def test_new_code_inserts_without_knowing_the_dropped_column(released: Project) -> None:
    released.sql("INSERT INTO users (id, email, created_at) VALUES (gen_random_uuid(), 'n', now())")
    assert released.sql("SELECT count(*) FROM users") == [(101,)]


def test_no_command_has_anything_left_to_do(released: Project) -> None:
    assert "No migrations to apply" in released.manage("migrate", check=True).stdout
    assert "No changes detected" in released.manage("makemigrations", "--check", check=True).stdout
    diff = released.manage("zanith_diff", "models", "live", check=True)
    assert diff.stdout == "No difference from models to live.\n"
    again = released.manage("zanith_apply", check=True)
    assert again.stdout == "Nothing to do: the database is at the end of the timeline.\n"


# --- audit ---------------------------------------------------------------------------------------


def test_the_questions_of_the_audit_run_as_they_are_printed(users: Project) -> None:
    users.manage("zanith_apply")  # refused
    users.manage("zanith_apply", "--max-risk", "80", "--allow-destructive", check=True)
    broke = users.sql(
        """
        SELECT migration_id, operation_kind, error, finished_at
        FROM _zanith_migration_steps
        WHERE status = 'failed'
        AND finished_at > now() - interval '7 days'
        ORDER BY finished_at DESC;
        """
    )
    assert [row[:3] for row in broke] == [(ID, "softDropColumn", "refused — max risk 60")]
    slowest = users.sql(
        """
        SELECT operation_kind,
        round(avg(extract(epoch FROM finished_at - started_at) * 1000)) AS avg_ms,
        count(*) AS runs
        FROM _zanith_migration_steps
        WHERE status = 'done'
        GROUP BY operation_kind
        ORDER BY avg_ms DESC
        LIMIT 10;
        """
    )
    runs = {kind: count for kind, _, count in slowest}
    assert runs["softDropColumn"] == runs["addIndex"] == 1
    recoverable = users.sql(
        """
        SELECT id, artifact_type, source_table, row_count, created_at
        FROM _zanith_migration_artifacts
        WHERE expires_at IS NULL
        ORDER BY created_at DESC;
        """
    )
    name = f"{ID}::soft_drop_column::users.legacy_uuid"
    assert [row[:4] for row in recoverable] == [(name, "soft_drop_column", "users", 100)]


def test_the_history_shows_every_attempt_of_every_step(users: Project) -> None:
    users.manage("zanith_apply")  # refused
    users.manage("zanith_apply", "--max-risk", "80", "--allow-destructive", check=True)
    done = users.manage("zanith_history", "--verbose", "--id", ID, check=True)
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("      ")] == [
        "Applied migrations (1):",
        f"▸ {ID}",
        "  ✓ step 1: [safe] addColumn",
        "  ✓ step 2: [low] addIndex",
        "  ✗ step 3: [destructive] softDropColumn",
        "  ✓ step 3 (attempt 2): [destructive] softDropColumn",
        "  snapshot: 8 model(s)",
    ]
    assert "      refused — max risk 60" in lines
    assert re.search(r"\n      users\.last_login · \d+ ms · 20\S+ \S+ · \S+@\S+\n", done.stdout)
    # Of a refused step the file says what it is about.
    assert done.stdout.count("      users.legacy_uuid") == 2
    assert re.search(r"\n      applied 20\S+ \S+, by \S+@\S+, with", done.stdout)


def test_the_history_of_a_table_holds_every_step_that_touched_it(released: Project) -> None:
    said = released.manage("zanith_history", "--table", "users", check=True).stdout
    assert "users.last_login" in said
    assert "auth" not in said
    found = released.manage("zanith_history", "--table", "auth_user", "--format", "json").stdout
    steps = [step for migration in json.loads(found) for step in migration["steps"]]
    assert {"auth_user"} == {table for step in steps for table in step["tables"]}
    assert "Django: Create model User" in {step["description"] for step in steps}


def test_the_history_in_json_holds_the_rows(released: Project) -> None:
    done = released.manage("zanith_history", "--id", ID, "--format", "json", check=True)
    (migration,) = json.loads(done.stdout)
    assert (migration["id"], migration["tables"]) == (ID, 8)
    assert migration["applied_at"]
    last = migration["steps"][-1]
    assert {key: last[key] for key in ("step", "attempt", "kind", "status", "level", "score")} == {
        "step": 3,
        "attempt": 1,
        "kind": "softDropColumn",
        "status": "done",
        "level": "destructive",
        "score": 80,
    }
    assert last["target"] == "users.legacy_uuid"
    assert last["lock"] == "ACCESS EXCLUSIVE"
    assert "drops_column_with_data" in last["reasons"]
    assert last["seconds"] >= 0
    assert last["by"]


def test_the_history_goes_back_as_far_as_asked(released: Project) -> None:
    moved = "UPDATE _zanith_migrations SET applied_at = now() - %s WHERE id <> %s RETURNING id"
    released.sql(moved, timedelta(days=8), ID)
    old = "UPDATE _zanith_migration_steps SET started_at = now() - %s WHERE migration_id <> %s"
    released.sql(old, timedelta(days=8), ID)
    done = released.manage("zanith_history", "--since", "7d", check=True)
    assert done.stdout.startswith(f"Applied migrations (1):\n▸ {ID}  2")


def test_any_two_snapshots_can_be_compared(released: Project) -> None:
    done = released.manage("zanith_diff", f"{ID}:before", ID, "--format", "json")
    assert done.returncode == 1
    difference = json.loads(done.stdout)
    assert (difference["from"], difference["to"]) == (f"{ID}:before", ID)
    assert {operation["kind"] for operation in difference["operations"]} == {
        "addColumn",
        "addIndex",
        "dropColumn",
    }


def test_the_status_counts_what_is_applied_and_what_waits(users: Project) -> None:
    done = users.manage("zanith_status", check=True)
    assert done.stdout == (
        "16 migrations applied, 1 pending\n"
        f"  ○ {ID}\n"
        "Run zanith_plan to see what they do, zanith_apply to run them.\n"
    )
    data = json.loads(users.manage("zanith_status", "--format", "json", check=True).stdout)
    assert data["unfinished"] == []
    (waiting,) = (m for m in data["migrations"] if m["state"] == "pending")
    assert waiting == {"id": ID, "source": "zanith", "state": "pending", "late": False}


# --- screens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["zanith_plan", "-v2", "--max-risk", "35"],
        ["zanith_status", "--all"],
        ["zanith_history", "--verbose"],
        ["zanith_diff", "models", "live"],
    ],
    ids=" ".join,
)
def test_screens_fit_80_columns_and_colour_only_when_asked(
    users: Project, arguments: list[str]
) -> None:
    plain = users.manage(*arguments, "--no-color").stdout
    assert "\x1b" not in plain
    statements = ("      ALTER", "      CREATE")
    too_long = [
        line for line in plain.splitlines() if len(line) > 80 and not line.startswith(statements)
    ]
    assert too_long == []


def test_colour_can_be_forced(users: Project) -> None:
    assert "\x1b[" in users.manage("zanith_plan", "--force-color").stdout


def test_apply_prints_a_line_a_step(users: Project) -> None:
    done = users.manage("zanith_apply", "--max-risk", "80", "--allow-destructive", check=True)
    assert [line.rsplit("  ", 1)[0] for line in done.stdout.splitlines()[:-1]] == [
        f"▸ {ID}",
        "  ✓ step 1: [safe] addColumn users.last_login",
        "  ✓ step 2: [low] addIndex users(last_login)",
        "  ✓ step 3: [destructive] softDropColumn users.legacy_uuid",
    ]
    assert done.stdout.splitlines()[-1].startswith("Applied 1 migration, 3 steps, in ")

"""zanith_recover: what soft drops keep comes back, is saved, or goes for good."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases
from zanith_django.operations import SoftDropColumn, SoftDropTable
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph

USERS = """
from django.db import models

class User(models.Model):
    email = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    {legacy}

    class Meta:
        db_table = "users"

class Order(models.Model):
    buyer = models.ForeignKey(User, models.CASCADE, related_name="+")
    number = models.TextField(unique=True)
    note = models.TextField(db_index=True)

    class Meta:
        db_table = "orders"
"""
NULLABLE = "legacy_uuid = models.UUIDField(null=True, db_index=True)"
REQUIRED = "legacy_uuid = models.IntegerField(unique=True)"
TWO_USERS = """
INSERT INTO users (email, created_at, legacy_uuid) VALUES
  ('a@example.com', now(), '11111111-1111-1111-1111-111111111111'),
  ('b@example.com', now(), NULL)"""
NEW_USER = "INSERT INTO users (email, created_at) VALUES ('new@example.com', now())"
TARGET = "users.legacy_uuid"


def graph_of(releases: Releases) -> SchemaGraph:
    with releases.project.database.connect() as connection, connection.cursor() as cursor:
        return from_catalog(cursor)


def without_column(releases: Releases) -> str:
    """Release a soft drop of users.legacy_uuid; returns the migration."""
    table = graph_of(releases).table(TableName("", "users"))
    assert table is not None
    column = table.column("legacy_uuid")
    assert column is not None
    drop = SoftDropColumn.of(table, column, model="people.User")
    migration = releases.write("no_legacy", USERS.format(legacy=""), [drop])
    releases.apply()
    return migration


def without_orders(releases: Releases) -> str:
    """Release a soft drop of the table orders; returns the migration."""
    table = graph_of(releases).table(TableName("", "orders"))
    assert table is not None
    models = USERS.format(legacy=NULLABLE).partition("class Order")[0]
    drop = SoftDropTable(table=table, model="people.Order")
    migration = releases.write("no_orders", models, [drop])
    releases.apply()
    return migration


def nullable_column(releases: Releases) -> None:
    releases.start(USERS.format(legacy=NULLABLE))
    releases.project.sql(TWO_USERS)


def nullable_column_dropped(releases: Releases) -> None:
    nullable_column(releases)
    without_column(releases)


def required_column(releases: Releases) -> None:
    releases.start(USERS.format(legacy=REQUIRED))
    releases.project.sql(
        "INSERT INTO users (email, created_at, legacy_uuid) VALUES ('a', now(), 1), ('b', now(), 2)"
    )


def required_column_dropped(releases: Releases) -> None:
    required_column(releases)
    without_column(releases)


@pytest.fixture
def undropped(copy_of: Copy) -> Releases:
    """Two users, of whom one has a legacy_uuid."""
    return copy_of(nullable_column)


@pytest.fixture
def dropped(copy_of: Copy) -> Releases:
    """The same after legacy_uuid was soft-dropped."""
    return copy_of(nullable_column_dropped)


@pytest.fixture
def required(copy_of: Copy) -> Releases:
    """Two users whose legacy_uuid was required and unique, and soft-dropped."""
    return copy_of(required_column_dropped)


def test_a_column_comes_back_with_its_values(dropped: Releases) -> None:
    run = dropped.project
    run.sql(NEW_USER)

    said = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout

    assert said.startswith("Restored column users.legacy_uuid with its 1 value.\n")
    assert "    legacy_uuid = models.UUIDField(db_index=True, null=True)\n" in said
    assert run.sql("SELECT legacy_uuid::text FROM users ORDER BY id") == [
        ("11111111-1111-1111-1111-111111111111",),
        (None,),
        (None,),
    ]
    ((artifact, expired),) = run.sql("SELECT id, expires_at FROM _zanith_migration_artifacts")
    assert expired is not None
    assert dropped.statuses(f"recover:{artifact}") == ["done"]
    assert dropped.applied()[-1] == f"recover:{artifact}"
    history = run.manage("zanith_history", "--table", "users", check=True).stdout
    assert (
        f"▸ recover:{artifact}\n  ✓ step 1: [safe] restoreColumn\n      users.legacy_uuid"
        in history
    )

    again = run.manage("zanith_recover", "restore-column", TARGET, check=True)
    assert again.stdout == "Nothing to do: column users.legacy_uuid was restored already.\n"


def test_everything_that_hung_on_a_column_comes_back(copy_of: Copy) -> None:
    releases = copy_of(required_column)
    before = releases.live()
    without_column(releases)
    assert releases.live() != before

    releases.project.manage("zanith_recover", "restore-column", TARGET, check=True)

    assert releases.live() == accepting_null(before)


def accepting_null(schema: str) -> str:
    """No model has the column: running code leaves it out."""
    return schema.replace("users.legacy_uuid integer t", "users.legacy_uuid integer f")


def test_a_table_comes_back_with_rows_indexes_and_foreign_keys(undropped: Releases) -> None:
    run = undropped.project
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', 'x'), (2, 'n2', 'y')")
    before = undropped.live()
    without_orders(undropped)

    said = run.manage("zanith_recover", "restore-table", "orders", check=True).stdout

    assert said == "Restored table orders with its 2 rows.\n"
    assert undropped.live() == before
    assert run.sql("SELECT buyer_id, number FROM orders ORDER BY id") == [(1, "n1"), (2, "n2")]
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n3', 'z')")


def test_strict_changes_nothing_if_rows_violate_a_constraint(required: Releases) -> None:
    run = required.project
    run.sql(NEW_USER)
    ((hidden,),) = run.sql("SELECT physical_name FROM _zanith_migration_artifacts")
    run.sql(f"UPDATE users SET {hidden} = 2 WHERE email = 'a'")
    before = required.live()

    refused = run.manage("zanith_recover", "restore-column", TARGET, "--strict")

    assert refused.returncode == 1
    assert "rows are in its way" in refused.stderr
    assert "users.legacy_uuid must have a value: 1 row, such as id=3" in refused.stderr
    assert "2 rows, such as legacy_uuid=2" in refused.stderr
    assert required.live() == before
    assert not run.sql("SELECT FROM _zanith_migration_steps WHERE migration_id LIKE 'recover:%'")


def test_values_come_back_without_what_later_rows_forbid(required: Releases) -> None:
    run = required.project
    run.sql(NEW_USER)

    said = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout

    assert "users.legacy_uuid must have a value: 1 row, such as id=3" in said
    assert run.sql("SELECT count(legacy_uuid), count(*) FROM users") == [(2, 3)]
    assert run.sql("SELECT status FROM _zanith_migration_steps ORDER BY id DESC LIMIT 1")


def test_orphans_leave_a_foreign_key_unvalidated(undropped: Releases) -> None:
    run = undropped.project
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', ''), (2, 'n2', '')")
    without_orders(undropped)
    run.sql("DELETE FROM users WHERE id = 2")

    said = run.manage("zanith_recover", "restore-table", "orders", check=True).stdout

    assert "to users: 1 row, such as id=2, buyer_id=2" in said
    assert run.sql(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass "
        "AND contype = 'f' AND NOT convalidated"
    ) == [(1,)]


def test_orphans_block_the_restore_of_a_table(undropped: Releases) -> None:
    run = undropped.project
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', ''), (2, 'n2', '')")
    without_orders(undropped)
    run.sql("DELETE FROM users WHERE id = 2")

    refused = run.manage("zanith_recover", "restore-table", "orders", "--strict")

    assert refused.returncode == 1
    assert "to users: 1 row, such as id=2, buyer_id=2" in refused.stderr


def test_a_restore_that_was_killed_half_way_is_finished(required: Releases) -> None:
    run = required.project
    ((artifact,),) = run.sql("SELECT id FROM _zanith_migration_artifacts")
    command = [sys.executable, "manage.py", "zanith_recover", "restore-column", TARGET]
    with run.database.connect() as blocker, blocker.transaction():
        # The concurrent build of the unique index waits for this old snapshot to go.
        blocker.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        blocker.execute("SELECT 1")
        killed = subprocess.Popen(command, cwd=run.root, env=run.environment())
        wait_until(
            run,
            "EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^CREATE UNIQUE' "
            "AND datname = current_database())",
        )
        killed.kill()
        killed.wait()
        wait_until(
            run,
            "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
        )
    assert required.statuses(f"recover:{artifact}") == ["running"]

    run.manage("zanith_recover", "restore-column", TARGET, check=True)

    assert required.statuses(f"recover:{artifact}") == ["failed", "done"]
    assert "users_legacy_uuid" in required.live()
    assert run.sql("SELECT legacy_uuid FROM users ORDER BY id") == [(1,), (2,)]


def wait_until(run: Project, condition: str) -> None:
    for _ in range(200):
        if run.sql(f"SELECT {condition}") == [(True,)]:
            return
        time.sleep(0.1)
    pytest.fail(f"never true: {condition}")


def test_a_hidden_thing_that_changed_is_refused(undropped: Releases) -> None:
    run = undropped.project
    without_orders(undropped)
    without_column(undropped)
    hidden = dict(run.sql("SELECT artifact_type, physical_name FROM _zanith_migration_artifacts"))
    run.sql(f"ALTER TABLE users ALTER {hidden['soft_drop_column']} TYPE text")
    run.sql(f"INSERT INTO {hidden['soft_drop_table']} (buyer_id, number, note) VALUES (1, 'n', '')")

    column = run.manage("zanith_recover", "restore-column", TARGET)
    table = run.manage("zanith_recover", "restore-table", "orders")

    assert (column.returncode, table.returncode) == (1, 1)
    assert "changed since it was dropped: it was uuid and is text" in column.stderr
    assert "changed since it was dropped: it had 0 rows and has 1" in table.stderr


def test_wrong_names_end_with_a_hint(dropped: Releases) -> None:
    run = dropped.project
    unknown = run.manage("zanith_recover", "inspect", "users.nothing")
    table = run.manage("zanith_recover", "restore-table", TARGET)

    assert (unknown.returncode, table.returncode) == (2, 2)
    assert "Run zanith_recover list" in unknown.stderr
    assert "users.legacy_uuid is a column, not a table." in table.stderr
    assert "restore-column users.legacy_uuid" in table.stderr


SNAPSHOTS = """
SELECT phase, graph - 'run', captured_at FROM _zanith_schema_snapshots
WHERE migration_id LIKE 'recover:%' ORDER BY phase"""


def test_a_column_made_again_is_refilled_from_the_old_one(dropped: Releases) -> None:
    run = dropped.project
    run.sql("ALTER TABLE users ADD legacy_uuid uuid")

    refused = run.manage("zanith_recover", "restore-column", TARGET)
    said = run.manage("zanith_recover", "reseed", TARGET, check=True).stdout

    assert refused.returncode == 1
    assert "zanith_recover reseed users.legacy_uuid" in refused.stderr
    assert said == "Refilled 1 row of users.legacy_uuid.\n"
    assert run.sql("SELECT count(legacy_uuid) FROM users") == [(1,)]

    first = run.sql(SNAPSHOTS)
    applied = run.sql("SELECT applied_at FROM _zanith_migrations WHERE id LIKE 'recover:%'")
    run.manage("zanith_recover", "purge", TARGET, "--yes", check=True)
    kept = [(f"{phase}.1", *rest) for phase, *rest in first]
    rows = run.sql(SNAPSHOTS)
    assert [row[0] for row in rows] == ["after", "after.1", "before", "before.1"]
    assert rows[1::2] == kept  # what the first run recorded, as it was
    ((past,),) = run.sql(
        "SELECT graph #> '{run,past}' FROM _zanith_schema_snapshots "
        "WHERE migration_id LIKE 'recover:%' AND phase = 'before'"
    )
    assert [datetime.fromisoformat(each["applied_at"]) for each in past] == [applied[0][0]]
    said = run.manage("zanith_history", "--table", "users", "--since", "1d", check=True).stdout
    assert ", repeated " in said


def test_what_is_kept_is_listed_shown_and_saved(dropped: Releases, tmp_path: Path) -> None:
    run = dropped.project
    file = tmp_path / "out.csv"

    listed = json.loads(run.manage("zanith_recover", "list", "--format", "json", check=True).stdout)
    shown = run.manage("zanith_recover", "inspect", TARGET, check=True).stdout
    lines = run.manage("zanith_recover", "export", TARGET, "--format", "jsonl", check=True)
    whole = run.manage("zanith_recover", "export", TARGET, "--format", "json", check=True)
    run.manage("zanith_recover", "export", TARGET, "--output", str(file), check=True)

    expected = {"id": 1, "legacy_uuid": "11111111-1111-1111-1111-111111111111"}
    assert [row["target"] for row in listed] == [TARGET]
    assert "RENAME COLUMN" in shown
    assert [json.loads(line) for line in lines.stdout.splitlines()] == [expected]
    assert json.loads(whole.stdout) == [expected]
    with file.open() as opened:
        assert list(csv.reader(opened)) == [["id", "legacy_uuid"], ["1", expected["legacy_uuid"]]]


def test_purging_needs_a_yes_and_cannot_be_undone(dropped: Releases) -> None:
    run = dropped.project
    hesitating = run.manage("zanith_recover", "purge", TARGET)
    assert hesitating.returncode == 2
    assert "--yes" in hesitating.stderr

    run.manage("zanith_recover", "purge", TARGET, "--yes", check=True)

    assert "_zanith_dropped_" not in dropped.live()
    restored = run.manage("zanith_recover", "restore-column", TARGET)
    assert restored.returncode == 1
    assert "it was purged on" in restored.stderr
    again = run.manage("zanith_recover", "purge", TARGET, "--yes", check=True)
    assert "Nothing to do" in again.stdout


def test_cleanup_purges_only_what_is_old(dropped: Releases) -> None:
    run = dropped.project
    young = run.manage("zanith_recover", "cleanup", "--yes", check=True)
    run.sql("UPDATE _zanith_migration_artifacts SET created_at = now() - interval '31 days'")
    dry = run.manage("zanith_recover", "cleanup", "--older-than", "30d", "--dry-run", check=True)
    done = run.manage("zanith_recover", "cleanup", "--older-than", "30d", "--yes", check=True)

    assert "nothing kept is older than 90 days" in young.stdout
    assert TARGET in dry.stdout
    assert done.stdout == "Purged users.legacy_uuid.\n"
    assert "_zanith_dropped_" not in dropped.live()

"""Archives from end to end: generated, applied, taken back, saved, purged, rolled back."""

from __future__ import annotations

import json

import pytest

from tests.copies import Copy
from tests.management.test_errors import in_shell
from tests.recover.test_recover import REQUIRED, TARGET, USERS, accepting_null, graph_of
from tests.releases import Releases
from zanith_django.operations import ArchiveColumn, ArchiveTable
from zanith_django.postgres.names import TableName

VALUES = [("a", 1), ("b", 2)]


def archived(releases: Releases) -> None:
    """The column users.legacy_uuid and then the table orders are archived."""
    releases.start(USERS.format(legacy=REQUIRED))
    releases.project.sql(
        "INSERT INTO users (email, created_at, legacy_uuid) VALUES ('a', now(), 1), ('b', now(), 2)"
    )
    releases.project.sql(
        "INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', ''), (2, 'n2', '')"
    )
    releases.project.write("before", releases.live())
    users = graph_of(releases).table(TableName("", "users"))
    assert users is not None
    column = users.column("legacy_uuid")
    assert column is not None
    models = USERS.format(legacy="")
    releases.write("no_legacy", models, [ArchiveColumn.of(users, column, "people.User")])
    releases.apply()
    orders = graph_of(releases).table(TableName("", "orders"))
    assert orders is not None
    drop = ArchiveTable(table=orders, model="people.Order")
    releases.write("no_orders", models.partition("class Order")[0], [drop])
    releases.apply()


def before(releases: Releases) -> str:
    """The schema before anything was archived."""
    return (releases.project.root / "before").read_text()


@pytest.fixture
def done(copy_of: Copy) -> Releases:
    return copy_of(archived)


def started(releases: Releases) -> None:
    releases.start(USERS.format(legacy=REQUIRED))


def test_drop_archive_writes_archives(copy_of: Copy) -> None:
    releases = copy_of(started)
    run = releases.project
    run.write("people/models.py", USERS.format(legacy="").partition("class Order")[0])
    run.manage("zanith_generate", "--drop", "archive", "--name", "gone", "--no-input", check=True)
    plan = run.manage("zanith_plan", "--format", "json").stdout
    steps = [step for migration in json.loads(plan)["migrations"] for step in migration["steps"]]
    assert [(step["kind"], step["target"], step["recoverable"]) for step in steps] == [
        ("archiveColumn", TARGET, True),
        ("archiveTable", "orders", True),
    ]
    hard = run.manage("zanith_generate", "--drop", "nothing")
    assert hard.returncode == 2


def test_an_export_that_has_no_room_says_so(done: Releases) -> None:
    full = in_shell(done.project, f"zanith_recover export {TARGET} > /dev/full")
    assert full.returncode == 2
    assert full.stderr == "CommandError: Standard output: No space left on device\n"
    closed = in_shell(done.project, f"zanith_recover export {TARGET} >&-")
    assert closed.returncode == 2
    assert closed.stderr.startswith("CommandError: Standard output is closed.")
    enough = in_shell(done.project, f"zanith_recover export {TARGET} | true")
    assert (enough.returncode, enough.stderr) == (0, "")


def test_an_archive_is_listed_with_rows_and_checksum_and_saved(done: Releases) -> None:
    run = done.project
    rows = json.loads(run.manage("zanith_recover", "list", "--format", "json", check=True).stdout)
    assert [(row["target"], row["artifact_type"], row["row_count"]) for row in rows] == [
        ("orders", "archive_table", 2),
        (TARGET, "archive_column", 2),
    ]
    assert all(len(row["checksum"]) == 64 for row in rows)
    saved = run.manage("zanith_recover", "export", TARGET, check=True).stdout
    assert saved.splitlines() == ["id,legacy_uuid", "1,1", "2,2"]
    whole = run.manage("zanith_recover", "export", "orders", "--format", "jsonl", check=True).stdout
    assert [json.loads(line)["number"] for line in whole.splitlines()] == ["n1", "n2"]


def test_what_was_archived_comes_back_with_all_that_hung_on_it(done: Releases) -> None:
    run = done.project
    said = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout
    again = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout
    run.manage("zanith_recover", "restore-table", "orders", check=True)
    assert said.startswith("Restored column users.legacy_uuid with its 2 values.\n")
    assert again == "Nothing to do: column users.legacy_uuid was restored already.\n"
    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == VALUES
    assert run.sql("SELECT buyer_id, number FROM orders ORDER BY id") == [(1, "n1"), (2, "n2")]
    assert done.live() == accepting_null(before(done))
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = '_zanith_kept'::regnamespace"
    assert run.sql(left) == [(0,)]


def test_an_archive_is_whole_whatever_the_session_quotes(done: Releases) -> None:
    run = done.project
    run.sql(f"ALTER DATABASE {run.database.name} SET quote_all_identifiers = on")

    run.manage("zanith_recover", "restore-column", TARGET, check=True)
    run.manage("zanith_recover", "restore-table", "orders", check=True)

    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == VALUES


def test_a_changed_archive_is_refused(done: Releases) -> None:
    run = done.project
    names = dict(run.sql("SELECT artifact_type, physical_name FROM _zanith_migration_artifacts"))
    run.sql(f"UPDATE {names['archive_column']} SET legacy_uuid = 7 WHERE id = 1")
    run.sql(f"DELETE FROM {names['archive_table']} WHERE id = 1")
    run.sql("ALTER TABLE users ADD CONSTRAINT x CHECK (id > 0)")

    column = run.manage("zanith_recover", "restore-column", TARGET)
    table = run.manage("zanith_recover", "restore-table", "orders")
    back = run.manage("zanith_rollback", "--steps", "1")

    assert (column.returncode, table.returncode, back.returncode) == (1, 1, 1)
    assert "changed since it was made: its checksum is another" in column.stderr
    assert "changed since it was made: it had 2 rows and has 1" in table.stderr
    assert "it had 2 rows and has 1" in back.stderr


def test_values_find_their_rows_by_the_key_and_the_others_are_reported(done: Releases) -> None:
    run = done.project
    run.sql("DELETE FROM users WHERE id = 2")
    run.sql("INSERT INTO users (email, created_at) VALUES ('new', now())")
    strict = run.manage("zanith_recover", "restore-column", TARGET, "--strict")
    said = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout
    assert strict.returncode == 1
    assert "users.legacy_uuid must have a value: 1 row, such as id=3" in strict.stderr
    assert "users.legacy_uuid must have a value: 1 row" in said
    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == [("a", 1), ("new", None)]


def test_an_archive_whose_rows_were_not_counted_is_known_by_its_checksum(done: Releases) -> None:
    run = done.project
    run.sql("UPDATE _zanith_migration_artifacts SET row_count = NULL")
    run.manage("zanith_recover", "restore-table", "orders", check=True)


def test_a_column_made_again_is_refilled_from_its_archive(done: Releases) -> None:
    run = done.project
    run.sql("ALTER TABLE users ADD legacy_uuid integer")
    run.sql("UPDATE users SET legacy_uuid = 9 WHERE id = 2")
    refused = run.manage("zanith_recover", "restore-column", TARGET)
    said = run.manage("zanith_recover", "reseed", TARGET, check=True).stdout
    assert refused.returncode == 1
    assert said == "Refilled 1 row of users.legacy_uuid.\n"
    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == [("a", 1), ("b", 9)]


def test_an_archive_is_purged_and_then_gone(done: Releases) -> None:
    run = done.project
    run.manage("zanith_recover", "purge", TARGET, "--yes", check=True)
    run.sql("UPDATE _zanith_migration_artifacts SET created_at = now() - interval '31 days'")
    swept = run.manage("zanith_recover", "cleanup", "--older-than", "30d", "--yes", check=True)
    assert swept.stdout == "Purged orders.\n"
    left = "SELECT count(*) FROM pg_class WHERE relnamespace = '_zanith_kept'::regnamespace"
    assert run.sql(left) == [(0,)]
    restored = run.manage("zanith_recover", "restore-table", "orders")
    assert restored.returncode == 1
    assert "it was purged on" in restored.stderr


def test_a_rollback_brings_archives_back_and_they_can_be_made_again(done: Releases) -> None:
    run = done.project
    run.manage("zanith_rollback", "--steps", "2", check=True)
    assert done.live() == before(done)
    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == VALUES
    done.apply()
    rows = run.sql("SELECT row_count, expires_at FROM _zanith_migration_artifacts")
    assert rows == [(2, None), (2, None)]
    run.manage("zanith_recover", "restore-column", TARGET, check=True)
    assert run.sql("SELECT email, legacy_uuid FROM users ORDER BY id") == VALUES

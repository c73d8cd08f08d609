"""What drops and rollbacks keep is found wherever it is, and nothing but a purge destroys it."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.project import REPOSITORY, Project
from tests.recover.test_recover import (
    NULLABLE,
    TARGET,
    USERS,
    graph_of,
    nullable_column,
    nullable_column_dropped,
    required_column,
    without_column,
    without_orders,
)
from tests.releases import Releases
from tests.rollback.test_rollback import USERS_TABLE, two_users
from zanith_django.operations import (
    AddColumn,
    AddGeneratedColumn,
    ArchiveTable,
    CreateTable,
    Operation,
    RawSql,
    RenameColumn,
    RenameTable,
    SoftDropColumn,
    SoftDropTable,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, PrimaryKey, Table

HIDDEN = (
    "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "WHERE starts_with(a.attname, '_zanith_dropped_') AND NOT a.attisdropped AND c.relkind = 'r'"
)
PEOPLE = TableName("", "people")


def release(releases: Releases, name: str, *operations: Operation) -> str:
    """A file of ours that covers nothing of Django's."""
    releases.count += 1
    migration = releases.file(name, operations)
    releases.apply()
    return migration


def indexed(run: Project, column: str) -> bool:
    found = run.sql(f"SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%({column})%'")
    return found == [(1,)]


def shown(releases: Releases) -> list[str]:
    """The schema without what is hidden: an archive has no indexes."""
    return [line for line in releases.live().splitlines() if "_zanith_" not in line]


@pytest.fixture
def renamed(copy_of: Copy) -> Releases:
    """A column soft-dropped, and then its table renamed."""
    releases = copy_of(nullable_column_dropped)
    release(releases, "people", RenameTable(old=TableName("", "users"), new=PEOPLE))
    return releases


def test_a_column_comes_back_to_the_table_that_was_renamed(renamed: Releases) -> None:
    run = renamed.project

    saved = run.manage("zanith_recover", "export", TARGET, check=True).stdout
    run.manage("zanith_recover", "restore-column", TARGET, check=True)

    assert saved.splitlines() == ["id,legacy_uuid", "1,11111111-1111-1111-1111-111111111111"]
    assert run.sql("SELECT count(legacy_uuid) FROM people") == [(1,)]
    assert indexed(run, "legacy_uuid")


@pytest.fixture
def renamed_target(copy_of: Copy) -> Releases:
    """A foreign key soft-dropped, then the table and the key that it references renamed."""
    releases = copy_of(nullable_column_dropped)
    releases.project.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', 'x')")
    orders = graph_of(releases).table(TableName("", "orders"))
    assert orders is not None
    buyer = orders.column("buyer_id")
    assert buyer is not None
    release(releases, "no_buyer", SoftDropColumn.of(orders, buyer))
    renames = (
        RenameTable(old=USERS_TABLE, new=PEOPLE),
        RenameColumn(table=PEOPLE, old="id", new="number"),
        RenameColumn(table=TableName("", "orders"), old="id", new="key"),
    )
    release(releases, "people", *renames)
    return releases


FOREIGN_KEY = """
SELECT confrelid::regclass::text, convalidated FROM pg_constraint
WHERE contype = 'f' AND conrelid = 'orders'::regclass"""


def test_a_rollback_checks_a_foreign_key_against_a_renamed_table(renamed_target: Releases) -> None:
    renamed_target.project.manage("zanith_rollback", "--steps", "2", check=True)

    assert renamed_target.project.sql(FOREIGN_KEY) == [("users", True)]


def test_a_rollback_names_orphans_of_a_renamed_table(renamed_target: Releases) -> None:
    run = renamed_target.project
    run.sql("UPDATE people SET number = 7 WHERE number = 1")

    refused = run.manage("zanith_rollback", "--steps", "2")
    run.sql("UPDATE people SET number = 1 WHERE number = 7")
    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert refused.returncode == 1
    assert "to users: 1 row, such as id=1, buyer_id=1" in refused.stderr
    assert run.sql(FOREIGN_KEY) == [("users", True)]


def test_a_rollback_completes_a_foreign_key_against_a_renamed_table(
    renamed_target: Releases,
) -> None:
    """A restore left it not valid, for a row that is right again by now."""
    run = renamed_target.project
    run.sql("UPDATE people SET number = 7 WHERE number = 1")
    run.manage("zanith_recover", "restore-column", "orders.buyer_id", check=True)
    assert run.sql(FOREIGN_KEY) == [("people", False)]

    refused = run.manage("zanith_rollback", "--steps", "2")
    run.sql("UPDATE people SET number = 1 WHERE number = 7")
    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert refused.returncode == 1
    assert "to users: 1 row, such as id=1, buyer_id=1" in refused.stderr
    assert run.sql(FOREIGN_KEY) == [("users", True)]


def test_a_purge_drops_the_column_of_a_table_that_was_renamed(renamed: Releases) -> None:
    run = renamed.project
    run.sql("UPDATE _zanith_migration_artifacts SET created_at = '2001-01-01'")

    run.manage("zanith_recover", "cleanup", "--yes", check=True)

    assert run.sql(HIDDEN) == []


def test_a_rename_and_the_drop_before_it_go_back_together(renamed: Releases) -> None:
    run = renamed.project

    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert run.sql("SELECT count(legacy_uuid) FROM users") == [(1,)]


def test_a_restore_follows_a_column_that_was_renamed_since(copy_of: Copy) -> None:
    releases = copy_of(nullable_column)
    run = releases.project
    run.sql(
        "ALTER TABLE users ADD CONSTRAINT known CHECK (legacy_uuid IS NULL OR email <> ''); "
        "CREATE INDEX both_of ON users (email, legacy_uuid)"
    )
    before = releases.live()
    without_column(releases)
    rename = RenameColumn(table=USERS_TABLE, old="email", new="mail")
    release(releases, "mail", rename)

    run.manage("zanith_recover", "restore-column", TARGET, check=True)

    assert releases.live().splitlines() == sorted(before.replace("email", "mail").splitlines())
    run.manage("zanith_rollback", "--steps", "2", check=True)
    assert releases.live() == before


def test_a_rollback_finds_what_undone_sql_moves_back(copy_of: Copy) -> None:
    releases = copy_of(nullable_column)
    run = releases.project
    before = releases.live()
    without_column(releases)
    moved = RawSql(
        sql="CREATE SCHEMA apart; ALTER TABLE users SET SCHEMA apart",
        reverse_sql="ALTER TABLE apart.users SET SCHEMA public; DROP SCHEMA apart",
    )
    release(releases, "apart", moved)

    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert releases.live() == before
    assert run.sql("SELECT count(legacy_uuid) FROM users") == [(1,)]


def test_what_is_not_found_is_never_purged(copy_of: Copy) -> None:
    run = copy_of(nullable_column_dropped).project
    ((table, column),) = run.sql(HIDDEN)
    run.sql(f"ALTER TABLE {table} DROP {column}")

    refused = run.manage("zanith_recover", "purge", TARGET, "--yes")
    still = run.sql("SELECT count(*) FROM _zanith_migration_artifacts WHERE expires_at IS NULL")
    run.manage("zanith_recover", "purge", TARGET, "--yes", "--missing", check=True)

    assert refused.returncode == 1
    assert "is not in the database: nothing was dropped" in refused.stderr
    assert still == [(1,)]
    assert json.loads(run.manage("zanith_recover", "list", "--format", "json").stdout) == []


@pytest.mark.parametrize("archived", [False, True], ids=["soft", "archived"])
def test_a_table_comes_back_with_a_column_that_was_hidden_in_it(
    copy_of: Copy, archived: bool
) -> None:
    releases = copy_of(nullable_column_dropped)
    run = releases.project
    orders = graph_of(releases).table(TableName("", "orders"))
    assert orders is not None
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', 'x')")
    models = USERS.format(legacy="").replace("note = models.TextField(db_index=True)", "")
    note = orders.column("note")
    assert note is not None
    releases.write("no_note", models, [SoftDropColumn.of(orders, note, model="people.Order")])
    releases.apply()
    before = shown(releases)
    if archived:
        there = graph_of(releases).table(TableName("", "orders"))
        assert there is not None
        run.sql("GRANT SELECT ON orders TO PUBLIC; ALTER TABLE orders REPLICA IDENTITY FULL")
        run.sql("CREATE PUBLICATION shop FOR TABLE orders")
        release(releases, "archived", ArchiveTable(table=there))
    else:
        without_orders(releases)

    early = run.manage("zanith_recover", "restore-column", "orders.note")
    run.manage("zanith_recover", "restore-table", "orders", check=True)
    assert shown(releases) == before
    run.manage("zanith_recover", "restore-column", "orders.note", check=True)

    assert early.returncode == 1
    assert run.sql("SELECT number, note FROM orders") == [("n1", "x")]
    assert indexed(run, "note")
    if archived:
        assert run.sql("SELECT has_table_privilege('pg_monitor', 'orders', 'SELECT')") == [(True,)]
        assert run.sql("SELECT relreplident FROM pg_class WHERE relname = 'orders'") == [("f",)]
        assert run.sql("SELECT tablename FROM pg_publication_tables") == [("orders",)]


COMMENTS = (
    "SELECT c.relname, coalesce(a.attname, ''), d.description FROM pg_description d "
    "JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass "
    "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = NULLIF(d.objsubid, 0) "
    "WHERE c.relkind IN ('r', 'p') AND c.relnamespace <> 'pg_catalog'::regnamespace ORDER BY 1, 2"
)
OF_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384 "
    "AND obj_description(oid, 'pg_class') IS NOT NULL"
)
COMMENTED = (
    "COMMENT ON TABLE orders IS 'What was ordered'; COMMENT ON COLUMN orders.id IS 'Counted up';"
    "COMMENT ON COLUMN orders.note IS 'By the buyer'"
)
BACK = {
    "rollback": ("zanith_rollback", "--steps", "1"),
    "recover": ("zanith_recover", "restore-table", "orders"),
}


@pytest.mark.parametrize("way", BACK)
@pytest.mark.parametrize("archived", [False, True], ids=["soft", "archived"])
def test_a_kept_table_has_no_comment_and_gets_its_own_back(
    copy_of: Copy, archived: bool, way: str
) -> None:
    releases = copy_of(nullable_column_dropped)
    run = releases.project
    run.sql(COMMENTED)
    before = run.sql(COMMENTS)
    if archived:
        orders = graph_of(releases).table(TableName("", "orders"))
        assert orders is not None
        release(releases, "archived", ArchiveTable(table=orders))
    else:
        without_orders(releases)
    kept = run.sql(OF_TABLES)

    run.manage(*BACK[way], check=True)

    assert kept == []
    assert run.sql(COMMENTS) == before


def test_a_hidden_column_gets_the_comment_back_that_no_model_has(copy_of: Copy) -> None:
    releases = copy_of(nullable_column)
    run = releases.project
    run.sql("COMMENT ON COLUMN users.legacy_uuid IS 'From the old system'")
    before = run.sql(COMMENTS)
    without_column(releases)

    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert run.sql(COMMENTS) == before


def test_a_kept_table_without_columns_has_its_note_itself(copy_of: Copy) -> None:
    releases = copy_of(nullable_column)
    run = releases.project
    run.sql("CREATE TABLE bare (); COMMENT ON TABLE bare IS 'Nothing'")
    release(releases, "bare", SoftDropTable(table=Table(TableName("", "bare"))))

    run.manage("zanith_recover", "restore-table", "bare", check=True)

    assert run.sql(OF_TABLES) == [("bare",)]
    assert run.sql("SELECT obj_description('bare'::regclass)") == [("Nothing",)]


# --- rollbacks ------------------------------------------------------------------------------------

NICK = AddColumn(table=USERS_TABLE, column=Column("nick", "text"))
NOTES = Table(
    TableName("", "notes"),
    (Column("id", "bigint", nullable=False, identity="by default"), Column("text", "text")),
    primary_key=PrimaryKey("notes_pkey", ("id",)),
)


def test_a_rollback_sets_aside_what_holds_anything(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    run = releases.project
    before = releases.live()
    release(releases, "nick", NICK, CreateTable(table=NOTES))
    run.sql("UPDATE users SET nick = 'first' WHERE id = 1; INSERT INTO notes (text) VALUES ('x')")

    said = run.manage("zanith_rollback", "--steps", "1", check=True).stdout

    assert "Kept with their values" in said
    run.sql("INSERT INTO users (email, legacy_uuid) VALUES ('c', 'z')")  # by older code
    listed = json.loads(run.manage("zanith_recover", "list", "--format", "json").stdout)
    assert sorted(row["target"] for row in listed) == ["notes", "users.nick"]

    releases.apply()
    run.sql("UPDATE users SET nick = 'second' WHERE id = 2")
    run.manage("zanith_rollback", "--steps", "1", "--no-input", check=True)

    kept = run.sql("SELECT id FROM _zanith_migration_artifacts WHERE expires_at IS NULL")
    assert len(kept) == 3  # the second table of notes held nothing
    assert len(run.sql(HIDDEN)) == 2
    run.manage("zanith_recover", "restore-table", "notes", check=True)
    assert run.sql("SELECT text FROM notes") == [("x",)]
    run.sql("DROP TABLE notes")
    run.manage("zanith_recover", "purge", "--all", "--yes", check=True)
    assert releases.live() == before
    assert run.manage("zanith_diff", "models", "live").returncode == 0


def test_a_dry_run_shows_what_a_rollback_would_set_aside(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    release(releases, "nick", NICK)
    releases.project.sql("UPDATE users SET nick = 'x'")

    shown = releases.project.manage("zanith_rollback", "--steps", "1", "--dry-run", check=True)

    assert shown.stdout.startswith("-- Kept with their values")
    assert "--   users.nick" in shown.stdout
    assert releases.project.sql("SELECT DISTINCT nick FROM users") == [("x",)]


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
def test_a_rollback_on_a_terminal_asks_before_it_sets_anything_aside(
    copy_of: Copy, answer: str, code: int
) -> None:
    releases = copy_of(two_users)
    run = releases.project
    release(releases, "nick", NICK)
    run.sql("UPDATE users SET nick = 'x'")
    ours, terminal = pty.openpty()
    command = [sys.executable, "manage.py", "zanith_rollback", "--steps", "1"]
    with subprocess.Popen(
        command, cwd=run.root, env=run.environment(), stdin=terminal, stdout=subprocess.PIPE
    ) as asked:
        os.write(ours, f"{answer}\n".encode())
        said, _ = asked.communicate()
    os.close(terminal)
    os.close(ours)

    assert asked.returncode == code
    assert b"  users.nick" in said
    hidden = [column for _, column in run.sql(HIDDEN)]
    assert len(hidden) == (answer == "y")


def test_the_same_command_undoes_no_migration_more(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    run = releases.project
    added = [
        release(releases, name, AddColumn(table=USERS_TABLE, column=Column(name, "text")))
        for name in ("one", "two", "three")
    ]
    run.sql(
        "CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS ("
        "SELECT FROM pg_event_trigger_dropped_objects() "
        "WHERE object_identity = 'public.users.two') THEN RAISE 'not this one'; END IF; END $$"
    )
    run.sql("CREATE EVENT TRIGGER in_the_way ON sql_drop EXECUTE FUNCTION stop()")
    assert run.manage("zanith_rollback", "--steps", "2").returncode == 1
    assert releases.applied() == added[:2]
    run.sql("DROP EVENT TRIGGER in_the_way")

    said = run.manage("zanith_rollback", "--steps", "2", check=True).stdout

    assert "Rolled back 1 migration" in said
    assert releases.applied() == added[:1]
    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert releases.applied() == []


def test_a_hard_rollback_needs_consent(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    run = releases.project
    before = releases.live()
    release(releases, "nick", NICK)
    run.sql("UPDATE users SET nick = 'first'")

    refused = run.manage("zanith_rollback", "--steps", "1", "--drop", "hard")
    assert (refused.returncode, "needs --allow-destructive" in refused.stderr) == (1, True)
    run.manage(
        "zanith_rollback", "--steps", "1", "--drop", "hard", "--allow-destructive", check=True
    )

    assert releases.live() == before
    assert run.sql("SELECT FROM _zanith_migration_artifacts") == []


def test_a_rollback_of_a_column_with_only_defaults_keeps_no_values(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    before = releases.live()
    column = Column("level", "integer", nullable=False, default="3")
    release(releases, "level", AddColumn(table=USERS_TABLE, column=column))

    releases.project.manage("zanith_rollback", "--steps", "1", check=True)

    assert releases.live() == before


def test_a_generated_column_goes_without_consent(copy_of: Copy) -> None:
    releases = copy_of(two_users)
    before = releases.live()
    column = Column("double", "integer", generated="(id * 2)")
    release(releases, "double", AddGeneratedColumn(table=USERS_TABLE, column=column))

    releases.project.manage("zanith_rollback", "--steps", "1", check=True)

    assert releases.live() == before


# --- a restored column and the models ---------------------------------------------------------


def test_a_restored_column_accepts_inserts_and_is_taken_over_by_the_next_release(
    copy_of: Copy,
) -> None:
    releases = copy_of(required_column)
    run = releases.project
    without_column(releases)
    said = run.manage("zanith_recover", "restore-column", TARGET, check=True).stdout
    run.sql("INSERT INTO users (email, created_at) VALUES ('c', now())")
    field = "legacy_uuid = models.IntegerField(unique=True)"
    assert f"    {field}\n" in said
    assert "manage.py zanith_generate" in said

    run.sql("UPDATE users SET legacy_uuid = id WHERE legacy_uuid IS NULL")
    field = "legacy_uuid = models.IntegerField(unique=True, default=7)"
    run.write("people/models.py", USERS.format(legacy=field))
    run.manage("zanith_generate", "--name", "back", check=True)
    plan = run.manage("zanith_plan", "--format", "json", "--allow-destructive")
    run.manage("zanith_apply", "--allow-destructive", "--max-risk", "100", check=True)

    steps = json.loads(plan.stdout)["migrations"][0]["steps"]
    assert not any("ADD COLUMN" in s["sql"] for step in steps for s in step["statements"])
    assert run.sql("SELECT legacy_uuid FROM users ORDER BY id") == [(1,), (2,), (3,)]
    assert run.sql(
        "SELECT attnotnull, col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'legacy_uuid'"
    ) == [(True, None)]
    assert run.manage("zanith_diff", "models", "live").returncode == 0
    assert run.manage("migrate", "--check").returncode == 0
    assert run.manage("makemigrations", "--check").returncode == 0


def test_rows_without_a_value_get_the_default_of_a_restored_column(copy_of: Copy) -> None:
    releases = copy_of(required_column)
    run = releases.project
    without_column(releases)
    run.manage("zanith_recover", "restore-column", TARGET, check=True)
    run.sql("INSERT INTO users (email, created_at) VALUES ('c', now())")

    column = Column("legacy_uuid", "integer", nullable=False, default="7")
    releases.file("back", [AddColumn(table=USERS_TABLE, column=column)])
    releases.apply()

    assert run.sql("SELECT legacy_uuid FROM users ORDER BY id") == [(1,), (2,), (7,)]


def test_a_column_that_was_taken_over_goes_back_with_its_drop(copy_of: Copy) -> None:
    releases = copy_of(required_column)
    run = releases.project
    before, rows = releases.live(), run.sql("SELECT id, legacy_uuid FROM users ORDER BY id")
    without_column(releases)
    run.manage("zanith_recover", "restore-column", TARGET, check=True)
    restored = releases.live()
    field = "legacy_uuid = models.IntegerField(unique=True, default=7)"
    run.write("people/models.py", USERS.format(legacy=field))
    run.manage("zanith_generate", "--name", "back", check=True)
    releases.apply()

    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert releases.live() == restored
    releases.apply()
    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert releases.live() == before
    assert run.sql("SELECT id, legacy_uuid FROM users ORDER BY id") == rows


@pytest.mark.parametrize("drop", ["soft", "archive"])
def test_a_restored_table_is_taken_over_by_the_release_that_has_its_model_again(
    copy_of: Copy, drop: str
) -> None:
    releases = copy_of(nullable_column)
    run = releases.project
    models = USERS.format(legacy=NULLABLE)
    run.sql("INSERT INTO orders (buyer_id, number, note) VALUES (1, 'n1', 'x')")
    before = releases.live()
    run.write("people/models.py", models.partition("class Order")[0])
    run.manage("zanith_generate", "--name", "gone", "--drop", drop, check=True)
    releases.apply()
    run.manage("zanith_recover", "restore-table", "orders", check=True)
    run.write("people/models.py", models)

    run.manage("zanith_generate", "--name", "again", check=True)
    plan = run.manage("zanith_plan", "--format", "json", "--allow-destructive")
    releases.apply()

    steps = json.loads(plan.stdout)["migrations"][0]["steps"]
    assert not any("CREATE" in s["sql"] for step in steps for s in step["statements"])
    assert releases.live() == before
    assert run.sql("SELECT number, note FROM orders") == [("n1", "x")]
    assert run.manage("zanith_diff", "models", "live").returncode == 0
    run.manage("zanith_rollback", "--steps", "2", check=True)
    assert releases.live() == before
    assert run.sql("SELECT number, note FROM orders") == [("n1", "x")]


OTHER_DEFINITIONS = {
    "table": CreateTable(
        table=Table(
            TableName("", "orders"),
            (Column("id", "bigint", nullable=False), Column("size", "integer")),
            primary_key=PrimaryKey("orders_pk", ("id",)),
        )
    ),
    "column": AddColumn(table=USERS_TABLE, column=Column("legacy_uuid", "integer")),
}


@pytest.mark.parametrize("kind", OTHER_DEFINITIONS)
def test_what_was_restored_and_differs_is_refused_before_anything_runs(
    copy_of: Copy, kind: str
) -> None:
    releases = copy_of(nullable_column_dropped)
    run = releases.project
    if kind == "table":
        without_orders(releases)
    name = "orders" if kind == "table" else TARGET
    what = "table orders" if kind == "table" else "column legacy_uuid of users"
    run.manage("zanith_recover", f"restore-{kind}", name, check=True)
    before = releases.live()
    releases.count += 1
    note = AddColumn(table=USERS_TABLE, column=Column("note", "text"))
    releases.file("again", [note, OTHER_DEFINITIONS[kind]])

    for command in ("zanith_plan", "zanith_apply", "zanith_apply"):
        refused = run.manage(command, "--allow-destructive", "--max-risk", "100")
        assert refused.returncode == 1
        words = f"Step 02 ({OTHER_DEFINITIONS[kind].kind}) is blocked: {what} exists already"
        said = " ".join((refused.stdout + refused.stderr).split())
        assert said.count(words) == 1
    assert releases.live() == before


def test_a_table_that_no_migration_dropped_is_not_taken_over(copy_of: Copy) -> None:
    run = copy_of(nullable_column).project
    model = "\n\nclass Tag(models.Model):\n    pass\n"
    run.write("people/models.py", USERS.format(legacy=NULLABLE) + model)
    run.sql("CREATE TABLE people_tag (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)")

    refused = run.manage("zanith_generate", "--name", "tag")

    assert refused.returncode == 1
    assert "people_tag exists" in refused.stderr


def test_a_rollback_makes_a_restored_column_required_again(copy_of: Copy) -> None:
    releases = copy_of(required_column)
    before = releases.live()
    without_column(releases)
    releases.project.manage("zanith_recover", "restore-column", TARGET, check=True)
    assert releases.live() != before

    releases.project.manage("zanith_rollback", "--steps", "1", check=True)

    assert releases.live() == before


# --- recover blocks nothing, and reports ----------------------------------------------------------


def test_a_purge_that_failed_is_in_the_way_of_nothing(copy_of: Copy) -> None:
    releases = copy_of(nullable_column_dropped)
    run = releases.project
    ((table, column),) = run.sql(HIDDEN)
    run.sql(f"CREATE VIEW reads AS SELECT {column} FROM {table}")
    without_orders(releases)
    run.sql("UPDATE _zanith_migration_artifacts SET created_at = '2001-01-01'")

    failed = run.manage("zanith_recover", "cleanup", "--yes")

    assert failed.returncode == 1
    assert "Purged orders." in failed.stdout
    assert "1 could not be purged" in failed.stderr
    run.manage("migrate", check=True)
    run.manage("zanith_rollback", "--steps", "1", "--dry-run")
    release(releases, "more", AddColumn(table=USERS_TABLE, column=Column("more", "text")))
    run.manage("zanith_rollback", "--steps", "1", check=True)


# --- export ------------------------------------------------------------------------------------


def test_an_export_is_read_back_unchanged_and_only_by_its_owner(
    copy_of: Copy, tmp_path: Path
) -> None:
    run = copy_of(nullable_column_dropped).project
    run.sql(
        "ALTER TABLE users ADD t text; INSERT INTO users (email, created_at, t) VALUES "
        "('c', now(), ''), ('d', now(), E'a\\rb'), ('e', now(), '=cmd|x'), ('f', now(), '-5')"
    )

    releases = Releases(run, 9)
    table = graph_of(releases).table(USERS_TABLE)
    assert table is not None
    column = table.column("t")
    assert column is not None
    release(releases, "no_t", SoftDropColumn.of(table, column))
    file = tmp_path / "t.csv"

    run.manage("zanith_recover", "export", "users.t", "--output", str(file), check=True)

    assert file.read_bytes() == b'id,t\n3,""\n4,"a\rb"\n5,\'=cmd|x\n6,-5\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# --- leaving ------------------------------------------------------------------------------------


def test_leaving_zanith_leaves_no_object(copy_of: Copy) -> None:
    releases = copy_of(nullable_column_dropped)
    run = releases.project
    page = (REPOSITORY / "docs" / "leave.md").read_text()
    (drops,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)

    said = run.manage("migrate", "zanith_django", "zero", check=True).stdout
    run.manage("zanith_recover", "purge", "--all", "--yes", check=True)
    run.sql(drops)

    assert "The tables of the ledger stay; docs/leave.md" in said
    assert "zanith_recover purge --all drops them" in said
    assert run.sql(HIDDEN) == []
    left = "SELECT relname FROM pg_class WHERE starts_with(relname, '_zanith_')"
    assert run.sql(left) == []
    assert run.sql("SELECT to_regnamespace('_zanith_kept')") == [(None,)]

"""zanith_rollback: migrations go back step by step, in the ledger and in Django's record too."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace
from datetime import datetime

import pytest

from tests.apply.test_stopped_runs import started, wait_until
from tests.copies import Copy
from tests.project import BASE_APPS, SETTINGS, Project
from tests.recover.test_recover import graph_of
from tests.releases import Releases
from zanith_django.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddUnique,
    AlterColumnNullable,
    AlterColumnType,
    Backfill,
    CreateTable,
    DropColumn,
    DropForeignKey,
    Operation,
    RawSql,
    RunPython,
    SoftDropColumn,
    SoftDropTable,
    ValidateConstraint,
)
from zanith_django.operations.dependents import without_column
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKey,
    PrimaryKey,
    Table,
    Unique,
)

USERS = """
from django.db import models

class User(models.Model):
    email = models.TextField()
    {fields}

    class Meta:
        db_table = "users"
"""
LEGACY = 'legacy_uuid = models.TextField(default="")'
LOGIN = "last_login = models.DateTimeField(null=True, db_index=True)"
USERS_TABLE = TableName("", "users")
ADD_NICK = AddColumn(table=USERS_TABLE, column=Column("nick", "text"))
ADD_X = AddColumn(table=USERS_TABLE, column=Column("x", "text"))
LOGIN_ID = "20260101_000002_login"
NICK = "nick = models.TextField(null=True)"


def two_users(releases: Releases) -> None:
    releases.start(USERS.format(fields=LEGACY))
    releases.project.sql("INSERT INTO users (email, legacy_uuid) VALUES ('a', 'x'), ('b', 'y')")


@pytest.fixture
def releases(copy_of: Copy) -> Releases:
    """Two users with a legacy_uuid."""
    return copy_of(two_users)


def login_released(releases: Releases) -> None:
    two_users(releases)
    release_login(releases)


@pytest.fixture
def with_login(copy_of: Copy) -> Releases:
    """The same after `release_login`."""
    return copy_of(login_released)


def apply_all(run: Project) -> subprocess.CompletedProcess[str]:
    """A step that fails on rows is to fail when it runs."""
    return run.manage("zanith_apply", "--allow-destructive", "--max-risk", "100", "--no-preflight")


def release_login(releases: Releases) -> str:
    """addColumn, addIndex and softDropColumn, as in the worked example."""
    table = graph_of(releases).table(USERS_TABLE)
    assert table is not None
    legacy = table.column("legacy_uuid")
    assert legacy is not None
    operations: list[Operation] = [
        AddColumn(table=USERS_TABLE, column=Column("last_login", "timestamp with time zone")),
        AddIndex(
            table=USERS_TABLE,
            index=Index("users_last_login_idx", (IndexKey(column="last_login"),)),
        ),
        SoftDropColumn.of(table, legacy, model="people.User"),
    ]
    migration = releases.write("login", USERS.format(fields=LOGIN), operations)
    releases.apply()
    return migration


def release_nick(releases: Releases) -> str:
    migration = releases.write("nick", USERS.format(fields=f"{LOGIN}\n    {NICK}"), [ADD_NICK])
    releases.apply()
    return migration


def test_migrations_go_back_and_forth_and_django_agrees(releases: Releases) -> None:
    run = releases.project
    before = releases.live()
    login, nick = release_login(releases), release_nick(releases)
    after = releases.live()

    said = run.manage("zanith_rollback", "--steps", "2", check=True).stdout

    assert "Rolled back 2 migrations, 4 steps" in said
    assert releases.live() == before
    assert run.sql("SELECT legacy_uuid FROM users ORDER BY id") == [("x",), ("y",)]
    assert releases.newest(login) == ["rolled_back"] * 3
    assert releases.newest(nick) == ["rolled_back"]
    assert releases.applied() == []
    assert not run.sql("SELECT FROM _zanith_migration_artifacts WHERE expires_at IS NULL")
    shown = run.manage("showmigrations", "people", check=True).stdout
    assert " ".join(shown.split()) == "people [X] 0001_first [ ] 0002_login [ ] 0003_nick"

    releases.apply()

    assert releases.live() == after
    assert releases.statuses(login) == ["rolled_back", "rolled_back", "done"] * 3
    assert run.manage("migrate", "--check").returncode == 0
    assert run.manage("makemigrations", "--check").returncode == 0
    assert run.manage("zanith_diff", "models", "live").returncode == 0


def test_what_was_validated_stays_so_until_the_constraint_goes(releases: Releases) -> None:
    """PostgreSQL has no way to forget that rows were looked at, and nobody needs one."""
    run, check = releases.project, Check("mail", "(email <> ''::text)", ("email",), valid=False)
    valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'mail'"
    releases.count += 1
    added = releases.file("mail", [AddCheck(table=USERS_TABLE, check=check)])
    releases.count += 1
    validated = releases.file("mail_valid", [ValidateConstraint(table=USERS_TABLE, name="mail")])
    releases.apply()

    said = run.manage("zanith_rollback", "--steps", "1", check=True).stdout
    assert "Rolled back 1 migration" in said
    assert run.sql(valid) == [(True,)]
    assert releases.applied() == [added]
    assert releases.newest(validated) == ["rolled_back"]

    releases.apply()
    assert releases.statuses(validated) == ["rolled_back", "rolled_back", "done"]
    run.manage("zanith_rollback", "--steps", "2", check=True)
    assert run.sql(valid) == []
    assert releases.applied() == []

    releases.apply()
    assert run.sql(valid) == [(True,)]


def test_going_back_to_a_migration_leaves_it_and_twice_does_nothing(with_login: Releases) -> None:
    run = with_login.project
    nick = release_nick(with_login)

    dry = run.manage("zanith_rollback", "--to", LOGIN_ID, "--dry-run", check=True).stdout
    assert 'DROP COLUMN "nick"' in dry
    assert with_login.applied() == [LOGIN_ID, nick]

    run.manage("zanith_rollback", "--to", LOGIN_ID, check=True)
    assert with_login.applied() == [LOGIN_ID]

    again = run.manage("zanith_rollback", "--to", LOGIN_ID, check=True)
    assert again.stdout == "Nothing to roll back.\n"


def test_what_cannot_be_undone_is_refused_before_anything_runs(releases: Releases) -> None:
    run = releases.project
    drop = DropColumn(table=USERS_TABLE, column=Column("legacy_uuid", "text", nullable=False))
    migration = releases.write("hard", USERS.format(fields=NICK), [drop, ADD_NICK])
    releases.apply()
    before = releases.live()

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert f"{migration}::0001 cannot be undone: dropColumn removed its data" in refused.stderr
    assert "zanith_recover list" in refused.stderr
    assert releases.live() == before
    assert releases.statuses(migration) == ["done", "done"]


def test_rows_that_block_the_restore_of_a_column_are_reported(with_login: Releases) -> None:
    run = with_login.project
    run.sql("INSERT INTO users (email) VALUES ('c')")

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert "users.legacy_uuid must have a value: 1 row, such as id=3" in refused.stderr
    assert "zanith_recover inspect users.legacy_uuid" in refused.stderr


def test_a_column_that_was_recovered_before_needs_no_undoing(releases: Releases) -> None:
    run = releases.project
    before = releases.live()
    login = release_login(releases)
    run.manage("zanith_recover", "restore-column", "users.legacy_uuid", check=True)

    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert releases.live() == before
    assert releases.newest(login) == ["rolled_back"] * 3


def keep(run: Project, column: str) -> None:
    """Let the server refuse to drop a column of users, which no plan foresees."""
    run.sql(
        "CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS ("
        "SELECT FROM pg_event_trigger_dropped_objects() "
        f"WHERE object_identity = 'public.users.{column}') "
        f"THEN RAISE 'users.{column} is kept'; END IF; END $$"
    )
    run.sql("CREATE EVENT TRIGGER in_the_way ON sql_drop EXECUTE FUNCTION keep()")


ATTEMPTS = """
SELECT substring(id FROM '::(.*)'), operation_kind, status, started_at, finished_at, sql
FROM _zanith_migration_steps WHERE migration_id = %s ORDER BY id"""


def test_a_rollback_adds_attempts_and_writes_over_none(with_login: Releases) -> None:
    run = with_login.project
    before = run.sql(ATTEMPTS, LOGIN_ID)
    (applied,) = run.sql("SELECT applied_at FROM _zanith_migrations WHERE id = %s", LOGIN_ID)

    run.manage("zanith_rollback", "--steps", "1", check=True)

    after = run.sql(ATTEMPTS, LOGIN_ID)
    marked = [(number, kind, "rolled_back", *rest) for number, kind, _, *rest in before]
    assert after[::2] == marked  # the status alone says that it was undone
    for forth, back in zip(after[::2], after[1::2], strict=True):
        assert (back[0], back[2]) == (f"{forth[0]}.2", "rolled_back")
        assert back[5].startswith("-- rolled back by:\n")
        assert back[5] != forth[5]
        assert forth[4] < back[3] <= back[4]
    assert "softDropColumn" in {row[1] for row in after[1::2]}
    graph = "SELECT graph -> 'run' FROM _zanith_schema_snapshots WHERE migration_id = %s"
    ((ran,),) = run.sql(f"{graph} AND phase = 'before'", LOGIN_ID)
    (past,) = ran["past"]
    assert datetime.fromisoformat(past["applied_at"]) == applied[0]
    assert past["user"]
    assert past["rolled_back"]["user"]
    forth, back = (ran["details"][f"{LOGIN_ID}::0001{end}"] for end in ("", ".2"))
    assert back["undoes"] == f"{LOGIN_ID}::0001"
    assert forth["reasons"] == ["adds_nullable_column"]
    assert "breaks_running_code" in back["reasons"]
    assert 0 < forth["estimate"] < 1
    levels = "SELECT risk_level, risk_score FROM _zanith_migration_steps WHERE id = %s"
    assert run.sql(levels, f"{LOGIN_ID}::0001") == [("safe", 5)]
    assert run.sql(levels, f"{LOGIN_ID}::0001.2") == [("high", 60)]

    with_login.apply()
    run.manage("zanith_rollback", "--steps", "1", check=True)
    ((ran,),) = run.sql(f"{graph} AND phase = 'before'", LOGIN_ID)
    first, second = ran["past"]
    assert first == past
    assert second["applied_at"] > first["rolled_back"]["at"]
    assert run.sql(ATTEMPTS, LOGIN_ID)[0] == marked[0]


SNAPSHOTS = """
SELECT phase, graph - 'run', captured_at FROM _zanith_schema_snapshots
WHERE migration_id = %s ORDER BY phase"""


def test_snapshots_of_a_run_stay_when_it_is_rolled_back_and_when_it_runs_again(
    with_login: Releases,
) -> None:
    run = with_login.project
    taken = run.sql(SNAPSHOTS, LOGIN_ID)
    assert [phase for phase, *_ in taken] == ["after", "before"]

    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert run.sql(SNAPSHOTS, LOGIN_ID) == taken
    gone = run.manage("zanith_diff", f"{LOGIN_ID}:after", f"{LOGIN_ID}:before")
    assert "last_login" in gone.stdout
    run.manage("zanith_diff", f"{LOGIN_ID}:before", "live", check=True)

    with_login.apply()
    now = {phase: rest for phase, *rest in run.sql(SNAPSHOTS, LOGIN_ID)}
    assert sorted(now) == ["after", "after.1", "before", "before.1"]
    assert [now["after.1"], now["before.1"]] == [rest for _, *rest in taken]
    run.manage("zanith_diff", f"{LOGIN_ID}:after.1", f"{LOGIN_ID}:after", check=True)
    run.manage("zanith_diff", LOGIN_ID, "live", check=True)
    assert run.manage("zanith_plan", check=True).returncode == 0  # the file is not edited


def test_a_file_may_be_edited_once_it_is_rolled_back(with_login: Releases) -> None:
    run = with_login.project
    run.manage("zanith_rollback", "--steps", "1", check=True)
    path = run.root / "people" / "zanith_migrations" / f"{LOGIN_ID}.py"
    path.write_text(path.read_text().replace("users_last_login_idx", "users_login_idx"))
    plan = run.manage("zanith_plan", "--max-risk", "100", "--allow-destructive", "-v", "2")
    assert "users_login_idx" in plan.stdout


def test_a_step_that_failed_keeps_its_error_and_its_times_when_it_goes_back(
    releases: Releases,
) -> None:
    run = releases.project
    run.sql(TWINS)
    migration = releases.file("two", [ADD_X, UNIQUE_EMAIL])
    assert apply_all(run).returncode == 1
    before = run.sql(ATTEMPTS, migration)

    run.manage("zanith_rollback", "--steps", "1", check=True)

    after = {row[0]: row[1:] for row in run.sql(ATTEMPTS, migration)}
    assert after["0002"] == before[1][1:]
    assert after["0002.2"][1] == "rolled_back"
    assert after["0001"][2:] == before[0][3:]


def test_a_rollback_that_failed_resumes_where_it_stopped(releases: Releases) -> None:
    run = releases.project
    before = releases.live()
    login = release_login(releases)
    keep(run, "last_login")

    failed = run.manage("zanith_rollback", "--steps", "1")
    assert failed.returncode == 1
    assert "users.last_login is kept" in failed.stderr
    assert releases.newest(login) == ["failed", "rolled_back", "rolled_back"]
    assert releases.applied() == [login]

    assert f"{LOGIN_ID} is rolled back half way" in run.manage("zanith_status").stdout
    stopped = run.manage("zanith_apply")
    assert stopped.returncode == 1
    assert "Run zanith_rollback --steps 1" in stopped.stderr
    run.sql("DROP EVENT TRIGGER in_the_way")
    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert releases.live() == before
    assert releases.newest(login) == ["rolled_back"] * 3


DATA = """
from django.db import migrations


def forwards(apps, editor):
    apps.get_model("people", "User").objects.update(email="changed")


def backwards(apps, editor):
    apps.get_model("people", "User").objects.update(email="back")


class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [migrations.RunPython(forwards{reverse})]
"""


@pytest.mark.parametrize("reverse", [", backwards", ""])
def test_python_with_a_reverse_is_honoured(releases: Releases, reverse: str) -> None:
    run = releases.project
    run.write("people/migrations/0002_data.py", DATA.format(reverse=reverse))
    step = RunPython(migration="people.0002_data", position=1, reversible=bool(reverse))
    releases.file("data", [step], covers=["people.0002_data"])
    releases.apply()
    assert run.sql("SELECT DISTINCT email FROM users") == [("changed",)]

    done = run.manage("zanith_rollback", "--steps", "1")

    expected = (0, "back") if reverse else (1, "changed")
    ((email,),) = run.sql("SELECT DISTINCT email FROM users")
    assert (done.returncode, email) == expected
    assert reverse or "its code has no reverse" in done.stderr


def test_what_django_did_is_left_to_django(releases: Releases) -> None:
    run = releases.project
    fields = f"{LEGACY}\n    {NICK}"
    releases.write("nick", USERS.format(fields=fields), [ADD_NICK])
    run.manage("migrate", check=True)
    releases.apply()

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert "manage.py migrate people" in refused.stderr


def test_a_migration_that_another_one_depends_on_is_refused(releases: Releases) -> None:
    run = releases.project
    releases.write("nick", USERS.format(fields=f"{LEGACY}\n    {NICK}"), [ADD_NICK])
    run.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, "people", "blog"]))
    run.add_app(
        "blog",
        """
        from django.db import models

        class Post(models.Model):
            author = models.ForeignKey("people.User", models.CASCADE)
        """,
    )
    run.manage("makemigrations", "blog", check=True)
    releases.apply()

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert "django:blog.0001_initial" in refused.stderr
    assert "manage.py migrate blog" in refused.stderr


def test_a_table_with_its_keys_goes_back(releases: Releases) -> None:
    """So do changes by hand before it, and keys to a table and a column that come back first."""
    run = releases.project
    run.sql("CREATE DOMAIN mail AS text; ALTER TABLE users ALTER email TYPE mail")
    run.sql("ALTER TABLE users ALTER legacy_uuid DROP NOT NULL")
    before = releases.live()
    orders = Table(
        TableName("", "orders"),
        columns=(
            Column("id", "bigint", nullable=False, identity="by default"),
            Column("number", "text", nullable=False),
            Column("buyer_id", "bigint", nullable=False),
        ),
        primary_key=PrimaryKey("orders_pkey", ("id",)),
    )
    key = ForeignKey("orders_buyer", ("buyer_id",), USERS_TABLE, ("id",))
    by_legacy = ForeignKey("orders_legacy", ("number",), USERS_TABLE, ("legacy_uuid",))
    email = Column("email", "text", nullable=False)
    migration = releases.file(
        "orders",
        [
            CreateTable(table=orders),
            AddUnique(table=orders.name, unique=Unique("orders_number", ("number",))),
            AddForeignKey(table=orders.name, foreign_key=key),
            AlterColumnType(table=USERS_TABLE, old=email, new=replace(email, type="varchar(9)")),
            AlterColumnNullable(table=USERS_TABLE, column="legacy_uuid", nullable=True),
            AddUnique(table=USERS_TABLE, unique=Unique("legacy", ("legacy_uuid",))),
            AddForeignKey(table=orders.name, foreign_key=by_legacy),
        ],
    )
    releases.apply()
    run.sql("INSERT INTO orders (number, buyer_id) VALUES ('x', 1)")
    releases.count += 1
    users = graph_of(releases).table(USERS_TABLE)
    legacy = users.column("legacy_uuid") if users else None
    assert users is not None
    assert legacy is not None
    drops = [DropForeignKey(table=orders.name, foreign_key=each) for each in (key, by_legacy)]
    column = SoftDropColumn.of(users, legacy)
    releases.file("gone", [*drops, column, SoftDropTable(table=without_column(users, legacy.name))])
    releases.apply()

    run.manage("zanith_rollback", "--steps", "2", check=True)

    assert releases.live() == before
    assert releases.newest(migration) == ["rolled_back"] * 7


def test_how_far_must_be_said(releases: Releases) -> None:
    for arguments in ([], ["--steps", "0"], ["--to", "nothing"], ["--steps", "1", "--to", "x"]):
        assert releases.project.manage("zanith_rollback", *arguments).returncode == 2


# --- a migration that stopped half way -----------------------------------------------------------


TWINS = "UPDATE users SET email = 'twin'"
UNIQUE_EMAIL = AddUnique(table=USERS_TABLE, unique=Unique("users_email_key", ("email",)))
# The text cannot be a number: rows are refused when the new column is filled.
RETYPED = AlterColumnType(
    table=USERS_TABLE, old=Column("email", "text", nullable=False), new=Column("email", "integer")
)


@pytest.mark.parametrize("stopping", [UNIQUE_EMAIL, RETYPED], ids=["addUnique", "alterColumnType"])
def test_a_migration_that_failed_half_way_goes_back(
    releases: Releases, stopping: Operation
) -> None:
    run = releases.project
    before = releases.live()
    run.sql(TWINS)
    fields = f"{LEGACY}\n    {NICK}"
    migration = releases.write("nick", USERS.format(fields=fields), [ADD_NICK, stopping, ADD_X])
    assert apply_all(run).returncode == 1
    assert releases.statuses(migration) == ["done", "failed", "pending"]

    said = run.manage("zanith_rollback", "--steps", "1", check=True).stdout

    assert "Rolled back 1 migration, 2 steps" in said
    assert releases.live() == before
    assert run.sql("SELECT FROM pg_proc WHERE starts_with(proname, '_zanith_')") == []
    assert releases.newest(migration) == ["rolled_back", "rolled_back", "pending"]
    failed = "SELECT status FROM _zanith_migration_steps WHERE error IS NOT NULL"
    assert run.sql(failed) == [("failed",)]
    assert "Nothing to roll back" in run.manage("zanith_rollback", "--steps", "1").stdout

    run.sql("UPDATE users SET email = id")
    releases.apply()
    assert releases.newest(migration) == ["done"] * 3


def test_data_goes_back_with_a_migration_that_stopped(releases: Releases) -> None:
    run = releases.project
    run.sql(TWINS)
    run.write("people/migrations/0002_data.py", DATA.format(reverse=", backwards"))
    step = RunPython(migration="people.0002_data", position=1, reversible=True)
    raw = RawSql(sql="CREATE TABLE notes ()", reverse_sql="DROP TABLE notes")
    releases.file("data", [step, raw, UNIQUE_EMAIL], covers=["people.0002_data"])
    assert apply_all(run).returncode == 1
    assert run.sql("SELECT DISTINCT email FROM users") == [("changed",)]

    dry = run.manage("zanith_rollback", "--steps", "1", "--dry-run", check=True).stdout
    assert 'DROP INDEX CONCURRENTLY IF EXISTS "public"."users_email_key"' in dry
    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert run.sql("SELECT DISTINCT email FROM users") == [("back",)]
    assert run.sql("SELECT to_regclass('notes')") == [(None,)]
    shown = run.manage("showmigrations", "people", check=True).stdout
    assert " ".join(shown.split()) == "people [X] 0001_first [ ] 0002_data"
    run.manage("migrate", check=True)


@pytest.mark.parametrize("fails", [False, True])
def test_values_that_a_fill_gave_stay_only_if_asked(releases: Releases, fails: bool) -> None:
    """With --keep-values they stay, as after Django's migrate; else the rollback is refused."""
    run = releases.project
    run.sql("ALTER TABLE users ALTER legacy_uuid DROP NOT NULL")
    before = releases.live()
    run.sql("INSERT INTO users (email, legacy_uuid) VALUES ('1', NULL), ('2', 'own'), ('3', NULL)")
    value = "email" if not fails else "nullif(email, '3')"
    migration = releases.file(
        "fill",
        [
            ADD_NICK,
            Backfill(table=USERS_TABLE, column="legacy_uuid", value=value),
            AlterColumnNullable(table=USERS_TABLE, column="legacy_uuid", nullable=False),
        ],
    )
    assert apply_all(run).returncode == (1 if fails else 0)

    after = releases.live()
    refused = run.manage("zanith_rollback", "--steps", "1")
    assert refused.returncode == 1
    assert "zanith_rollback --keep-values" in refused.stderr
    assert releases.live() == after

    run.manage("zanith_rollback", "--steps", "1", "--keep-values", check=True)

    assert releases.live() == before
    rows = run.sql("SELECT legacy_uuid FROM users WHERE email < 'a' ORDER BY email")
    assert rows == [("1",), ("own",), (None if fails else "3",)]
    assert set(releases.statuses(migration)) <= {"rolled_back", "failed"}


def test_rows_that_a_fill_wrote_cannot_go_back_by_themselves(releases: Releases) -> None:
    run = releases.project
    run.sql("ALTER TABLE users ALTER legacy_uuid DROP NOT NULL")
    run.sql("INSERT INTO users (email) SELECT n FROM generate_series(1, 1500) AS n")
    run.sql("UPDATE users SET email = 'last' WHERE email = '1500'")
    fill = Backfill(
        table=USERS_TABLE,
        column="legacy_uuid",
        value="email::integer::text",
        where="legacy_uuid IS NULL",
    )
    migration = releases.file("fill", [ADD_NICK, fill])
    assert apply_all(run).returncode == 1

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert f"{migration}::0002 cannot be undone: it stopped in the middle" in refused.stderr
    assert "run zanith_apply, which finishes it" in refused.stderr
    assert releases.statuses(migration) == ["done", "failed"]


def test_an_object_that_blocked_a_step_is_not_removed(releases: Releases) -> None:
    run = releases.project
    run.sql("CREATE INDEX users_email_key ON users (email)")
    migration = releases.file("unique", [ADD_NICK, UNIQUE_EMAIL])
    assert apply_all(run).returncode == 1

    refused = run.manage("zanith_rollback", "--steps", "1")

    assert refused.returncode == 1
    assert f"{migration}::0002 cannot be undone" in refused.stderr
    assert "users_email_key existed before it began" in refused.stderr
    assert run.sql("SELECT to_regclass('users_email_key') IS NOT NULL") == [(True,)]


def test_a_rollback_of_half_a_migration_resumes_where_it_stopped(releases: Releases) -> None:
    run = releases.project
    before = releases.live()
    run.sql(TWINS)
    migration = releases.file("three", [ADD_X, ADD_NICK, UNIQUE_EMAIL])
    assert apply_all(run).returncode == 1
    keep(run, "x")

    assert run.manage("zanith_rollback", "--steps", "1").returncode == 1
    assert releases.newest(migration) == ["failed", "rolled_back", "rolled_back"]
    assert f"{migration} is rolled back half way" in run.manage("zanith_status").stdout
    stopped = run.manage("zanith_apply")
    assert (stopped.returncode, "Run zanith_rollback --steps 1" in stopped.stderr) == (1, True)

    run.sql("DROP EVENT TRIGGER in_the_way")
    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert releases.live() == before
    assert releases.newest(migration) == ["rolled_back"] * 3


def test_what_went_back_runs_again_when_the_ledger_lost_its_statuses(with_login: Releases) -> None:
    run, there = with_login.project, with_login.live()
    run.manage("zanith_rollback", "--steps", "1", check=True)
    run.sql("ALTER TABLE _zanith_migration_steps DROP status")

    with_login.apply()

    assert with_login.live() == there
    assert set(with_login.statuses(LOGIN_ID)) == {"rolled_back", "done"}


SET_BACK = "UPDATE _zanith_migrations SET applied_at = '2001-01-01'"
SET_FORWARD = "UPDATE _zanith_migrations SET applied_at = now() + interval '1 day'"


def test_attempts_that_failed_before_are_no_rollback_whatever_the_clock_says(
    releases: Releases,
) -> None:
    run = releases.project
    run.sql(TWINS)
    releases.file("three", [ADD_X, ADD_NICK, UNIQUE_EMAIL])
    assert apply_all(run).returncode == 1
    run.sql("UPDATE users SET email = id::text")
    releases.apply()

    run.sql(SET_BACK)

    assert "half way" not in run.manage("zanith_status").stdout
    releases.apply()


def test_steps_that_left_their_file_after_a_rollback_stay_undone(releases: Releases) -> None:
    run = releases.project
    migration = releases.file("two", [ADD_X, ADD_NICK])
    releases.apply()
    run.manage("zanith_rollback", "--steps", "1", check=True)
    releases.file("two", [ADD_X])
    releases.apply()
    assert releases.newest(migration) == ["done", "rolled_back"]

    run.sql(SET_BACK)

    assert "half way" not in run.manage("zanith_status").stdout
    releases.apply()


def test_a_rollback_that_stopped_is_seen_whatever_the_clock_says(with_login: Releases) -> None:
    run = with_login.project
    run.sql(SET_FORWARD)
    keep(run, "last_login")

    assert run.manage("zanith_rollback", "--steps", "1").returncode == 1

    assert f"{LOGIN_ID} is rolled back half way" in run.manage("zanith_status").stdout
    assert "Run zanith_rollback --steps 1" in run.manage("zanith_apply").stderr


def test_a_rollback_that_was_killed_is_finished_by_the_next(with_login: Releases) -> None:
    run = with_login.project
    with run.database.connect() as reader:
        reader.execute("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE")
        back = started(run, "zanith_rollback", "--steps", "1")
        try:
            wait_until(run, "wait_event_type = 'Lock'", back)
        finally:
            back.send_signal(signal.SIGKILL)
            back.wait()
            back.communicate()
    assert "running" in with_login.statuses(LOGIN_ID)

    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert with_login.newest(LOGIN_ID) == ["rolled_back"] * 3
    assert with_login.applied() == []


RENAMED = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [migrations.RenameModel("User", "Person")]
"""

HALF = """
from django.db import migrations


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("people", "0001_first")]
    operations = [
        migrations.RunSQL("CREATE TABLE half ()", "DROP TABLE half"),
        migrations.RunSQL("SELECT 1 / 0"),
    ]
"""


@pytest.mark.parametrize("atomic", [True, False])
def test_a_migration_of_django_that_stopped_is_in_the_way_only_with_what_it_left(
    with_login: Releases, atomic: bool
) -> None:
    run = with_login.project
    run.write(
        "people/migrations/0003_half.py",
        HALF.format(atomic=atomic).replace("0001_first", "0002_login"),
    )
    assert apply_all(run).returncode == 1

    done = run.manage("zanith_rollback", "--steps", "1")

    if atomic:
        assert (done.returncode, with_login.applied()) == (0, [])
        return
    assert done.returncode == 1
    assert "django:people.0003_half cannot be undone: it is not atomic" in done.stderr


SQUASH = """
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("people", "0002_login"), ("people", "0003_nick")]
    dependencies = [("people", "0001_first")]
    operations = [
        migrations.RemoveField("user", "legacy_uuid"),
        migrations.AddField("user", "last_login", models.DateTimeField(null=True, db_index=True)),
        migrations.AddField("user", "nick", models.TextField(null=True)),
    ]
"""


def test_migrations_that_a_squash_replaced_go_back_and_with_them_its_record(
    with_login: Releases,
) -> None:
    run = with_login.project
    release_nick(with_login)
    run.write("people/migrations/0002_squashed.py", SQUASH)
    with_login.apply()
    names = "SELECT name FROM django_migrations WHERE app = 'people' ORDER BY name"
    assert ("0002_squashed",) in run.sql(names)

    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert run.sql(names) == [("0001_first",), ("0002_login",)]
    run.manage("zanith_rollback", "--steps", "1", check=True)
    assert run.sql(names) == [("0001_first",)]

    with_login.apply()
    assert len(run.sql(names)) == 4
    run.manage("migrate", "--check", check=True)


def test_content_types_follow_a_model_that_gets_its_old_name_back(releases: Releases) -> None:
    run = releases.project
    renamed = USERS.replace("class User", "class Person")
    run.write("people/models.py", renamed.format(fields=LEGACY))
    run.write("people/migrations/0002_person.py", RENAMED)
    releases.file("person", [], covers=["people.0002_person"])
    types = "SELECT id, model FROM django_content_type WHERE app_label = 'people'"
    ((number, before),) = run.sql(types)
    releases.apply()
    assert run.sql(types) == [(number, "person")]

    run.manage("zanith_rollback", "--steps", "1", check=True)

    assert run.sql(types) == [(number, before)]

"""Runs that fail, are killed, meet each other or find the work done; one more run sets it right."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases

BOOK = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20)
    isbn = models.CharField(max_length=20)
"""

UNIQUE = BOOK.replace(
    "    isbn = models.CharField(max_length=20)",
    "    pages = models.IntegerField(null=True)\n"
    "    isbn = models.CharField(max_length=20, unique=True)\n"
    "    shelf = models.IntegerField(null=True)",
)

# Three operations, of which the second fails over duplicates.
UNIQUE_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("book", "pages", models.IntegerField(null=True)),
        migrations.AlterField("book", "isbn", models.CharField(max_length=20, unique=True)),
        migrations.AddField("book", "shelf", models.IntegerField(null=True)),
    ]
"""

# A column is dropped before the step that fails, as long as two books have one isbn.
DROPPING = BOOK.replace("    title = models.CharField(max_length=20)\n", "")
DROPPING_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RemoveField("book", "title"),
        migrations.RunSQL("SELECT 1 / (2 - count(*)) FROM shop_book WHERE isbn = '1'"),
    ]
"""

# The data step waits for a lock that the test holds.
NAPPING = (
    BOOK.replace("    title", "    a = models.IntegerField(null=True, db_index=True)\n    title")
    + "    b = models.IntegerField(null=True)\n"
)
NAPPING_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("book", "a", models.IntegerField(null=True, db_index=True)),
        migrations.RunSQL(
            "INSERT INTO shop_book (title, isbn) VALUES ('slow', '9');"
            "SELECT pg_advisory_xact_lock(42)"
        ),
        migrations.AddField("book", "b", models.IntegerField(null=True)),
    ]
"""

STEPS = """
SELECT right(id, -strpos(id, '::') - 1), status FROM _zanith_migration_steps
WHERE id LIKE '%change::%' ORDER BY id"""

APPLIED = "SELECT count(*) FROM _zanith_migrations WHERE id LIKE '%change'"


def a_shop(releases: Releases) -> None:
    """The app `shop`, applied by Django's rules, with two books of one isbn."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", BOOK)
    project.manage("makemigrations", "shop", check=True)
    project.manage("zanith_apply", check=True)
    project.sql("INSERT INTO shop_book (title, isbn) VALUES ('a', '1'), ('b', '1'), ('c', '2')")


def a_failing_release(releases: Releases) -> None:
    a_shop(releases)
    write_change(releases.project, UNIQUE, UNIQUE_MIGRATION)
    releases.project.manage("zanith_generate", check=True)


def a_napping_release(releases: Releases) -> None:
    """Its data step waits for a lock for as long as a test takes."""
    a_shop(releases)
    write_change(releases.project, NAPPING, NAPPING_MIGRATION)
    settings = (releases.project.root / "settings.py").read_text()
    releases.project.write("settings.py", settings + '\nZANITH = {"LOCK_TIMEOUT": 60}\n')
    releases.project.manage("zanith_generate", check=True)


def a_release_that_drops_and_fails(releases: Releases) -> None:
    a_shop(releases)
    write_change(releases.project, DROPPING, DROPPING_MIGRATION)
    releases.project.manage("zanith_generate", check=True)


def write_change(project: Project, models: str, migration: str) -> None:
    project.write("shop/models.py", models)
    project.write("shop/migrations/0002_change.py", migration)


# --- a step that fails ---------------------------------------------------------------------------


def test_what_a_killed_run_kept_is_counted_by_the_next(copy_of: Copy) -> None:
    shop = copy_of(a_release_that_drops_and_fails).project
    apply = ("zanith_apply", "--allow-destructive", "--max-risk", "80")
    assert shop.manage(*apply).returncode == 1
    counts = "SELECT row_count FROM _zanith_migration_artifacts"
    assert shop.sql(counts) == [(3,)]
    shop.sql("UPDATE _zanith_migration_artifacts SET row_count = NULL")  # killed before it counted
    ((hidden,),) = shop.sql("SELECT physical_name FROM _zanith_migration_artifacts")
    shop.sql(f"UPDATE shop_book SET isbn = '3' WHERE {hidden} = 'b'")
    shop.manage(*apply, check=True)
    assert shop.sql(counts) == [(3,)]


def test_a_failing_step_stops_the_run_which_resumes_there(copy_of: Copy) -> None:
    shop = copy_of(a_failing_release).project
    done = shop.manage("zanith_apply", "--no-preflight")
    assert done.returncode == 1
    assert "Key (isbn)=(1) is duplicated." in done.stderr
    assert shop.sql(STEPS) == [
        ("0001", "done"),
        ("0002", "done"),
        ("0003", "failed"),
        ("0004", "pending"),
    ]
    error = "SELECT error FROM _zanith_migration_steps WHERE status = 'failed'"
    assert shop.sql(error)[0][0].startswith("could not create unique index")
    assert shop.sql(APPLIED) == [(0,)]
    assert "✗" in shop.manage("zanith_status", check=True).stdout

    plain = shop.manage("migrate")
    assert plain.returncode == 1
    assert "Run zanith_apply: it resumes there." in plain.stderr

    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STEPS) == [
        ("0001", "done"),
        ("0002", "done"),
        ("0003", "failed"),
        ("0003.2", "done"),
        ("0004", "done"),
    ]
    assert shop.sql(APPLIED) == [(1,)]
    shop.manage("migrate", "--check", check=True)
    shop.manage("zanith_diff", "models", "live", check=True)


def change(project: Project, *steps: str) -> None:
    """The migration of the shop, written by hand."""
    text = "import zanith_django as zanith\n\n\nclass Migration(zanith.Migration):\n"
    operations = "".join(f"        {step},\n" for step in steps)
    path = "shop/zanith_migrations/20260102_000000_change.py"
    project.write(path, f"{text}    operations = [\n{operations}    ]\n")


def retyped(using: str) -> str:
    old, new = (f'zanith.Column("pages", "{kind}")' for kind in ("integer", "bigint"))
    return f'zanith.AlterColumnType(table="shop_book", old={old}, new={new}, using="{using}")'


REBUILT = 'zanith.RebuildTable(table="shop_book")'
COUNTING = 'zanith.AddColumn(table="shop_book", column=zanith.Column("counted", "integer"))'


@pytest.fixture
def pages(copy_of: Copy) -> Project:
    """The shop with a number in each book."""
    shop = copy_of(a_shop).project
    shop.sql("ALTER TABLE shop_book ADD pages integer")
    shop.sql("UPDATE shop_book SET pages = 10 * id")
    return shop


@pytest.mark.parametrize("edited", [retyped("pages * 7"), REBUILT])
def test_a_step_that_began_to_copy_goes_on_as_it_began_or_is_taken_back(
    pages: Project, edited: str
) -> None:
    first = retyped("1000 / (30 - pages)")
    change(pages, COUNTING, first)
    assert "division by zero" in pages.manage("zanith_apply", "--no-preflight").stderr

    change(pages, COUNTING, edited)
    for command in ("zanith_apply", "zanith_rollback"):
        done = pages.manage(command, "--steps", "1")
        assert done.returncode == 1
        assert "Step 02 of 20260102_000000_change was edited after it began" in done.stderr

    change(pages, COUNTING, first)
    pages.manage("zanith_rollback", "--steps", "1", check=True)
    change(pages, COUNTING, edited)
    pages.manage("zanith_apply", "--max-risk", "100", check=True)
    factor = 7 if "7" in edited else 1
    pages_now = "SELECT pages FROM shop_book ORDER BY id"
    assert pages.sql(pages_now) == [(10 * factor,), (20 * factor,), (30 * factor,)]


def test_an_edited_constraint_is_recreated(pages: Project) -> None:
    check = 'zanith.AddCheck(table="shop_book", check=zanith.Check("few", "pages < {}"))'
    change(pages, COUNTING, check.format(25))
    assert "is violated by some row" in pages.manage("zanith_apply", "--no-preflight").stderr
    change(pages, COUNTING, check.format(50))
    settings = (pages.root / "settings.py").read_text()
    pages.write("settings.py", settings + "\nZANITH = {'LOCK_TIMEOUT': 0.2, 'LOCK_RETRIES': 1}\n")
    with pages.database.connect() as reader:  # the attempt since the edit comes to nothing
        reader.execute("BEGIN; SELECT FROM shop_book")
        assert "lock timeout" in pages.manage("zanith_apply", "--no-preflight").stderr
    pages.manage("zanith_apply", check=True)
    made = "SELECT convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'few'"
    assert pages.sql(made) == [(True, "CHECK ((pages < 50))")]


def test_a_step_that_was_edited_before_it_began_is_held_to_what_it_then_was(pages: Project) -> None:
    refused = 'zanith.RawSql(sql="SELECT 1 / 0", reverse_sql="")'
    change(pages, COUNTING, refused, retyped("pages"))
    assert pages.manage("zanith_apply", "--no-preflight").returncode == 1
    began = retyped("1000 / (30 - pages)")
    change(pages, COUNTING, 'zanith.RawSql(sql="SELECT 1", reverse_sql="")', began)
    assert "division by zero" in pages.manage("zanith_apply", "--no-preflight").stderr
    change(pages, COUNTING, 'zanith.RawSql(sql="SELECT 1", reverse_sql="")', retyped("pages"))
    assert (
        "Step 03 of 20260102_000000_change was edited"
        in pages.manage("zanith_apply", "--no-preflight").stderr
    )


def test_another_backfill_in_the_place_of_one_does_not_go_on_at_its_checkpoint(
    pages: Project,
) -> None:
    pages.sql("INSERT INTO shop_book (title, isbn) SELECT 't', 'i' FROM generate_series(1, 2997)")
    change(pages, filling_pages("1 / (id - 2500)"))
    assert "division by zero" in pages.manage("zanith_apply", "--no-preflight").stderr
    written = "SELECT processed_rows FROM _zanith_migration_checkpoints WHERE id LIKE '%#1'"
    assert pages.sql(written) == [(997,)]
    pages.sql("UPDATE shop_book SET pages = NULL")
    change(pages, filling_pages("id"))
    pages.manage("zanith_apply", check=True)
    assert pages.sql(written) == [(3000,)]
    assert pages.sql("SELECT count(*) FROM shop_book WHERE pages = id") == [(3000,)]


def filling_pages(value: str) -> str:
    return f'zanith.Backfill(table="shop_book", column="pages", value="{value}")'


def test_a_failing_django_migration_is_rolled_back_as_a_whole(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write("settings.py", (shop.root / "settings.py").read_text() + "\nZANITH = {'APPS': []}\n")
    write_change(shop, UNIQUE, UNIQUE_MIGRATION)

    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    assert shop.sql(STEPS) == [("0001", "pending"), ("0002", "failed"), ("0003", "pending")]
    columns = (
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop_book'::regclass AND attnum > 0"
    )
    assert shop.sql(columns) == [(3,)]

    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STEPS) == [
        ("0001", "done"),
        ("0002", "failed"),
        ("0002.2", "done"),
        ("0003", "done"),
    ]
    shop.manage("migrate", "--check", check=True)


def test_a_django_migration_that_is_not_atomic_keeps_what_it_did(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write("settings.py", (shop.root / "settings.py").read_text() + "\nZANITH = {'APPS': []}\n")
    not_atomic = UNIQUE_MIGRATION.replace(
        "    dependencies", "    atomic = False\n    dependencies"
    )
    write_change(shop, UNIQUE, not_atomic)

    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    assert shop.sql(STEPS) == [("0001", "done"), ("0002", "failed"), ("0003", "pending")]
    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STEPS)[2:] == [("0002.2", "done"), ("0003", "done")]
    shop.manage("zanith_diff", "models", "live", check=True)


TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_session_timeout")


def seen_timeouts() -> str:
    """A step that writes the timeouts of its batches into every title."""
    now = " || ".join(f"current_setting('{name}')" for name in TIMEOUTS)
    return f'zanith.Backfill(table="shop_book", column="title", value="{now}", where="id > 0")'


OF_BATCHES = "0250ms0"
"""Theirs: a batch waits a moment for rows of other sessions."""

SET_TIMEOUTS = "; ".join(f"SET {name} = '7s'" for name in TIMEOUTS)


@pytest.mark.parametrize("atomic", [True, False])
def test_timeouts_that_a_step_sets_end_with_it(copy_of: Copy, atomic: bool) -> None:
    shop = copy_of(a_shop).project
    theirs = f'zanith.RawSql(sql="{SET_TIMEOUTS}", reverse_sql="", atomic={atomic})'
    change(shop, theirs, seen_timeouts())
    shop.manage("zanith_apply", check=True)
    assert shop.sql("SELECT DISTINCT title FROM shop_book") == [(OF_BATCHES,)]


def test_timeouts_that_a_django_migration_sets_end_with_it(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    theirs = DROPPING_MIGRATION.partition("migrations.RemoveField")[0]
    write_change(shop, BOOK, f'{theirs}migrations.RunSQL("{SET_TIMEOUTS}")]\n')
    change(shop, seen_timeouts())
    done = shop.manage("zanith_apply", "-v", "2", check=True)
    assert done.stdout.index("django:shop.0002_change") < done.stdout.index("20260102_000000")
    assert shop.sql("SELECT DISTINCT title FROM shop_book") == [(OF_BATCHES,)]


# --- a run that is stopped from outside ----------------------------------------------------------


def started(project: Project, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *(words or ("zanith_apply", "--no-preflight"))],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def napping(project: Project) -> Iterator[tuple[subprocess.Popen[str], Callable[[], object]]]:
    """A run of zanith_apply that waits in its data step, and what wakes it."""
    with project.database.connect() as bed:
        bed.execute("SELECT pg_advisory_lock(42)")
        run = started(project)
        try:
            wait_until(project, "wait_event = 'advisory'", run)
            yield run, bed.close
        finally:
            run.kill()
            run.communicate()


def wait_until(project: Project, condition: str, run: subprocess.Popen[str]) -> None:
    """Wait for a session like this, which may be there for an instant only; where the run ends
    before, the test fails."""
    asked = f"SELECT 1 FROM pg_stat_activity WHERE {condition} AND datname = current_database()"
    end = time.monotonic() + 60
    with project.database.connect() as watcher:
        while not watcher.execute(asked.encode()).fetchone():
            if run.poll() is not None or time.monotonic() > end:
                run.kill()
                pytest.fail(f"this never came: {condition}\n{run.communicate()[0]}")
            time.sleep(0.005)


def test_a_killed_run_is_finished_by_the_next(copy_of: Copy) -> None:
    shop = copy_of(a_napping_release).project
    with napping(shop) as (run, _):
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert shop.sql(STEPS)[2] == ("0003", "running")
        assert "is running" in shop.manage("migrate").stderr
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STEPS) == [
        ("0001", "done"),
        ("0002", "done"),
        ("0003", "failed"),
        ("0003.2", "done"),
        ("0004", "done"),
    ]
    errors = "SELECT error FROM _zanith_migration_steps WHERE status = 'failed'"
    assert shop.sql(errors) == [("interrupted: the run ended here without an error",)]
    assert shop.sql("SELECT count(*) FROM shop_book WHERE title = 'slow'") == [(1,)]
    shop.manage("zanith_diff", "models", "live", check=True)


@pytest.mark.usefixtures("heeding_interruptions")
def test_an_interrupted_run_says_so_and_exits_130(copy_of: Copy) -> None:
    shop = copy_of(a_napping_release).project
    with napping(shop) as (run, _):
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted. Run the same command again: it resumes." in said
    errors = "SELECT error FROM _zanith_migration_steps WHERE status = 'failed'"
    assert shop.sql(errors) == [("interrupted by the user",)]


def test_a_lost_connection_is_reported_and_the_next_run_resumes(copy_of: Copy) -> None:
    shop = copy_of(a_napping_release).project
    with napping(shop) as (run, _):
        shop.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE wait_event = 'advisory' AND datname = current_database()"
        )
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 3
    assert "The connection to database 'default' was lost during: run Raw SQL operation" in said
    assert "then run zanith_apply again: it resumes at this step." in said
    assert shop.sql(STEPS)[2] == ("0003", "running")
    shop.manage("zanith_apply", check=True)
    assert shop.sql("SELECT count(*) FROM shop_book WHERE title = 'slow'") == [(1,)]


def test_a_lock_that_is_not_had_names_who_is_in_the_way(copy_of: Copy) -> None:
    shop = copy_of(a_napping_release).project
    settings = (shop.root / "settings.py").read_text()
    shop.write("settings.py", settings + "\nZANITH = {'LOCK_TIMEOUT': 0.2, 'LOCK_RETRIES': 1}\n")
    with shop.database.connect() as reader:
        reader.execute("BEGIN; SELECT count(*) FROM shop_book")
        failed = shop.manage("zanith_apply", "--no-preflight")
        pid = reader.info.backend_pid
    assert failed.returncode == 1
    named = f"blocked by pid {pid} (idle in transaction, "
    assert f"could not acquire lock (attempt 1 of 2); {named}" in failed.stdout
    assert f"canceling statement due to lock timeout; {named}" in failed.stderr
    assert "BEGIN; SELECT count(*) FROM shop_book" in failed.stderr
    assert shop.sql(STEPS)[0] == ("0001", "failed")
    shop.manage("zanith_apply", check=True)


# --- two runs ------------------------------------------------------------------------------------


def test_a_second_run_is_refused_or_waits_and_finds_nothing_to_do(copy_of: Copy) -> None:
    shop = copy_of(a_napping_release).project
    with napping(shop) as (first, wake):
        refused = shop.manage("zanith_apply", "--no-preflight", "--lock-wait", "0")
        assert refused.returncode == 1
        assert f"Another run holds the lock: zanith {first.pid}@" in refused.stderr

        second = started(shop)
        wait_until(shop, f"application_name LIKE 'zanith {second.pid}@%'", second)
        wake()
        said, _ = second.communicate(timeout=60)
        assert first.wait() == second.returncode == 0
    assert f"Waiting for another run to end: zanith {first.pid}@" in said
    assert "Nothing to do" in said
    assert [status for _, status in shop.sql(STEPS)] == ["done"] * 4


# --- what Django did already ---------------------------------------------------------------------


def test_what_migrate_has_done_is_recorded_as_skipped(copy_of: Copy) -> None:
    shop = copy_of(a_failing_release).project
    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    shop.manage("migrate", "-v0", check=True)
    assert "Django has applied it already" in shop.manage("zanith_status", check=True).stdout
    plan = shop.manage("zanith_plan", check=True).stdout
    assert "Django has applied this already: its steps are recorded as skipped." in plan
    shop.manage("zanith_apply", check=True)
    assert {status for _, status in shop.sql(STEPS)} == {"skipped"}
    assert shop.sql(APPLIED) == [(1,)]
    shop.manage("zanith_diff", "models", "live", check=True)


# --- how far to go -------------------------------------------------------------------------------


def test_a_run_goes_as_far_as_its_options_say(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    for number in (2, 3, 4):
        models = BOOK + "".join(
            f"    n{n} = models.IntegerField(null=True)\n" for n in range(2, number + 1)
        )
        shop.write("shop/models.py", models)
        shop.manage("makemigrations", "shop", "-n", f"add_n{number}", "-v0", check=True)
    shop.manage("zanith_generate", check=True)
    there = "SELECT attname FROM pg_attribute WHERE attname IN ('n2', 'n3', 'n4') ORDER BY 1"
    shop.manage("zanith_apply", "--steps", "1", check=True)
    assert shop.sql(there) == [("n2",)]
    shop.manage("zanith_apply", "--to", "shop.0003_add_n3", check=True)
    assert shop.sql(there) == [("n2",), ("n3",)]
    dry = shop.manage("zanith_apply", "--dry-run", check=True)
    assert 'ADD COLUMN "n4"' in dry.stdout
    assert shop.sql(there) == [("n2",), ("n3",)]


FOREIGN_KEY = """zanith.AddForeignKey(table="shop_book", foreign_key=zanith.ForeignKey(
            "fk", columns=("pages",), references='"Odd Tab"', referenced_columns=("id",)))"""


def test_only_who_is_in_the_way_is_named(pages: Project) -> None:
    settings = (pages.root / "settings.py").read_text()
    pages.write("settings.py", settings + "\nZANITH = {'LOCK_TIMEOUT': 0.2, 'LOCK_RETRIES': 1}\n")
    pages.sql('CREATE TABLE "Odd Tab" (id integer PRIMARY KEY)')
    change(pages, FOREIGN_KEY)
    with pages.database.connect() as reader, pages.database.connect() as writer:
        reader.execute('BEGIN; SELECT count(*) FROM "Odd Tab"')
        writer.execute('BEGIN; INSERT INTO "Odd Tab" VALUES (1)')
        failed = pages.manage("zanith_apply", "--no-preflight")
        named = f"blocked by pid {writer.info.backend_pid} (idle in transaction, "
        harmless = f"pid {reader.info.backend_pid} "
    assert failed.stdout.count(named) == failed.stderr.count(named) == 1
    assert harmless not in failed.stdout + failed.stderr


def test_who_is_in_the_way_of_raw_sql_is_seen_while_it_waits(pages: Project) -> None:
    settings = (pages.root / "settings.py").read_text()
    pages.write("settings.py", settings + "\nZANITH = {'LOCK_RETRIES': 0}\n")
    change(pages, 'zanith.RawSql(sql="LOCK TABLE shop_book", reverse_sql="")')
    with pages.database.connect() as reader:
        reader.execute("BEGIN; SELECT count(*) FROM shop_book")
        failed = pages.manage("zanith_apply", "--no-preflight")
        pid = reader.info.backend_pid
    named = f"lock timeout; blocked by pid {pid} (idle in transaction, "
    assert named in failed.stderr

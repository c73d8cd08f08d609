"""Migrations that Django runs under our ledger: stopped, edited, waiting, taken back, squashed."""

from __future__ import annotations

import django
import pytest

from tests.project import SETTINGS, BuildProject, Project
from tests.servers import Database, Server
from tests.timeline.test_timeline import agrees, steps
from zanith_django import operations as ops
from zanith_django.files.files import render_migration

MODELS = """
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=20, db_index=True)


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
"""

KEY = 'models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")'

AUTHOR = f"""\
migrations.CreateModel("Author", [
    ("id", {KEY}),
    ("name", models.CharField(max_length=20, db_index=True)),
])"""
BOOK = f"""\
migrations.CreateModel("Book", [
    ("id", {KEY}),
    ("author", models.ForeignKey("shop.Author", models.CASCADE)),
])"""
FAILS = 'migrations.RunSQL("SELECT 1/0", "")'
NOTE = 'migrations.AddField("author", "note", models.TextField(null=True))'
NOTED = MODELS.replace("\n\nclass Book", "    note = models.TextField(null=True)\n\n\nclass Book")

MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    {more}
    dependencies = [{after}]
    operations = [{operations}]
"""

INDEXES = (
    "SELECT count(*) FROM pg_indexes WHERE tablename IN ('shop_author', 'shop_book') "
    "AND indexname !~ 'pkey'"
)


def write(project: Project, name: str, *operations: str, after: str = "", more: str = "") -> None:
    needed = f'("shop", "{after}")' if after else ""
    text = MIGRATION.format(operations=", ".join(operations), after=needed, more=more)
    project.write(f"shop/migrations/{name}.py", text)


@pytest.fixture
def shop(project: BuildProject) -> Project:
    """A shop that zanith does not manage: Django runs its migrations."""
    built = project({"shop": MODELS}, settings="ZANITH = {'APPS': []}")
    apps = SETTINGS.format(apps=["zanith_django", "shop"])
    quick = {"APPS": [], "LOCK_TIMEOUT": 0.2, "LOCK_RETRIES": 1}
    built.write("settings.py", f"{apps}\nZANITH = {quick}\n")
    return built


def ledger(project: Project, migration: str = "0001_initial") -> list[tuple[str, str]]:
    """(step, status) of every attempt."""
    return project.sql(
        "SELECT split_part(id, '::', 2), status FROM _zanith_migration_steps "
        "WHERE migration_id = %s ORDER BY id",
        f"django:shop.{migration}",
    )


# --- one that is not atomic ----------------------------------------------------------------------

NOT_ATOMIC = "atomic = False"


def test_what_django_left_for_the_end_is_not_lost_when_a_run_stops(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK, FAILS, more=NOT_ATOMIC)
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    assert ledger(shop) == [
        ("0001", "done"),
        ("0002", "done"),
        ("0003", "failed"),
        ("0004", "pending"),
    ]
    write(shop, "0001_initial", AUTHOR, BOOK, more=NOT_ATOMIC)
    shop.manage("zanith_apply", check=True)
    assert shop.sql(INDEXES) == [(3,)]
    assert ledger(shop)[-1] == ("0003.2", "done")
    assert agrees(shop)


def test_deferred_sql_that_fails_is_the_step_at_fault(shop: Project) -> None:
    orphan = 'migrations.RunSQL("INSERT INTO shop_book (author_id) VALUES (7)", "")'
    write(shop, "0001_initial", AUTHOR, BOOK, orphan, more=NOT_ATOMIC)
    failed = shop.manage("zanith_apply", "--no-preflight")
    assert "SQL that Django deferred" in failed.stderr
    assert ledger(shop)[-1] == ("0004", "failed")
    shop.sql("DELETE FROM shop_book")
    shop.manage("zanith_apply", check=True)
    assert ledger(shop)[-2:] == [("0004", "failed"), ("0004.2", "done")]
    assert shop.sql(INDEXES) == [(3,)]
    assert agrees(shop)


def test_a_done_operation_that_was_edited_is_refused(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, FAILS, more=NOT_ATOMIC)
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    write(shop, "0001_initial", BOOK, AUTHOR, more=NOT_ATOMIC)
    refused = shop.manage("zanith_apply", "--no-preflight")
    assert refused.returncode == 1
    assert "Step 01 of django:shop.0001_initial was edited after it was done" in refused.stderr


def test_an_operation_that_was_removed_from_the_file_leaves_no_step(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, FAILS, BOOK, NOTE, more=NOT_ATOMIC)
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    write(shop, "0001_initial", AUTHOR, BOOK, more=NOT_ATOMIC)
    shop.manage("zanith_apply", check=True)
    assert ledger(shop) == [
        ("0001", "done"),
        ("0002", "failed"),
        ("0002.2", "done"),
        ("0003", "done"),  # deferred
    ]
    assert agrees(shop)


# --- locks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", NOT_ATOMIC])
def test_a_lock_is_waited_for_as_by_our_own_steps(shop: Project, more: str) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK)
    shop.manage("zanith_apply", check=True)
    write(shop, "0002_note", NOTE, after="0001_initial", more=more)
    shop.write("shop/models.py", NOTED)
    with shop.database.connect() as reader:
        reader.execute("BEGIN; SELECT FROM shop_author")
        failed = shop.manage("zanith_apply", "--no-preflight")
        assert failed.returncode == 1
        assert "lock timeout; blocked by pid" in failed.stderr
        assert "SELECT FROM shop_author" in failed.stderr
    shop.manage("zanith_apply", check=True)
    assert ledger(shop, "0002_note") == [("0001", "failed"), ("0001.2", "done")]
    assert agrees(shop)


# --- taken back by migrate -----------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", NOT_ATOMIC])
def test_what_migrate_took_back_runs_again(shop: Project, more: str) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK, more=more)
    shop.manage("zanith_apply", check=True)
    shop.manage("migrate", "shop", "zero", "-v0", check=True)
    assert "1 pending" in shop.manage("zanith_status", check=True).stdout
    shop.manage("zanith_apply", check=True)
    known = ledger(shop)
    assert known[:2] == [("0001", "rolled_back"), ("0001.2", "done")]
    assert {status for step, status in known if ".2" in step} == {"done"}
    assert agrees(shop)


@pytest.fixture
def covered(shop: Project) -> Project:
    """A shop of two migrations with files, both applied."""
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    write(shop, "0001_initial", AUTHOR, BOOK)
    write(shop, "0002_note", NOTE, after="0001_initial")
    shop.write("shop/models.py", NOTED)
    shop.manage("zanith_generate", check=True)
    shop.manage("zanith_apply", check=True)
    return shop


def test_files_of_what_migrate_took_back_run_again(covered: Project) -> None:
    covered.manage("migrate", "shop", "0001", "-v0", check=True)
    assert "1 pending" in covered.manage("zanith_status", check=True).stdout
    covered.manage("zanith_apply", check=True)
    assert steps(covered, "_note") == [("addColumn", "rolled_back"), ("addColumn", "done")]
    assert agrees(covered)


def test_a_rollback_passes_over_what_migrate_took_back(covered: Project) -> None:
    covered.manage("migrate", "shop", "0001", "-v0", check=True)
    dry = covered.manage("zanith_rollback", "--steps", "1", "--dry-run", check=True)
    assert "_note" not in dry.stdout
    assert "DROP TABLE" in dry.stdout
    covered.manage("zanith_rollback", "--steps", "1", check=True)
    assert covered.sql("SELECT to_regclass('shop_author')") == [(None,)]
    covered.manage("zanith_apply", check=True)
    assert agrees(covered)


def test_gates_ask_again_for_what_runs_again(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK, NOTE)
    gone = 'migrations.RemoveField("author", "note")'
    write(shop, "0002_gone", gone, after="0001_initial")
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive", check=True)
    shop.manage("migrate", "shop", "0001", "-v0", check=True)
    refused = shop.manage("zanith_apply", "--no-preflight")
    assert refused.returncode == 1
    assert "needs --allow-destructive" in refused.stderr


def test_a_failed_migration_without_a_file_blocks_no_run(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK)
    write(shop, "0002_bad", FAILS, after="0001_initial")
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    assert shop.manage("migrate").returncode == 1
    (shop.root / "shop/migrations/0002_bad.py").unlink()
    shop.manage("zanith_apply", check=True)
    assert ledger(shop, "0002_bad") == [("0001", "rolled_back")]
    shop.manage("migrate", check=True)
    assert "failed" not in shop.manage("zanith_status", check=True).stdout


def test_a_record_with_a_gap_is_reported(shop: Project) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK)
    write(shop, "0002_note", NOTE, after="0001_initial")
    shop.write("shop/models.py", NOTED)
    shop.manage("zanith_apply", check=True)
    shop.sql("DELETE FROM django_migrations WHERE name = '0001_initial' AND app = 'shop'")
    refused = shop.manage("zanith_apply", "--no-preflight")
    assert refused.returncode == 1
    assert "lists shop.0002_note as applied, but not shop.0001_initial" in refused.stderr
    shop.manage("zanith_baseline", check=True)
    shop.manage("zanith_apply", check=True)
    assert agrees(shop)


# --- squashes ------------------------------------------------------------------------------------

SEED = """
def seed(apps, editor):
    apps.get_model("shop", "Author").objects.create(name="seed")


def unseed(apps, editor):
    apps.get_model("shop", "Author").objects.all().delete()


"""
SEEDED = "migrations.RunPython(seed, unseed)"


def write_seed(
    project: Project, name: str, *operations: str, after: str = "", more: str = ""
) -> None:
    write(project, name, *operations, after=after, more=more)
    path = project.root / f"shop/migrations/{name}.py"
    path.write_text(
        path.read_text().replace("class Migration", f"{SEED.strip()}\n\n\nclass Migration")
    )


@pytest.fixture
def seeded(shop: Project) -> Project:
    """Two migrations with files, which a squash replaces; nothing has run."""
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    write(shop, "0001_initial", AUTHOR, BOOK)
    write_seed(shop, "0002_seed", SEEDED, after="0001_initial")
    shop.manage("zanith_generate", check=True)
    replaces = 'replaces = [("shop", "0001_initial"), ("shop", "0002_seed")]'
    write_seed(shop, "0001_squashed", AUTHOR, BOOK, SEEDED, more=replaces)
    return shop


def test_files_of_a_squash_run_with_the_models_of_their_point(seeded: Project) -> None:
    seeded.manage("zanith_generate", "--check", check=True)
    seeded.manage("zanith_apply", check=True)
    assert seeded.sql("SELECT name FROM shop_author") == [("seed",)]
    assert agrees(seeded)
    seeded.manage("zanith_rollback", "--steps", "1", "--allow-destructive", check=True)
    assert seeded.sql("SELECT name FROM shop_author") == []
    seeded.manage("zanith_apply", check=True)
    assert seeded.sql("SELECT name FROM shop_author") == [("seed",)]
    assert agrees(seeded)


@pytest.mark.skipif(django.VERSION < (6,), reason="Django 6 squashes squashes")
def test_files_of_a_squash_that_was_squashed_run_too(seeded: Project) -> None:
    replaces = 'replaces = [("shop", "0001_squashed")]'
    write_seed(seeded, "0001_again", AUTHOR, BOOK, SEEDED, more=replaces)
    test_files_of_a_squash_run_with_the_models_of_their_point(seeded)


def test_the_files_of_a_squash_are_not_undone_while_others_depend_on_it(seeded: Project) -> None:
    apps = SETTINGS.format(apps=["zanith_django", "shop", "blog"])
    seeded.write("settings.py", apps + "\nZANITH = {'APPS': ['shop']}\n")
    seeded.add_app("blog", "from django.db import models")
    note = f'migrations.CreateModel("Note", [("id", {KEY})])'
    text = MIGRATION.format(operations=note, after='("shop", "0001_squashed")', more="")
    seeded.write("blog/migrations/0001_initial.py", text)
    seeded.write(
        "blog/models.py", "from django.db import models\n\n\nclass Note(models.Model): pass\n"
    )
    seeded.manage("zanith_apply", check=True)
    refused = seeded.manage("zanith_rollback", "--steps", "1", "--allow-destructive")
    assert refused.returncode == 1
    assert "django:blog.0001_initial, which is applied, depends on it" in refused.stderr


def test_a_squash_with_a_part_from_before_the_first_file(shop: Project, server: Server) -> None:
    write(shop, "0001_initial", AUTHOR, BOOK)
    shop.manage("migrate", "-v0", check=True)
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    write(shop, "0002_note", NOTE, after="0001_initial")
    shop.write("shop/models.py", NOTED)
    shop.manage("zanith_generate", check=True)
    shop.manage("zanith_apply", check=True)
    replaces = 'replaces = [("shop", "0001_initial"), ("shop", "0002_note")]'
    write(shop, "0001_squashed", AUTHOR, BOOK, NOTE, more=replaces)
    assert agrees(shop)
    assert "0 pending" in shop.manage("zanith_status", check=True).stdout

    name = server.create_database()
    try:
        fresh = Project(shop.root, Database(name, server.url(name)))
        fresh.manage("zanith_apply", check=True)
        assert steps(fresh, "_note") == [("addColumn", "skipped")]
        assert ledger(fresh, "0001_squashed")[0] == ("0001", "done")
        assert agrees(fresh)
        assert "0 pending" in fresh.manage("zanith_status", check=True).stdout
    finally:
        server.drop_database(name)


def test_a_file_of_several_migrations_has_the_models_of_each(seeded: Project) -> None:
    (seeded.root / "shop/migrations/0001_squashed.py").unlink()
    folder = seeded.root / "shop/zanith_migrations"
    for path in folder.glob("2*.py"):
        path.unlink()
    made = [
        ops.RawSql(sql="CREATE TABLE shop_author (id serial, name text)"),
        ops.RunPython(migration="shop.0002_seed", position=1),
    ]
    both = render_migration(made, covers=["shop.0001_initial", "shop.0002_seed"])
    seeded.write("shop/zanith_migrations/20260101_000000_both.py", both)
    seeded.manage("zanith_apply", "--max-risk", "100", check=True)
    assert seeded.sql("SELECT name FROM shop_author") == [("seed",)]


# --- data steps ----------------------------------------------------------------------------------


def test_a_data_step_that_moved_in_its_migration_is_refused(seeded: Project) -> None:
    (seeded.root / "shop/migrations/0001_squashed.py").unlink()
    other = 'migrations.RunSQL("SELECT 1", "")'
    write_seed(seeded, "0002_seed", other, SEEDED, after="0001_initial")
    for command in (("zanith_generate", "--check"), ("zanith_apply",)):
        refused = seeded.manage(*command)
        assert refused.returncode == 1
        words = "runs shop.0002_seed#1, which is 'Raw SQL operation' now, and 'seed' is #2"
        assert words in refused.stderr
    write_seed(seeded, "0002_seed", NOTE, after="0001_initial")
    assert (
        "which is 'Add field note to author' now"
        in seeded.manage("zanith_apply", "--no-preflight").stderr
    )
    write_seed(seeded, "0002_seed", after="0001_initial")
    assert "which does not exist" in seeded.manage("zanith_apply", "--no-preflight").stderr


# --- setting DIRECT ------------------------------------------------------------------------------

ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default"
"""


def test_a_direct_connection_is_the_database_to_routers_and_data_steps(shop: Project) -> None:
    shop.write("router.py", ROUTER)
    apps = SETTINGS.format(apps=["zanith_django", "shop"])
    direct = (
        'DATABASES["direct"] = DATABASES["default"].copy()\n'
        'DATABASE_ROUTERS = ["router.Router"]\n'
        'ZANITH = {"APPS": [], "DIRECT": "direct"}\n'
    )
    shop.write("settings.py", f"{apps}\n{direct}")
    write_seed(shop, "0001_initial", AUTHOR, BOOK, SEEDED, FAILS)
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    write_seed(shop, "0001_initial", AUTHOR, BOOK, SEEDED)
    shop.manage("zanith_apply", check=True)
    assert shop.sql("SELECT name FROM shop_author") == [("seed",)]
    assert agrees(shop)


# --- going back ----------------------------------------------------------------------------------


def test_a_rollback_names_what_django_ran_since(covered: Project) -> None:
    apps = SETTINGS.format(apps=["zanith_django", "shop", "django.contrib.contenttypes"])
    covered.write("settings.py", apps)
    covered.manage("zanith_apply", check=True)
    told = "Migrations of contenttypes, zanith_django are newer and were run by Django. They stay"
    assert told in covered.manage("zanith_rollback", "--to", "shop.0002_note", check=True).stdout
    assert told in covered.manage("zanith_rollback", "--steps", "1", "--dry-run").stdout
    assert told in covered.manage("zanith_rollback", "--steps", "1", check=True).stdout
    covered.manage("migrate", "contenttypes", "zero", "-v0", check=True)
    planned = covered.manage("zanith_plan", "--max-risk", "100", "-v2").stdout
    assert "undo: manage.py migrate contenttypes zero" in " ".join(planned.split())

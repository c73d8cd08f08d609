"""Tables that the search path finds in a later schema, as tenants and roles have it."""

from __future__ import annotations

import json

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases

MODELS = """
from django.db import models

class Author(models.Model):
    name = models.TextField()

class Book(models.Model):
    title = models.CharField(max_length=20, unique=True)
    author = models.ForeignKey(Author, models.CASCADE)
    readers = models.ManyToManyField(Author, related_name="+")
    old = models.TextField(default="", db_default="kept")
    {more}
"""
CHANGED = """
from django.db import models

class Author(models.Model):
    name = models.TextField(db_index=True)

class Shelf(models.Model):
    place = models.TextField()

class Volume(models.Model):
    title = models.CharField(max_length=40, unique=True)
    author = models.ForeignKey(Author, models.CASCADE)
    readers = models.ManyToManyField(Author, related_name="+")
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)
    pages = models.IntegerField(default=7)
"""
CHANGE = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.CreateModel("Shelf", [
            ("id", models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("place", models.TextField()),
        ]),
        migrations.AlterField("author", "name", models.TextField(db_index=True)),
        migrations.RenameModel("Book", "Volume"),
        migrations.RemoveField("volume", "old"),
        migrations.AlterField("volume", "title", models.CharField(max_length=40, unique=True)),
        migrations.AddField("volume", "pages", models.IntegerField(default=7)),
        migrations.AddField(
            "volume", "shelf", models.ForeignKey("shop.shelf", models.CASCADE, null=True)),
    ]
"""
PATH = """
DATABASES["default"]["OPTIONS"] = {"options": r'-c search_path="odd\\ schema",public'}
"""
ALL = ("--max-risk", "100", "--allow-destructive")
DIFF = ("zanith_diff", "models", "live")


def in_public(releases: Releases) -> None:
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", MODELS.format(more=""))
    project.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    project.manage("zanith_apply", check=True)
    project.sql("INSERT INTO shop_author (name) VALUES ('a')")
    project.sql("INSERT INTO shop_book (title, author_id) VALUES ('t', 1)")
    project.sql("ANALYZE")


@pytest.fixture(params=["in OPTIONS", "of the role"])
def shop(copy_of: Copy, request: pytest.FixtureRequest) -> Project:
    """Tables in public, and an empty schema before it in the search path."""
    project = copy_of(in_public).project
    if request.param == "in OPTIONS":
        project.sql('CREATE SCHEMA "odd schema"')
        settings = project.root / "settings.py"
        settings.write_text(settings.read_text() + PATH)
    else:
        ((role,),) = project.sql("SELECT current_user")
        project.sql(f'CREATE SCHEMA "{role}"')
    return project


def release(project: Project) -> None:
    project.write("shop/models.py", CHANGED)
    project.write("shop/migrations/0002_change.py", CHANGE)
    project.manage("zanith_generate", "--timestamp", "20260102_000000", check=True)


def tables(project: Project) -> set[str]:
    rows = project.sql(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind = 'r' AND n.nspname = 'public'"
    )
    return {name for (name,) in rows}


def test_nothing_is_different_and_nothing_is_to_do(shop: Project) -> None:
    assert "No difference" in shop.manage(*DIFF, check=True).stdout
    assert "Nothing to do" in shop.manage("zanith_plan", check=True).stdout
    assert "Nothing to do" in shop.manage("zanith_apply", check=True).stdout
    assert "No changes" in shop.manage("zanith_generate", "--from-diff", check=True).stdout
    shop.manage("zanith_status", check=True)


def test_a_table_with_rows_is_not_taken_for_a_new_one(shop: Project) -> None:
    models = [line for line in MODELS.splitlines() if "old" not in line]
    shop.write("shop/models.py", "\n".join(models).format(more=""))
    shop.manage("zanith_generate", check=True)
    plan = json.loads(shop.manage("zanith_plan", "--format", "json").stdout)
    ((step,),) = [migration["steps"] for migration in plan["migrations"]]
    assert (step["kind"], step["level"], step["rows"]) == ("softDropColumn", "destructive", 1)
    shop.manage("zanith_apply", *ALL, check=True)
    shop.manage("zanith_recover", "restore-column", "public.shop_book.old", check=True)
    assert shop.sql("SELECT old FROM public.shop_book") == [("kept",)]


def test_a_release_runs_on_the_tables_that_are_found(shop: Project) -> None:
    before = tables(shop)
    release(shop)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", *ALL, check=True)

    assert tables(shop) == before - {"shop_book", "shop_book_readers"} | {
        "shop_volume", "shop_volume_readers",
    }  # fmt: skip
    assert shop.sql("SELECT title, pages FROM public.shop_volume") == [("t", 7)]
    assert "No difference" in shop.manage(*DIFF, check=True).stdout
    shop.manage("migrate", "--check", check=True)
    shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert tables(shop) == before
    assert shop.sql("SELECT title, old FROM public.shop_book") == [("t", "kept")]


def test_a_new_ledger_is_made_beside_the_record_of_django(shop: Project) -> None:
    for name in ("migrations", "migration_steps", "schema_snapshots", "migration_artifacts",
                 "migration_checkpoints"):  # fmt: skip
        shop.sql(f"DROP TABLE public._zanith_{name}")
    shop.manage("zanith_baseline", check=True)
    shop.manage("zanith_apply", check=True)
    assert "_zanith_migrations" in tables(shop)
    assert "_zanith_migration_steps" in tables(shop)

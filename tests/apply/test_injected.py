"""Operations that receivers of pre_migrate add to a run pass the gates before its first step."""

from __future__ import annotations

import json

import pytest

from tests.project import BuildProject, Project

APP = """
from django.apps import AppConfig
from django.db import migrations
from django.db.models.signals import pre_migrate


def add_operations(sender, plan, **kwargs):
    for migration, backwards in plan:
        if (migration.app_label, migration.name) == ("shop", "0002_note"):
            if sender.label == "shop":
                drop = migrations.RunSQL("DROP TABLE old", "DROP TABLE older")
                migration.operations.append(drop)


class Config(AppConfig):
    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        pre_migrate.connect(add_operations)
"""
MODELS = """
from django.db import models

class Item(models.Model):
    name = models.TextField()
"""
SECOND = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("Item", "note", models.TextField(null=True))]
"""


@pytest.fixture
def shop(project: BuildProject) -> Project:
    made = project({"shop": MODELS})
    made.write("shop/apps.py", APP)
    made.manage("makemigrations", check=True)
    made.manage("migrate", "-v0", check=True)
    for table in ("old", "older"):
        made.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    made.write("shop/migrations/0002_note.py", SECOND)
    made.write("shop/models.py", MODELS + "    note = models.TextField(null=True)\n")
    return made


RENAMED = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RenameModel("Item", "Thing")]
"""


def test_the_content_type_of_a_renamed_model_follows_within_any_budget(
    project: BuildProject,
) -> None:
    shop = project({"shop": MODELS})
    shop.manage("makemigrations", check=True)
    shop.manage("migrate", "-v0", check=True)
    shop.write("shop/migrations/0002_renamed.py", RENAMED)
    shop.write("shop/models.py", MODELS.replace("Item", "Thing"))
    shop.manage("zanith_generate", check=True)

    def worst() -> int:
        plan = json.loads(shop.manage("zanith_plan", "--format", "json").stdout)
        score: int = plan["worst"]["score"]
        return score

    shop.manage("zanith_apply", "--max-risk", str(worst()), check=True)

    named = "SELECT model FROM django_content_type WHERE app_label = 'shop'"
    assert shop.sql(named) == [("thing",)]


def tables(project: Project) -> set[str]:
    found = project.sql("SELECT relname::text FROM pg_class WHERE relname LIKE 'old%'")
    return {name for (name,) in found}


def has_note(project: Project) -> bool:
    text = "SELECT count(*) FROM pg_attribute WHERE attname = 'note' AND NOT attisdropped"
    return project.sql(text) == [(1,)]


@pytest.mark.parametrize("covered", [True, False], ids=["a file", "a migration of Django's"])
def test_an_injected_operation_is_refused_before_the_first_step(
    shop: Project, covered: bool
) -> None:
    last = "0001_initial" if covered else "0002_note"
    shop.write("shop/zanith_migrations/__init__.py", f'covered_after = "{last}"')
    if covered:
        shop.manage("zanith_generate", check=True)

    planned = shop.manage("zanith_plan", "--format", "json", check=True)
    assert json.loads(planned.stdout)["receivers"] == ["shop.apps.add_operations"]

    refused = shop.manage("zanith_apply")
    assert refused.returncode == 1
    assert "is destructive · needs --allow-destructive" in refused.stderr
    assert "A receiver of pre_migrate adds operations to the run" in refused.stderr
    assert not has_note(shop)
    assert tables(shop) == {"old", "older"}

    shop.manage("zanith_apply", "--allow-destructive", "--max-risk", "100", check=True)
    assert has_note(shop)
    assert tables(shop) == {"older"}
    if covered:
        back = shop.manage("zanith_rollback", "--steps", "1", "--no-input")
        assert back.returncode == 1
        assert "which a receiver of pre_migrate added, is destructive" in back.stderr
        assert has_note(shop)
        assert tables(shop) == {"older"}

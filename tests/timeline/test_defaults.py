"""Values of existing rows: they come from the database that is migrated, when the step runs."""

from __future__ import annotations

import pytest

from tests.project import BuildProject, Project

BEFORE = """
from django.db import models


class Plan(models.Model):
    slug = models.CharField(max_length=9)


class Hook(models.Model):
    url = models.CharField(max_length=9)
    note = models.CharField(max_length=40, null=True)
    key = models.CharField(max_length=40, null=True)
"""

AFTER = """
import functools
import secrets

from django.db import models


def secret(size=16):
    return secrets.token_hex(size)


def free_plan():
    return Plan.objects.get_or_create(slug="free")[0].pk


class Plan(models.Model):
    slug = models.CharField(max_length=9)


class Hook(models.Model):
    url = models.CharField(max_length=9)
    note = models.CharField(max_length=40, default=secret)
    key = models.CharField(max_length=40, default=secret, unique=True)
    secret = models.CharField(max_length=40, default=functools.partial(secret, size=8))
    plan = models.ForeignKey(Plan, models.CASCADE, default=free_plan)
    since = models.DateTimeField(auto_now_add=True)
    tags = models.JSONField(default=list)
    token = models.CharField(max_length=40, default=secret, unique=True)
    code = models.CharField(max_length=40)
    maybe = models.CharField(max_length=40, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code"], name="one_code")]
"""

MIGRATION = """
import functools

import django.utils.timezone
from django.db import migrations, models

import shop.models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("hook", "tags", models.JSONField(default=list)),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AddField("hook", "secret", models.CharField(
                    max_length=40, default=functools.partial(shop.models.secret, size=8))),
            ],
            state_operations=[
                migrations.AddField("hook", "secret", models.CharField(
                    max_length=40, default=functools.partial(shop.models.secret, size=8))),
            ],
        ),
        migrations.AddField("hook", "plan", models.ForeignKey(
            "shop.plan", models.CASCADE, default=shop.models.free_plan)),
        migrations.AddField("hook", "since", models.DateTimeField(
            auto_now_add=True, default=django.utils.timezone.now), preserve_default=False),
        migrations.AddField("hook", "token", models.CharField(
            max_length=40, default=shop.models.secret, unique=True)),
        migrations.AddField("hook", "code", models.CharField(
            max_length=40, default=shop.models.secret), preserve_default=False),
        migrations.AddConstraint("hook", models.UniqueConstraint(fields=["code"], name="one_code")),
        migrations.AlterField("hook", "note", models.CharField(
            max_length=40, default=shop.models.secret)),
        migrations.AlterField("hook", "key", models.CharField(
            max_length=40, default=shop.models.secret, unique=True)),
        migrations.AddField("hook", "maybe", models.CharField(max_length=40, null=True)),
        migrations.AlterField("hook", "maybe", models.CharField(
            max_length=40, null=True, default="x")),
        migrations.AlterField("hook", "maybe", models.CharField(max_length=40, null=True)),
    ]
"""


def a_project(project: BuildProject, models: str, rows: str) -> Project:
    shop = project({"shop": models}, settings='BASE_DIR = __file__.rpartition("/")[0]\n')
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.manage("migrate", "-v0", check=True)
    shop.sql(rows)
    return shop


def release(shop: Project, *models: str, migration: str = "") -> str:
    """Generates and applies; the text of the file."""
    for text in models:
        shop.write("shop/models.py", text)
    if migration:
        shop.write("shop/migrations/0002_change.py", migration)
    else:
        shop.manage("makemigrations", "shop", "-n", "change", check=True)
    shop.manage("zanith_generate", check=True)
    (file,) = (shop.root / "shop/zanith_migrations").glob("2*_change.py")
    return file.read_text()


def apply(shop: Project) -> None:
    shop.manage("zanith_apply", "--no-input", "--max-risk", "100", check=True)


def test_a_callable_default_is_called_when_the_step_runs(project: BuildProject) -> None:
    rows = "INSERT INTO shop_hook (url) SELECT g FROM generate_series(1, 2500) g"
    shop = a_project(project, BEFORE, rows)
    text = release(shop, AFTER, migration=MIGRATION)
    assert 'calls="shop.models.secret"' in text
    assert shop.manage("zanith_plan", "--max-risk", "100").returncode == 0
    shop.manage("zanith_verify", check=True)
    assert shop.sql("SELECT count(*) FROM shop_plan") == [(0,)]
    shop.manage("makemigrations", "--check", check=True)

    apply(shop)

    once = ["secret", "note", "plan_id", "since", "tags"]
    counts = ", ".join(f"count(DISTINCT {name})" for name in [*once, "token", "code", "key"])
    assert shop.sql(f"SELECT {counts} FROM shop_hook") == [(1, 1, 1, 1, 1, 2500, 2500, 2500)]
    assert shop.sql("SELECT count(*) FROM shop_plan") == [(1,)]
    ((secret, note, maybe),) = shop.sql("SELECT DISTINCT secret, note, maybe FROM shop_hook")
    assert (len(secret), len(note), maybe) == (16, 32, None)
    told = shop.sql("SELECT sql FROM _zanith_migration_steps")
    kept = shop.sql("SELECT cursor::text FROM _zanith_migration_checkpoints")
    assert secret not in f"{text}{told}{kept}"
    assert note not in f"{text}{told}{kept}"
    shop.manage("zanith_diff", "models", "live", check=True)


def test_a_value_of_a_type_of_the_same_release_is_taken_when_the_step_runs(
    project: BuildProject,
) -> None:
    shop = a_project(project, BEFORE, "INSERT INTO shop_hook (url) VALUES ('a')")
    if not shop.sql("SELECT name FROM pg_available_extensions WHERE name = 'hstore'"):
        pytest.skip("the server has no hstore")
    field = "HStoreField(default=dict)"
    models = BEFORE.replace("key = models", f"tags = {field}\n    key = models")
    models = f"from django.contrib.postgres.fields import HStoreField\n{models}"
    release(shop, models, migration=TAGGED.format(field=field))

    apply(shop)

    assert shop.sql("SELECT tags -> 'a' FROM shop_hook") == [("b",)]
    shop.manage("zanith_diff", "models", "live", check=True)
    shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert shop.sql("SELECT count(*) FROM pg_extension WHERE extname = 'hstore'") == [(1,)]


TAGGED = """
from django.contrib.postgres.fields import HStoreField
from django.contrib.postgres.operations import HStoreExtension
from django.db import migrations


def tag(apps, schema_editor):
    apps.get_model("shop", "Hook").objects.update(tags={{"a": "b"}})


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        HStoreExtension(),
        migrations.AddField("hook", "tags", {field}),
        migrations.RunPython(tag, migrations.RunPython.noop),
    ]
"""

ADDED = """
import uuid

from django.db import models


class Hook(models.Model):
    url = models.CharField(max_length=9)
    secret = models.UUIDField(default=uuid.uuid4)
"""


def test_each_run_of_a_step_has_a_value_of_its_own(project: BuildProject) -> None:
    first = ADDED.replace("    secret = models.UUIDField(default=uuid.uuid4)\n", "")
    shop = a_project(project, first, "INSERT INTO shop_hook (url) VALUES ('a'), ('b')")
    release(shop, ADDED)
    seen = set()
    for _ in range(2):
        apply(shop)
        ((secret,),) = shop.sql("SELECT DISTINCT secret FROM shop_hook")
        seen.add(secret)
        shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert len(seen) == 2


def test_a_default_that_is_not_at_its_place_is_refused(project: BuildProject) -> None:
    first = ADDED.replace("    secret = models.UUIDField(default=uuid.uuid4)\n", "")
    shop = a_project(project, first, "INSERT INTO shop_hook (url) VALUES ('a')")
    release(shop, ADDED)
    path = shop.root / "shop/migrations/0002_change.py"
    path.write_text(
        path.read_text().replace(
            "operations = [", "operations = [\n        migrations.RunSQL('SELECT 1'),"
        )
    )
    refused = shop.manage("zanith_apply", "--no-preflight", "--no-input")
    assert refused.returncode == 1
    assert "takes the default of shop.0002_change#1, which is 'Raw SQL operation' now" in (
        refused.stderr
    )


ORDERED = """
from django.db import models


class Question(models.Model):
    text = models.CharField(max_length=9)


class Answer(models.Model):
    question = models.ForeignKey(Question, models.CASCADE)
"""


def test_rows_that_exist_come_first_in_an_order_that_begins(project: BuildProject) -> None:
    rows = (
        "WITH q AS (INSERT INTO shop_question (text) VALUES ('q') RETURNING id) "
        "INSERT INTO shop_answer (question_id) SELECT id FROM q, generate_series(1, 3)"
    )
    shop = a_project(project, ORDERED, rows)
    release(shop, f'{ORDERED}\n    class Meta:\n        order_with_respect_to = "question"\n')
    shop.manage("zanith_verify", check=True)
    apply(shop)
    assert shop.sql("SELECT _order FROM shop_answer") == [(0,), (0,), (0,)]
    shop.manage("zanith_rollback", "--steps", "1", check=True)


NULLS = """
from django.db import models
from django.db.models.functions import Now


class Item(models.Model):
    number = models.IntegerField(null=True)
    text = models.CharField(max_length=9, null=True)
    at = models.DateTimeField(null=True)
    code = models.UUIDField(null=True)
"""


FILLED = """
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now


class Item(models.Model):
    number = models.IntegerField(db_default=5, default=6)
    text = models.TextField(db_default="none")
    at = models.DateTimeField(db_default=Now())
    code = models.UUIDField(db_default=RandomUUID(), unique=True)
"""


def test_rows_that_are_null_get_the_default_of_the_database(project: BuildProject) -> None:
    """As Django's one UPDATE: the clock is read once, what is random is made for each row."""
    rows = "INSERT INTO shop_item (number) SELECT nullif(g % 3, 0) FROM generate_series(1, 3000) g"
    shop = a_project(project, NULLS, rows)
    release(shop, FILLED)
    shop.manage("zanith_verify", check=True)
    apply(shop)
    found = shop.sql(
        "SELECT count(*) FILTER (WHERE number = 5), count(*) FILTER (WHERE number = 6), "
        "count(DISTINCT text), min(text), count(DISTINCT at), count(DISTINCT code) FROM shop_item"
    )
    assert found == [(1000, 0, 1, "none", 1, 3000)]
    shop.manage("zanith_diff", "models", "live", check=True)

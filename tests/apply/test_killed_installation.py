"""A first installation that was killed goes on by the same command."""

from __future__ import annotations

import signal

import pytest

from tests.project import BuildProject, Project

# Kills its process the first time, at the place where it stands.
FATAL = """
import os, pathlib, signal

def fatal(apps, schema_editor):
    mark = pathlib.Path("killed-{name}")
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
"""

MODELS = """
from django.db import models

class Kept(models.Model):
    name = models.CharField(max_length=20)
    tags = models.ManyToManyField("Tag")

class Tag(models.Model):
    name = models.TextField()
"""

# (name, operations, more of the class); the models above are what comes out.
MIGRATIONS = [
    (
        "0001_first",
        """
        migrations.CreateModel("Gone", [("id", models.BigAutoField(primary_key=True))]),
        migrations.CreateModel("Tag", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=9)),
            ("old", models.TextField()),
        ]),
        migrations.CreateModel("Keep", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=20)),
            ("old", models.TextField()),
            ("tags", models.ManyToManyField("shop.tag")),
        ]),
        """,
    ),
    ("0002_fatal", "migrations.RunPython(fatal, migrations.RunPython.noop),"),
    (
        "0003_more",
        """
        migrations.RemoveField("keep", "old"),
        migrations.RunPython(fatal, migrations.RunPython.noop),
        migrations.RenameModel("Keep", "Kept"),
        """,
    ),
    (
        "0004_last",
        """
        migrations.DeleteModel("Gone"),
        migrations.RemoveField("tag", "old"),
        migrations.AlterField("tag", "name", models.TextField()),
        migrations.RunPython(fatal, migrations.RunPython.noop),
        migrations.RemoveField("kept", "tags"),
        migrations.AddField("kept", "tags", models.ManyToManyField("shop.tag")),
        """,
    ),
]


def write_migrations(project: Project) -> None:
    previous = ""
    for name, operations in MIGRATIONS:
        needed = f'("shop", "{previous}")' if previous else ""
        text = "from django.db import migrations, models\n" + FATAL.format(name=name)
        text += "\n\nclass Migration(migrations.Migration):\n"
        text += f"    dependencies = [{needed}]\n    operations = [{operations}]\n"
        project.write(f"shop/migrations/{name}.py", text)
        previous = name


@pytest.fixture(params=[False, True], ids=["by Django", "by files of ours"])
def shop(request: pytest.FixtureRequest, project: BuildProject) -> Project:
    settings = "" if request.param else 'ZANITH = {"APPS": []}\n'
    built = project({"shop": MODELS}, settings=settings)
    write_migrations(built)
    if request.param:
        built.manage("zanith_generate", check=True)
    return built


def killed(project: Project) -> int:
    """How many times the same command was killed until it finished."""
    for times in range(6):
        done = project.manage("zanith_apply", "--max-risk", "60")
        if not done.returncode:
            return times
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    raise AssertionError("it does not finish")


def pending(project: Project) -> list[tuple[object, ...]]:
    where = "WHERE status IN ('pending', 'running')"
    return project.sql(f"SELECT id FROM _zanith_migration_steps {where}")


def test_the_same_command_finishes_what_was_killed(shop: Project) -> None:
    assert killed(shop) == 3
    assert pending(shop) == []
    shop.manage("migrate", "--check", check=True)
    assert "No difference" in shop.manage("zanith_diff", "models", "live", check=True).stdout


def test_it_finishes_after_any_number_of_migrations(shop: Project) -> None:
    for name, _ in MIGRATIONS:
        shop.write(f"killed-{name}", "")
    for _ in range(4):
        assert shop.manage("zanith_apply", "--steps", "3", "--max-risk", "60").returncode == 0
    shop.manage("zanith_apply", "--max-risk", "60", check=True)
    shop.manage("migrate", "--check", check=True)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO shop_keep (name, old) VALUES ('a', 'b')",
        "INSERT INTO shop_keep (name, old) VALUES ('a', 'b'); DELETE FROM shop_keep",
        "DELETE FROM _zanith_migrations WHERE id = 'django:contenttypes.0001_initial'",
    ],
    ids=["rows", "rows that are gone", "another made it"],
)
def test_a_table_that_may_be_in_use_is_not_fresh(shop: Project, change: str) -> None:
    done = shop.manage("zanith_apply")
    assert done.returncode == -signal.SIGKILL
    for statement in change.split("; "):
        shop.sql(statement)
    refused = shop.manage("zanith_apply", "--max-risk", "100")
    assert refused.returncode == 1
    assert "needs --allow-destructive" in refused.stderr


def test_a_refusal_leaves_no_pending_step_of_its_own(shop: Project) -> None:
    for _ in range(2):
        assert shop.manage("zanith_apply").returncode == -signal.SIGKILL
    before = pending(shop)
    shop.sql("INSERT INTO shop_tag (name, old) VALUES ('a', 'b')")
    for _ in range(2):
        assert shop.manage("zanith_apply", "--max-risk", "100").returncode == 1
        assert set(pending(shop)) <= set(before)
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive")
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive", check=True)
    assert pending(shop) == []

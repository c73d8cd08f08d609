"""Several databases and routers: each has the tables of its own models, and its own ledger."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.project import BuildProject, Project
from tests.servers import Database, Server

SHOP = """
from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=20)


class Entry(models.Model):
    text = models.TextField()
    kinds = models.ManyToManyField("Kind")


class Kind(models.Model):
    code = models.CharField(max_length=9, unique=True)
"""

BLOG = """
from django.db import models


class Post(models.Model):
    title = models.CharField(max_length=20)
"""

ROUTER = """
LOG = {"entry", "kind"}


class Router:
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label == "shop" and model_name:
            return db == ("other" if model_name in LOG else "default")
        if app_label == "blog":
            return db == "other"
        return db == "default" if app_label == "auth" else None
"""

SETTINGS = """
DATABASES["other"] = environ.Env.db_url_config("{url}")
DATABASE_ROUTERS = ["router.Router"]
"""

HERE = {"shop_thing"}
THERE = {"shop_entry", "shop_entry_kinds", "shop_kind", "blog_post"}


@pytest.fixture
def other(server: Server) -> Iterator[Database]:
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


@pytest.fixture
def routed(project: BuildProject, other: Database) -> Project:
    built = project({"shop": SHOP, "blog": BLOG}, settings=SETTINGS.format(url=other.url))
    built.write("router.py", ROUTER)
    built.manage("makemigrations", "shop", "blog", check=True)
    return built


def tables(database: Database) -> set[str]:
    """The tables of the two apps."""
    with database.connect() as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r'").fetchall()
    return {name for (name,) in rows if name.startswith(("shop_", "blog_"))}


def statuses(database: Database) -> dict[str, set[str]]:
    """{what the last part of a migration's id says: the statuses of its steps}."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT migration_id, status FROM _zanith_migration_steps"
            " WHERE migration_id NOT LIKE 'django:%'"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for migration_id, status in rows:
        found.setdefault(migration_id[16:], set()).add(status)
    return found


def on_other(built: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return built.manage(*arguments, "--database", "other")


def kinds(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    return [(each["kind"], each["target"]) for each in json.loads(done.stdout)["operations"]]


def test_each_database_has_the_tables_of_its_models(routed: Project, other: Database) -> None:
    routed.manage("zanith_generate", check=True)
    routed.manage("zanith_apply", check=True)
    assert tables(routed.database) == HERE
    assert tables(other) == set()
    on_other(routed, "zanith_apply").check_returncode()
    assert tables(other) == THERE
    initial = {"shop_initial": {"done", "skipped"}}
    assert statuses(routed.database) == {**initial, "blog_initial": {"skipped"}}
    assert statuses(other) == {**initial, "blog_initial": {"done"}}
    verified = on_other(routed, "zanith_verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_change_is_generated_applied_and_undone_on_the_database_of_its_model(
    routed: Project, other: Database
) -> None:
    for alias in ("default", "other"):
        routed.manage("migrate", "--database", alias, check=True)
    for app in ("shop", "blog"):
        routed.write(f"{app}/zanith_migrations/__init__.py", 'covered_after = "0001_initial"')
    routed.write("shop/models.py", SHOP.replace("max_length=9", "max_length=12"))
    on_other(routed, "zanith_generate", "--name", "longer").check_returncode()
    assert routed.manage("zanith_diff", "models", "live").returncode == 0
    drift = on_other(routed, "zanith_diff", "models", "live", "--format", "json")
    assert kinds(drift) == [("alterColumnType", "shop_kind.code")]
    plan = json.loads(on_other(routed, "zanith_plan", "--format", "json").stdout)
    steps = [step["target"] for each in plan["migrations"] for step in each["steps"]]
    assert (plan["database"], steps) == ("other", ["shop_kind.code"])
    elsewhere = routed.manage("zanith_plan", check=True)
    assert "for another database" in " ".join(elsewhere.stdout.split())  # lines wrap
    for alias in ("default", "other"):
        routed.manage("zanith_apply", "--database", alias, check=True)
    assert statuses(routed.database) == {"longer": {"skipped"}}
    assert statuses(other) == {"longer": {"done"}}
    assert length_of_code(other) == 12
    for alias in ("default", "other"):
        routed.manage("zanith_rollback", "--steps", "1", "--database", alias, check=True)
    assert length_of_code(other) == 9


def length_of_code(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT character_maximum_length FROM information_schema.columns"
            " WHERE table_name = 'shop_kind' AND column_name = 'code'"
        ).fetchone()
    assert row is not None
    return int(row[0])

"""Django's own concurrent index operations: whatever stopped them, one more run finishes them."""

from __future__ import annotations

import signal

import pytest

from tests.apply.test_stopped_runs import started, wait_until
from tests.project import SETTINGS, BuildProject, Project

MODELS = """
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=20)
"""
INDEXED = (
    MODELS
    + """
    class Meta:
        indexes = [models.Index(fields=["name"], name="author_name")]
"""
)
MIGRATION = """
from django.contrib.postgres.operations import {operation}
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0001_initial")]
    operations = [{call}]
"""
BUILD = 'AddIndexConcurrently("author", models.Index(fields=["name"], name="author_name"))'
INSIDE = f"migrations.SeparateDatabaseAndState([{BUILD}], [{BUILD}])"
REMOVE = 'RemoveIndexConcurrently("author", "author_name")'

STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('author_name')"
INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'author_name'::regclass"
FILE = "SELECT relfilenode FROM pg_class WHERE relname = 'author_name'"


@pytest.fixture
def shop(project: BuildProject) -> Project:
    """A shop whose migrations Django runs; its next one is not atomic."""
    built = project({"shop": MODELS})
    apps = SETTINGS.format(apps=["django.contrib.postgres", "zanith_django", "shop"])
    built.write("settings.py", f"{apps}\nZANITH = {{'APPS': []}}\n")
    built.manage("makemigrations", "shop", "-v0", check=True)
    built.manage("zanith_apply", check=True)
    release(built, BUILD)
    return built


def release(shop: Project, call: str, models: str = INDEXED) -> None:
    operation = "RemoveIndexConcurrently" if call == REMOVE else "AddIndexConcurrently"
    shop.write("shop/migrations/0002_change.py", MIGRATION.format(operation=operation, call=call))
    shop.write("shop/models.py", models)


def finished(shop: Project) -> None:
    """One run ends it, and Django agrees."""
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STATE) == [(True,)]
    shop.manage("migrate", "--check", check=True)
    assert "No migrations to apply" in shop.manage("migrate", check=True).stdout
    shop.manage("zanith_diff", "models", "live", check=True)


@pytest.mark.parametrize("call", [BUILD, INSIDE], ids=["alone", "inside"])
def test_an_invalid_leftover_is_built_again(shop: Project, call: str) -> None:
    release(shop, call)
    shop.sql("CREATE INDEX author_name ON shop_author (name)")
    shop.sql(INVALID)
    finished(shop)


def test_a_valid_index_of_the_same_definition_counts_as_done(shop: Project) -> None:
    shop.sql("CREATE INDEX author_name ON shop_author (name)")
    before = shop.sql(FILE)
    finished(shop)
    assert shop.sql(FILE) == before


@pytest.mark.parametrize("other", ["(id)", "(name DESC)", "(name) WHERE id > 5"])
def test_another_index_of_that_name_is_named_and_stays(shop: Project, other: str) -> None:
    shop.sql(f"CREATE INDEX author_name ON shop_author {other}")
    before = shop.sql(FILE)
    failed = shop.manage("zanith_apply", "--no-preflight")
    assert failed.returncode == 1
    assert "An index public.author_name with another definition exists" in failed.stderr
    assert "DROP INDEX CONCURRENTLY public.author_name" in failed.stderr
    assert shop.sql(FILE) == before
    shop.sql("DROP INDEX author_name")
    finished(shop)


@pytest.mark.parametrize("way", ["killed", "canceled"])
def test_a_build_that_stops_while_it_waits_is_finished_by_the_next_run(
    shop: Project, way: str
) -> None:
    with shop.database.connect() as writer:
        writer.execute("BEGIN; INSERT INTO shop_author (name) VALUES ('late')")
        run = started(shop)
        wait_until(shop, "wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'", run)
        if way == "killed":
            run.send_signal(signal.SIGKILL)
        else:
            shop.sql(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        writer.execute("COMMIT")
        run.communicate(timeout=60)
    if way == "canceled":
        assert shop.sql(STATE) == []
    else:
        assert "zanith_apply" in shop.manage("migrate").stderr
    finished(shop)


def test_a_removal_that_stops_while_it_waits_is_finished_by_the_next_run(shop: Project) -> None:
    finished(shop)
    text = MIGRATION.replace("0001_initial", "0002_change")
    text = text.format(operation="RemoveIndexConcurrently", call=REMOVE)
    shop.write("shop/migrations/0003_remove.py", text)
    shop.write("shop/models.py", MODELS)
    with shop.database.connect() as reader:
        reader.execute("BEGIN; SELECT count(*) FROM shop_author")
        run = started(shop)
        wait_until(shop, "wait_event_type = 'Lock' AND query LIKE 'DROP INDEX%'", run)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
    shop.manage("zanith_apply", check=True)
    assert shop.sql(STATE) == []
    shop.manage("migrate", "--check", check=True)

"""A table that a logical replication slot sends: subscribers go on after a release."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.project import BASE_APPS, MANAGE, SETTINGS, Project
from tests.releases import Releases
from tests.servers import Database, Server, lone_server

MODEL = """
from django.db import models

class T(models.Model):
    {fields}
"""
NAME, NOTE = "name = models.TextField()", "note = models.IntegerField(null=True)"
YES = ("--no-input", "--max-risk", "100", "--allow-destructive")


@pytest.fixture(scope="module")
def logical_server() -> Server:
    return lone_server(wal_level="logical")


@pytest.fixture
def releases(logical_server: Server, tmp_path: Path) -> Iterator[Releases]:
    name = logical_server.create_database()
    made = Releases(Project(tmp_path, Database(name, logical_server.url(name))))
    made.project.write("manage.py", MANAGE)
    made.project.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, "people"]))
    made.project.add_app("people", "")
    made.start(MODEL.format(fields=f"{NAME}\n    {NOTE}"))
    yield made
    made.project.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    logical_server.drop_database(name)


@pytest.fixture
def subscriber(
    releases: Releases, logical_server: Server
) -> Iterator[psycopg.Connection[tuple[int]]]:
    """A database that receives people_t."""
    sql = releases.project.sql
    sql("CREATE PUBLICATION pub FOR TABLE people_t")
    sql("SELECT pg_create_logical_replication_slot('copy', 'pgoutput')")
    name = logical_server.create_database()
    with psycopg.connect(logical_server.url(name), autocommit=True) as connection:
        connection.execute("CREATE TABLE people_t (id bigint PRIMARY KEY, name text, note integer)")
        connection.execute(
            f"CREATE SUBSCRIPTION sub CONNECTION '{releases.project.database.url}' "
            "PUBLICATION pub WITH (create_slot = false, slot_name = 'copy')"
        )
        yield connection
        connection.execute("ALTER SUBSCRIPTION sub DISABLE")
        connection.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
        connection.execute("DROP SUBSCRIPTION sub")
    time.sleep(0.1)
    logical_server.drop_database(name)


def received(subscriber: psycopg.Connection[tuple[int]], rows: int) -> bool:
    """Whether so many rows arrive within some seconds."""
    for _ in range(100):
        if subscriber.execute("SELECT count(*) FROM people_t").fetchone() == (rows,):
            return True
        time.sleep(0.1)
    return False


def release(releases: Releases, fields: str) -> str:
    """Generate and apply a change of the fields; returns what the plan reported."""
    project = releases.project
    project.write("people/models.py", MODEL.format(fields=fields))
    project.manage("zanith_generate", check=True)
    planned = project.manage("zanith_plan", *YES[1:], "--format", "json", check=True).stdout
    project.manage("zanith_apply", *YES, check=True)
    return planned


def test_a_subscriber_goes_on_after_a_column_is_dropped(
    releases: Releases, subscriber: psycopg.Connection[tuple[int]]
) -> None:
    sql = releases.project.sql
    sql("INSERT INTO people_t (name, note) VALUES ('a', 1)")
    assert received(subscriber, 1)

    planned = release(releases, NAME)
    sql("INSERT INTO people_t (name) VALUES ('b')")

    assert received(subscriber, 2)
    step = json.loads(planned)["migrations"][0]["steps"][0]
    assert step["kind"] == "softDropColumn"
    assert "replicated_table" in step["reasons"]
    kept = sql("SELECT artifact_type, row_count FROM _zanith_migration_artifacts")
    assert kept == [("archive_column", 1)]


def test_the_column_comes_back_by_a_rollback_even_if_the_slot_is_gone(
    releases: Releases, subscriber: psycopg.Connection[tuple[int]]
) -> None:
    sql = releases.project.sql
    sql("INSERT INTO people_t (name, note) VALUES ('a', 1)")
    assert received(subscriber, 1)
    release(releases, NAME)
    subscriber.execute("ALTER SUBSCRIPTION sub DISABLE")
    for _ in range(100):
        if sql("SELECT active FROM pg_replication_slots") == [(False,)]:
            break
        time.sleep(0.1)
    sql("SELECT pg_drop_replication_slot('copy')")

    releases.project.manage("zanith_rollback", "--steps", "1", "--no-input", check=True)

    assert sql("SELECT name, note FROM people_t") == [("a", 1)]


def test_a_subscriber_goes_on_after_a_type_is_changed(
    releases: Releases, subscriber: psycopg.Connection[tuple[int]]
) -> None:
    sql = releases.project.sql
    sql("INSERT INTO people_t (name, note) VALUES ('a', 1)")
    assert received(subscriber, 1)

    release(releases, f"{NAME}\n    note = models.BigIntegerField(null=True)")
    sql("INSERT INTO people_t (name, note) VALUES ('b', 2)")

    assert received(subscriber, 2)
    columns = sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'people_t'::regclass "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    assert columns == [("id",), ("name",), ("note",)]

    releases.project.manage("zanith_rollback", "--steps", "1", "--no-input", check=True)
    sql("INSERT INTO people_t (name, note) VALUES ('c', 3)")

    assert received(subscriber, 3)
    assert sql("SELECT pg_typeof(note)::text FROM people_t LIMIT 1") == [("integer",)]

"""Verify where rights are few, code goes its own ways, or a run before has left its structure."""

from __future__ import annotations

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases
from tests.servers import Database, Server, lone_server
from tests.verify.test_observations import step, verified
from tests.verify.test_shadows import with_a_release
from zanith_django.schema.scratch import ScratchTable, read_in_scratch
from zanith_django.verify.shadow_names import TEMPLATE, drop_schema

MODELS = """
from django.db import models

class Book(models.Model):
    pages = models.IntegerField(null=True)
"""

WAYWARD = """
import psycopg
from django.conf import settings
from django.db import connections


def without_using(apps, editor):
    apps.get_model("people", "Book").objects.create(pages=2)


def by_a_connection_of_its_own(apps, editor):
    given = settings.DATABASES["default"]
    names = {"NAME": "dbname", "USER": "user", "HOST": "host", "PORT": "port"}
    keys = {new: given[old] for old, new in names.items() if given.get(old)}
    with psycopg.connect(**keys) as own:
        own.execute("UPDATE people_book SET pages = 3")
    copy = connections["default"].copy()
    with copy.cursor() as cursor:
        cursor.execute("DELETE FROM people_book")
    copy.close()
"""

CODE = ("by_a_connection_of_its_own", "without_using")


def with_a_book(releases: Releases) -> None:
    """One book of one page."""
    releases.start(MODELS)
    releases.project.sql("INSERT INTO people_book (pages) VALUES (1)")


def test_code_that_finds_its_own_way_leaves_live_rows_unchanged(copy_of: Copy) -> None:
    shop = copy_of(with_a_book).project
    operations = ", ".join(f"migrations.RunPython({name})" for name in CODE)
    step(shop, operations, WAYWARD, atomic=False)
    assert verified(shop)["verdict"] == "ok"
    assert shop.sql("SELECT pages FROM people_book") == [(1,)]


OWN_SETTINGS = """
import sys
import types

import django.conf

class Own:
    def __init__(self, known):
        databases = {alias: dict(entry) for alias, entry in DATABASES.items()}
        vars(self).update(known, DATABASES=databases)

    def __getattr__(self, name):
        return getattr(django_settings, name)

django_settings = django.conf.settings
sys.modules["django.conf"] = types.ModuleType("django.conf")
vars(sys.modules["django.conf"]).update(vars(django.conf))
sys.modules["django.conf"].settings = Own({k: v for k, v in globals().items() if k.isupper()})

from django.db import connections

connections["default"].settings_dict
"""


def test_settings_that_another_object_holds_lead_to_the_shadow_too(copy_of: Copy) -> None:
    """As with Dynaconf, and where the settings module looks at the database, as pulpcore's."""
    shop = copy_of(with_a_book).project
    shop.write("settings.py", (shop.root / "settings.py").read_text() + OWN_SETTINGS)
    step(shop, f"migrations.RunPython({CODE[0]})", WAYWARD, atomic=False)
    assert verified(shop)["verdict"] == "ok"
    assert shop.sql("SELECT pages FROM people_book") == [(1,)]


def test_a_project_that_changes_its_database_while_django_starts_is_refused(
    copy_of: Copy,
) -> None:
    shop = copy_of(with_a_book).project
    shop.write(
        "people/apps.py",
        """
        from django.apps import AppConfig
        from django.db import connections

        class People(AppConfig):
            name = "people"

            def ready(self):
                given = connections["default"].settings_dict
                if given["NAME"].startswith("_zanith_shadow_"):
                    given["NAME"] = "postgres"
        """,
    )
    done = shop.manage("zanith_verify", "--shadow", "ephemeral")
    assert done.returncode == 3
    assert "changes DATABASES['default'] while Django starts" in done.stderr


REFUSING = """
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF tg_tag = 'CREATE TABLE' THEN RAISE 'no new tables'; END IF;
END $$;
CREATE EVENT TRIGGER refusing ON ddl_command_start EXECUTE FUNCTION refuse()
"""


def test_an_event_trigger_that_refuses_tables_refuses_no_history_and_no_models(
    copy_of: Copy, django_connection: DatabaseWrapper
) -> None:
    shop = copy_of(with_a_release).project
    shop.sql(REFUSING)
    assert verified(shop)["verdict"] == "ok"
    raw = django_connection.connection
    raw.execute(REFUSING)
    try:
        table = ScratchTable("t", ("CREATE TEMPORARY TABLE t (a integer)",), "t")
        assert read_in_scratch(raw, [table])["t"].column("a")
        with pytest.raises(psycopg.errors.RaiseException):
            raw.execute("CREATE TABLE t (a integer)")
    finally:
        raw.execute("DROP FUNCTION refuse CASCADE")


# --- rights --------------------------------------------------------------------------------------


def test_a_role_without_createdb_gets_a_schema_and_one_without_create_a_hint(
    modest: Project, server: Server
) -> None:
    assert verified(modest)["shadow"] == "schema"
    name = modest.database.name
    with Database(name, server.url(name)).connect() as session:
        session.execute(f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER')
    done = modest.manage("zanith_verify")
    assert done.returncode == 3
    assert "permission denied to create database" in done.stderr
    assert f"permission denied for database {name}" in done.stderr
    assert "Grant the role CREATEDB, or name an empty database" in done.stderr
    assert "Grant the role CREATE on the database, or name an empty database" in done.stderr


def test_a_schema_with_more_tables_than_the_server_has_locks_is_dropped() -> None:
    small = lone_server(max_locks_per_transaction="10", max_connections="20", shared_buffers="16MB")
    name = small.create_database()
    with Database(name, small.url(name)).connect() as session:
        session.execute("CREATE SCHEMA many")
        for hundred in range(20):
            numbers = range(hundred * 100, hundred * 100 + 100)
            for number in numbers[::20]:
                texts = (f"CREATE TABLE many.t{number + n} ()" for n in range(20))
                session.execute(";".join(texts))
        session.execute("CREATE TABLE many.hub (id integer PRIMARY KEY)")
        for number in range(0, 600, 20):
            texts = (
                f"ALTER TABLE many.t{number + n} ADD hub integer REFERENCES many.hub"
                for n in range(20)
            )
            session.execute(";".join(texts))
        with pytest.raises(psycopg.errors.OutOfMemory):
            session.execute("DROP SCHEMA many CASCADE")
        drop_schema(session, "many")
        found = session.execute("SELECT to_regnamespace('many')").fetchone()
    assert found == (None,)


# --- the structure of an earlier run -------------------------------------------------------------


def test_a_structure_is_reused_until_it_changes(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    query = (
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND "
        "shobj_description(oid, 'pg_database') = 'zanith_verify template of ' || current_database()"
    )
    try:
        assert verified(shop, "--reuse")["loaded"] == "the live structure by pg_dump"
        first = shop.sql(query, TEMPLATE)
        assert verified(shop, "--reuse")["loaded"] == "the live structure by a template"
        shop.sql("CREATE VIEW titles AS SELECT title FROM people_book")
        assert verified(shop, "--reuse")["loaded"] == "the live structure by pg_dump"
        (second,) = shop.sql(query, TEMPLATE)
        assert [second] != first
    finally:
        for (name,) in shop.sql(query, TEMPLATE):
            shop.sql(f'DROP DATABASE "{name}"')

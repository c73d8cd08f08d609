"""The working session: what a run sets in it, and gives back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.servers import Database
from zanith_django.postgres.run_lock import CLASS_ID, OBJECT_ID, holder
from zanith_django.run.audit import working_session

SETTINGS = "SELECT name, current_setting(name) FROM pg_settings ORDER BY name"


@pytest.fixture
def connection(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    """One that binds on the server and prepares each statement at once."""
    address = environ.Env.db_url_config(fresh_database.url)
    options = {"server_side_binding": True, "prepare_threshold": 0}
    settings = {**connections["default"].settings_dict, **address, "OPTIONS": options}
    wrapper = DatabaseWrapper(settings, alias="fresh")
    connections["fresh"] = wrapper
    with django_db_blocker.unblock():
        yield wrapper
        wrapper.close()
    del connections["fresh"]


def rows(connection: DatabaseWrapper, text: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def test_every_setting_comes_back(connection: DatabaseWrapper) -> None:
    rows(connection, "SELECT set_config('application_name', 'mine', false)")
    rows(connection, "SELECT set_config('DateStyle', 'SQL, DMY', false)")
    before = rows(connection, SETTINGS)
    with working_session(connection):
        assert rows(connection, SETTINGS) != before
    assert rows(connection, SETTINGS) == before


def test_times_are_read_whatever_the_date_style_is(connection: DatabaseWrapper) -> None:
    rows(connection, "SELECT set_config('DateStyle', 'SQL, DMY', false)")
    with working_session(connection):
        assert rows(connection, "SELECT now() IS NOT NULL, now()")[0][0]
        assert rows(connection, "SHOW DateStyle") == [("ISO, DMY",)]


def test_a_text_may_be_several_statements(connection: DatabaseWrapper) -> None:
    with working_session(connection), connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2")
    assert connection.connection.prepare_threshold == 0


def test_a_holder_of_whom_little_is_known_is_named(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    role = f"nobody_{fresh_database.name}"
    with fresh_database.connect() as other:
        other.execute(f"SELECT pg_advisory_lock({CLASS_ID}, {OBJECT_ID})")
        other.execute("SET application_name = 'zanith 1@there'")
        other.execute(f"CREATE ROLE {role}")
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
        told = holder(connection)
        connection.close()
        other.execute(f"DROP ROLE {role}")
        pid = other.info.backend_pid
    assert told == f"zanith 1@there, backend {pid}"

"""Models made up in a test, and Django's connection to a database of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import environ
import pytest
from django.db import connections, models, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.state import ModelState
from pytest_django import DjangoDbBlocker

from tests.servers import Database, Server
from zanith_django.ledger.ledger import Ledger
from zanith_django.run.audit import working_session
from zanith_django.timeline.states import RecordingState, render

EXTENSIONS = ("hstore", "citext", "btree_gist", "btree_gin", "pg_trgm", "bloom")

Models = list[type[models.Model]]


def model(name: str, options: dict[str, Any] | None = None, /, **fields: Any) -> ModelState:
    """A model of the app `made`; an `id` comes first where no field is a primary key."""
    if not any(getattr(field, "primary_key", False) for field in fields.values()):
        key = models.BigAutoField(auto_created=True, primary_key=True, serialize=False)
        fields = {"id": key, **fields}
    return ModelState("made", name, list(fields.items()), options)


def rendered(*made: ModelState) -> Models:
    state = RecordingState({(m.app_label, m.name_lower): m for m in made})
    return render(state, state.models)


def connect(url: str, alias: str) -> DatabaseWrapper:
    """Django's connection to a database, with those of the extensions that the server has."""
    address = environ.Env.db_url_config(url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias=alias)
    connections[alias] = wrapper
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_available_extensions")
        for extension in {name for (name,) in cursor.fetchall()}.intersection(EXTENSIONS):
            cursor.execute(f"CREATE EXTENSION {extension}")
    return wrapper


@pytest.fixture(scope="module")
def django_connection(
    server: Server, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    name = server.create_database()
    with django_db_blocker.unblock():
        wrapper = connect(server.url(name), "shared")
        yield wrapper
        wrapper.close()
    del connections["shared"]
    server.drop_database(name)


@pytest.fixture
def ledgered(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    """Django's connection to a new database that has a ledger, with the run lock held."""
    address = environ.Env.db_url_config(fresh_database.url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="ledgered")
    connections["ledgered"] = wrapper
    with django_db_blocker.unblock():
        Ledger(wrapper).ensure()
        with working_session(wrapper):
            yield wrapper
        wrapper.close()
    del connections["ledgered"]


@pytest.fixture
def within(django_connection: DatabaseWrapper) -> Iterator[DatabaseWrapper]:
    """A connection inside a transaction that is rolled back: cheaper than a database each."""
    with transaction.atomic("shared"):
        yield django_connection
        transaction.set_rollback(True, "shared")


def text(**options: Any) -> models.CharField:
    return models.CharField(max_length=20, **options)


def group(name: str) -> tuple[ModelState, ...]:
    """A target for relations."""
    return (model(name, code=text(unique=True), slug=models.SlugField()),)

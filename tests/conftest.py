"""Fixtures for all tests: the server, databases and schemas of one's own, small Django projects."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any

import environ
import pytest
from django.conf import settings
from hypothesis import settings as hypothesis

from tests.copies import copy_of, heeding_interruptions, originals
from tests.declared import django_connection, ledgered, within
from tests.examples import SETUP
from tests.place import Connection, Place
from tests.project import project
from tests.servers import SHARED_URL, Database, Server, shared_server

__all__ = [
    "copy_of",
    "django_connection",
    "heeding_interruptions",
    "ledgered",
    "originals",
    "project",
    "within",
]


# Random schemas: `pytest --hypothesis-profile nightly tests/roundtrip` tries many more.
hypothesis.register_profile("ci", max_examples=40)
hypothesis.register_profile("nightly", max_examples=2000)
hypothesis.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share",
        default="1/1",
        metavar="K/N",
        help="Run the K-th of N shares of the tests; the cases of one test are spread over them.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share, shares = map(int, config.getoption("share").split("/"))
    mine: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        whole = item.get_closest_marker("unshared") is not None
        chosen = whole or zlib.crc32(item.nodeid.encode()) % shares == share - 1
        (mine if chosen else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = mine


def pytest_configure(config: pytest.Config) -> None:
    """Start the server before xdist starts its workers, so that they share it."""
    if config.getoption("numprocesses", default=None):
        shared_server()


def pytest_report_header() -> str:
    if SHARED_URL not in os.environ:
        return "PostgreSQL: started when the first test asks for it"
    return f"PostgreSQL: {shared_server().version()}"


@pytest.fixture(scope="session")
def server() -> Server:
    """The PostgreSQL server of this run."""
    return shared_server()


@pytest.fixture
def fresh_database(server: Server) -> Iterator[Database]:
    """A new, empty database."""
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """A database that the tests of one module share."""
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


@pytest.fixture(scope="module")
def shared_connection(database: Database) -> Iterator[Connection]:
    """A connection to the database of the module."""
    with database.connect() as connection:
        yield connection


@pytest.fixture
def empty_place(database: Database, shared_connection: Connection) -> Iterator[Place]:
    """A schema in which there is nothing yet."""
    place = Place(database, shared_connection)
    yield place
    place.remove()


@pytest.fixture
def place(empty_place: Place) -> Place:
    """A schema with the tables that every example begins with."""
    empty_place.execute(SETUP)
    return empty_place


@pytest.fixture(scope="session")
def django_db_modify_db_settings(server: Server) -> None:
    """Point pytest-django's `db` fixture at the server, each process at a database of its own."""
    default: dict[str, Any] = settings.DATABASES["default"]
    default.update(environ.Env.db_url_config(server.maintenance_url))
    default.setdefault("TEST", {})["NAME"] = f"zanith_test_django_{os.getpid()}"

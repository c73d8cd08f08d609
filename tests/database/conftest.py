"""A database for each module, and in it a schema for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.database.declared import django_connection, ledgered, within
from tests.database.examples import SETUP
from tests.database.place import Connection, Place
from tests.servers import Database, Server

__all__ = ["django_connection", "ledgered", "within"]


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """A database that the tests of one module share."""
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


@pytest.fixture(scope="module")
def shared_connection(database: Database) -> Iterator[Connection]:
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

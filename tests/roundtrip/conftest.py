"""A database for each module, and Django's connection to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.database.declared import connect
from tests.servers import Database, Server


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


@pytest.fixture(scope="module")
def connection(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[DatabaseWrapper]:
    with django_db_blocker.unblock():
        wrapper = connect(database.url, "round")
        yield wrapper
        wrapper.close()
    del connections["round"]

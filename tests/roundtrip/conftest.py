"""Django's connection to the database of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.declared import connect
from tests.servers import Database


@pytest.fixture(scope="module")
def connection(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[DatabaseWrapper]:
    with django_db_blocker.unblock():
        wrapper = connect(database.url, "round")
        yield wrapper
        wrapper.close()
    del connections["round"]

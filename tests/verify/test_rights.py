"""Verify by a role that may not make, empty, copy or see all that it needs: what helps is named."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.project import Project
from tests.servers import Database, Server
from tests.verify.conftest import modest_role
from tests.verify.test_observations import verified
from tests.verify.test_shadows import shadows

BROKEN = 3


@pytest.fixture
def other(modest: Project, server: Server) -> Iterator[str]:
    """The URL of an empty database of another role, for the role of the project."""
    name = server.create_database()
    yield urlunsplit(urlsplit(modest.database.url)._replace(path=f"/{name}"))
    server.drop_database(name)


def test_a_database_that_another_role_owns_cannot_be_emptied(modest: Project, other: str) -> None:
    done = modest.manage("zanith_verify", "--shadow", other)
    assert done.returncode == BROKEN
    assert "cannot be reached: must be owner of schema public" in done.stderr
    assert "must own this database, and all that is in it" in done.stderr


def test_a_copy_needs_a_database_of_the_role_or_a_template(
    modest: Project, other: str, server: Server
) -> None:
    with Database("", server.maintenance_url).connect() as session:
        session.execute(f'ALTER ROLE "{modest_role(modest)}" CREATEDB')
    done = modest.manage("zanith_verify", "--data", other)
    assert done.returncode == BROKEN
    assert "permission denied to copy database" in done.stderr
    assert "the role needs CREATEDB and must own it, unless it is a template" in done.stderr
    assert not shadows(modest)


POLICIES = (
    "ALTER TABLE people_book ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE people_book FORCE ROW LEVEL SECURITY",
    "CREATE POLICY own ON people_book USING (title = current_setting('app.user'))",
)


def test_rows_that_policies_hide_are_neither_sampled_nor_taken_for_all(modest: Project) -> None:
    modest.sql("INSERT INTO people_book (title) VALUES ('seen')")
    for text in POLICIES:
        modest.sql(text)
    assert verified(modest)["verdict"] == "ok"
    settings = (modest.root / "settings.py").read_text()
    modest.write("settings.py", settings + 'ZANITH["SHADOW_DATA"] = ["people_book"]\n')
    done = modest.manage("zanith_verify", "--shadow", "schema")
    assert done.returncode == BROKEN
    assert "rows of people_book cannot be copied there: query would be affected" in done.stderr
    assert "BYPASSRLS if its policies hide rows from the role" in done.stderr
    assert "leave people_book out of the setting SHADOW_DATA" in done.stderr
    assert not shadows(modest)


def test_a_sample_needs_a_database_and_rows_that_no_policy_hides(
    modest: Project, server: Server
) -> None:
    done = modest.manage("zanith_verify", "--sample", "5")
    assert done.returncode == BROKEN
    assert "permission denied to create database" in done.stderr
    assert "(schema)" not in done.stderr
    for text in POLICIES:
        modest.sql(text)
    with Database("", server.maintenance_url).connect() as session:
        session.execute(f'ALTER ROLE "{modest_role(modest)}" CREATEDB')
    done = modest.manage("zanith_verify", "--sample", "5")
    assert done.returncode == BROKEN
    assert "rows of people_book cannot be copied there: query would be affected" in done.stderr
    assert "BYPASSRLS if its policies hide rows from the role" in done.stderr
    assert not shadows(modest)

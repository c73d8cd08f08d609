"""Shadows on a server that lacks what the live one has: roles, tablespaces, extensions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.copies import Copy, new_project
from tests.project import Project
from tests.servers import Database, Server, lone_server
from tests.verify.test_observations import verified
from tests.verify.test_shadows import with_books
from zanith_django.operations import RawSql

MODELS = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=20, unique=True, db_tablespace="fast")
    pages = models.IntegerField(db_index=True)
{more}
    class Meta:
        db_tablespace = "fast"
"""
WITHOUT = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=20, unique=True)
    pages = models.IntegerField(db_index=True)
{more}
"""
MORE = "    copies = models.IntegerField(null=True, db_index=True)"


@pytest.fixture(scope="module")
def fast_server() -> Server:
    """A server with a tablespace of its own."""
    other = lone_server(allow_in_place_tablespaces="on")
    with Database("", other.maintenance_url).connect() as session:
        session.execute("CREATE TABLESPACE fast LOCATION ''")
    return other


@pytest.fixture
def elsewhere(server: Server) -> Iterator[str]:
    """The URL of an empty database on the server of all tests."""
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


def shop_on(server: Server, folder: Path, models: str) -> Project:
    """A release of a column and its index waits."""
    releases = new_project(folder, server)
    releases.start(models.format(more=""))
    releases.project.write("people/models.py", models.format(more=MORE))
    releases.project.manage("zanith_generate", check=True)
    return releases.project


def test_tablespaces_of_models_are_no_drift_and_needed_on_another_server(
    fast_server: Server, elsewhere: str, tmp_path: Path
) -> None:
    shop = shop_on(fast_server, tmp_path, MODELS)
    for arguments in ([], ["--reuse"], ["--reuse"], ["--shadow", "schema"], ["--sample", "5"]):
        verdict = verified(shop, *arguments)
        assert (verdict["verdict"], verdict["operations"]) == ("ok", []), arguments
    done = shop.manage("zanith_verify", "--shadow", elsewhere)
    assert done.returncode == 3
    assert 'cannot hold tablespace "fast"' in done.stderr
    assert "Create or install it on the server of the shadow" in done.stderr


def test_the_tablespace_of_a_database_is_that_of_its_shadow(
    fast_server: Server, tmp_path: Path
) -> None:
    shop = shop_on(fast_server, tmp_path, MODELS)
    with Database("", fast_server.maintenance_url).connect() as session:
        shop.sql("ALTER TABLE people_book SET TABLESPACE pg_default")
        for (index,) in shop.sql(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'i' "
            "AND reltablespace > 0 AND oid >= 16384"
        ):
            shop.sql(f"ALTER INDEX {index} SET TABLESPACE pg_default")
        session.execute(f'ALTER DATABASE "{shop.database.name}" SET TABLESPACE fast')
    assert verified(shop)["operations"] == []


def test_objects_that_an_administrator_moved_are_in_the_default_tablespace_elsewhere(
    fast_server: Server, elsewhere: str, tmp_path: Path
) -> None:
    shop = shop_on(fast_server, tmp_path, WITHOUT)
    shop.sql("ALTER TABLE people_book SET TABLESPACE fast")
    shop.sql("ALTER INDEX people_book_pkey SET TABLESPACE fast")
    shop.sql("CREATE INDEX of_hand ON people_book (pages) TABLESPACE fast")
    shop.sql(
        "CREATE FUNCTION quoting() RETURNS text LANGUAGE sql AS $$\n"
        "SELECT 'SET default_tablespace = fast;\nSET default_tablespace = fast;\n' $$"
    )
    file = shop.write("live.json", shop.manage("zanith_diff", "live", "--format", "graph").stdout)
    for source in ([], ["--from", str(file)]):
        assert verified(shop, "--shadow", elsewhere, *source)["verdict"] == "ok"
    with Database("", elsewhere).connect() as session:
        found = session.execute(
            "SELECT count(*) FROM pg_class WHERE reltablespace > 0 AND oid >= 16384"
        ).fetchone()
        (text,) = session.execute("SELECT quoting()").fetchone() or ("",)
    assert found == (0,)
    assert text.count("SET default_tablespace = fast;") == 2


GRANT = "GRANT SELECT ON people_book TO {role}"
POLICY = "CREATE POLICY theirs ON people_book TO {role} USING (true)"


@pytest.mark.parametrize("by", ["the plan", "the structure"])
def test_a_role_that_only_the_live_server_has_is_named(
    copy_of: Copy, server: Server, by: str
) -> None:
    other = lone_server()
    releases = copy_of(with_books)
    shop = releases.project
    role = f"only_of_{shop.database.name}"
    shop.sql(f"CREATE ROLE {role}")
    try:
        if by == "the plan":
            releases.file("grant", [RawSql(sql=GRANT.format(role=role))])
        else:
            shop.sql(POLICY.format(role=role))
        assert verified(shop)["verdict"] == "ok"
        done = shop.manage("zanith_verify", "--shadow", other.url(other.create_database()))
        assert done.returncode == 3
        assert f'cannot hold role "{role}"' in done.stderr
    finally:
        shop.sql(f"DROP OWNED BY {role}")
        shop.sql(f"DROP ROLE {role}")

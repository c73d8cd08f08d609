"""Roles with few rights, other search paths, read-only sessions: what works, what is said."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.project import BuildProject, Project
from tests.servers import Database, Server, start_pair

SHOP = """
from django.db import models


class Kind(models.Model):
    code = models.CharField(max_length=9, unique=True)


class Thing(models.Model):
    name = models.CharField(max_length=20, db_index=True)
    amount = models.PositiveIntegerField()
    kind = models.ForeignKey(Kind, models.CASCADE)
"""

_numbers = itertools.count(1)


@pytest.fixture
def role(fresh_database: Database) -> Iterator[str]:
    """A role that may connect, make temporary tables and nothing else; it has no password."""
    yield from made_role(fresh_database)


@pytest.fixture
def reader(fresh_database: Database) -> Iterator[str]:
    """Another of these."""
    yield from made_role(fresh_database)


def made_role(fresh_database: Database) -> Iterator[str]:
    name = f"zanith_test_role_{os.getpid()}_{next(_numbers)}"
    with fresh_database.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        connection.execute(f'REVOKE ALL ON DATABASE "{fresh_database.name}" FROM public'.encode())
        connection.execute(
            f'GRANT CONNECT, TEMP ON DATABASE "{fresh_database.name}" TO {name}'.encode()
        )
        connection.execute("REVOKE ALL ON SCHEMA public FROM public")
    yield name
    with fresh_database.connect() as connection:
        connection.execute(f"DROP OWNED BY {name} CASCADE".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))


def at(database: Database) -> str:
    """A database as settings say it."""
    return f'environ.Env.db_url_config("{database.url}")'


def settings(database: Database, role: str, options: str = "") -> str:
    """The project connects as `role`, with `options` as libpq takes them."""
    return (
        f'DATABASES["default"] = environ.Env.db_url_config("{as_role(database.url, role)}")\n'
        f'DATABASES["default"]["OPTIONS"] = {{"options": "{options}"}}\n'
    )


def add_settings(built: Project, text: str) -> None:
    with (built.root / "settings.py").open("a") as file:
        file.write(f"\n{text}\n")


@pytest.fixture
def scratch(server: Server) -> Iterator[Database]:
    """An empty database of somebody who may do everything there."""
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


def says(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_a_role_that_owns_its_schema_alone_does_everything_but_an_ephemeral_shadow(
    project: BuildProject, fresh_database: Database, role: str, reader: str
) -> None:
    built = project({"shop": SHOP}, settings=settings(fresh_database, role))
    built.sql(f"CREATE SCHEMA app AUTHORIZATION {role}; GRANT USAGE ON SCHEMA app TO {reader}")
    built.sql(f"ALTER ROLE {role} SET search_path = app")
    built.manage("zanith_generate", check=True)
    built.manage("zanith_plan", check=True)
    built.manage("zanith_apply", check=True)
    built.manage("zanith_diff", "models", "live", check=True)
    assert built.sql("SELECT count(*) FROM app.shop_thing") == [(0,)]
    assert built.sql("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = %s", role) == [
        ("app",)
    ]
    add_settings(built, settings(fresh_database, reader, "-c search_path=app"))
    done = built.manage("zanith_diff", "models", "live")
    assert done.returncode == 0, says(done)
    built.sql("ALTER TABLE app.shop_thing ALTER name TYPE text")
    drift = built.manage("zanith_diff", "models", "live")
    assert drift.returncode == 1
    assert "shop_thing.name" in drift.stdout


def test_a_search_path_in_the_connection_s_options_is_followed(
    project: BuildProject, fresh_database: Database, role: str
) -> None:
    options = "-c search_path=second,public -c default_transaction_read_only=on"
    built = project({"shop": SHOP}, settings=settings(fresh_database, role, options))
    built.sql(f"CREATE SCHEMA second AUTHORIZATION {role}; GRANT USAGE ON SCHEMA public TO {role}")
    built.sql("CREATE TABLE public.shop_thing (id text)")
    built.manage("makemigrations", "shop", check=True)
    add_settings(built, settings(fresh_database, role, "-c search_path=second,public"))
    built.manage("migrate", check=True)
    add_settings(built, settings(fresh_database, role, options))
    done = built.manage("zanith_diff", "models", "live")
    assert done.returncode == 0, says(done)
    built.sql("ALTER TABLE second.shop_thing ALTER name TYPE text")
    assert "shop_thing.name" in built.manage("zanith_diff", "models", "live").stdout


def test_without_temp_the_right_is_named_and_another_database_helps(
    project: BuildProject, fresh_database: Database, role: str, scratch: Database
) -> None:
    built = project({"shop": SHOP}, settings=settings(fresh_database, role))
    built.sql(f"CREATE SCHEMA app AUTHORIZATION {role}; ALTER ROLE {role} SET search_path = app")
    built.sql(f'REVOKE TEMP ON DATABASE "{fresh_database.name}" FROM {role}')
    built.manage("makemigrations", "shop", check=True)
    built.manage("migrate", check=True)
    refused = built.manage("zanith_diff", "models", "live")
    assert refused.returncode == 3
    assert "TEMP on the database" in says(refused)
    assert 'ZANITH["SCRATCH"]' in says(refused)
    add_settings(built, f'DATABASES["other"] = {at(scratch)}')
    for where in (scratch.url, "other"):
        add_settings(built, f'ZANITH["SCRATCH"] = "{where}"')
        done = built.manage("zanith_diff", "models", "live")
        assert done.returncode == 0, says(done)
    built.write("shop/models.py", SHOP.replace("max_length=20", "max_length=30"))
    built.manage("zanith_generate", check=True)
    built.manage("zanith_apply", check=True)
    assert scratch.name not in says(built.manage("zanith_status"))


@pytest.fixture
def pair() -> tuple[Database, Database]:
    """A primary and its hot standby, from the machine's own programs."""
    try:
        primary, standby = start_pair()
    except FileNotFoundError:
        pytest.skip("needs a PostgreSQL with pg_basebackup, as pg_config names it")
    return Database("postgres", primary), Database("postgres", standby)


def wait_until_the_same(primary: Database, standby: Database) -> None:
    with primary.connect() as ahead, standby.connect() as behind:
        position = ahead.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        until = time.monotonic() + 60
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        while behind.execute(query, position).fetchone() != (True,):
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.1)


def test_a_hot_standby_is_read_and_its_models_elsewhere(
    project: BuildProject, pair: tuple[Database, Database], scratch: Database
) -> None:
    primary, standby = pair
    built = project({"shop": SHOP}, settings=f'DATABASES["default"] = {at(primary)}')
    built.manage("makemigrations", "shop", check=True)
    built.manage("migrate", check=True)
    wait_until_the_same(primary, standby)
    add_settings(built, f'DATABASES["default"] = {at(standby)}')
    graph = built.manage("zanith_diff", "live", "--format", "graph", check=True)
    assert "public.shop_thing" in json.loads(graph.stdout)["tables"]
    refused = built.manage("zanith_diff", "models", "live")
    assert refused.returncode == 3
    assert "a primary server" in says(refused)
    assert 'ZANITH["SCRATCH"]' in says(refused)
    add_settings(built, f'ZANITH["SCRATCH"] = "{scratch.url}"')
    done = built.manage("zanith_diff", "models", "live")
    assert done.returncode == 0, says(done)
    built.manage("zanith_plan", check=True)

"""The shop's migrations, its data migration, its filling command and its embedded server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from example_project import database
from example_project.factories import OrderLineFactory
from tests.project import REPOSITORY, Project
from tests.servers import Database


@pytest.fixture
def shop(fresh_database: Database) -> Project:
    """The example project on an empty database."""
    return Project(REPOSITORY, fresh_database)


def test_the_models_have_no_change_without_a_migration(shop: Project) -> None:
    done = shop.manage("makemigrations", "--check", "--dry-run", check=True)
    assert "No changes detected" in done.stdout


def test_the_shop_is_built_filled_and_filled_again(shop: Project) -> None:
    shop.manage("migrate", "-v0", check=True)
    shop.manage("fill_shop", "--rows", "2000", check=True)
    assert shop.sql("SELECT count(*) FROM orders_order") == [(300,)]
    shop.manage("fill_shop", "--rows", "2000", check=True)
    assert shop.sql("SELECT count(*) FROM orders_order") == [(600,)]


def test_the_data_migration_fills_what_is_there_and_can_be_taken_back(shop: Project) -> None:
    unfilled = "SELECT count(*) FROM catalog_product WHERE slug = '' OR search IS NULL"
    shop.manage("migrate", "-v0", check=True)
    shop.manage("fill_shop", "--rows", "1000", check=True)

    shop.manage("migrate", "-v0", "catalog", "0002", check=True)
    assert shop.sql(unfilled) == shop.sql("SELECT count(*) FROM catalog_product") == [(50,)]

    shop.manage("migrate", "-v0", check=True)
    assert shop.sql(unfilled) == [(0,)]


@pytest.mark.django_db
def test_factories_make_rows_that_the_database_accepts() -> None:
    line = OrderLineFactory.create()
    line.refresh_from_db()
    assert line.amount == line.unit_price * line.quantity


def test_a_socket_in_a_url_becomes_the_host_that_other_programs_read() -> None:
    settings = database.from_url("postgresql://postgres@/shop?host=/tmp/socket")
    assert (settings["HOST"], settings["NAME"], settings["OPTIONS"]) == ("/tmp/socket", "shop", {})


PROGRAM = """
import pathlib, sys
from example_project import database

database.FOLDER = pathlib.Path(sys.argv[1])
"""
# The server is there, but whoever waited for it has lost patience.
IMPATIENT = """
import subprocess

wheel_server = database._wheel_server

def impatient():
    server = wheel_server()
    started = server.start

    def start():
        started()
        raise subprocess.TimeoutExpired("pg_ctl", 10)

    server.start = start
    return server

database._wheel_server = impatient
"""
ANSWER = "print(database.answer(sys.argv[2]))"


def ask(folder: Path, action: str, program: str = PROGRAM) -> subprocess.Popen[str]:
    arguments = [str(folder / ".zanith" / "postgres"), action]
    command = [sys.executable, "-W", "error", "-c", program + ANSWER, *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_embedded_server_starts_once_for_processes_that_ask_together(tmp_path: Path) -> None:
    try:
        together = [ask(tmp_path, "url") for _ in range(3)]
        answers = {process.communicate() for process in together}
        assert "".join(errors for _, errors in answers) == ""
        assert len(answers) == 1
        url, _ = answers.pop()
        assert url.startswith("postgresql://")
        assert ask(tmp_path, "status").communicate() == (f"running at {url}", "")
    finally:
        assert ask(tmp_path, "stop").communicate() == ("stopped\n", "")
    assert ask(tmp_path, "status").communicate() == ("stopped\n", "")


def test_an_embedded_server_that_takes_its_time_is_awaited(tmp_path: Path) -> None:
    try:
        url, errors = ask(tmp_path, "url", PROGRAM + IMPATIENT).communicate()
        assert (url.startswith("postgresql://"), errors) == (True, "")
    finally:
        assert ask(tmp_path, "stop").communicate() == ("stopped\n", "")

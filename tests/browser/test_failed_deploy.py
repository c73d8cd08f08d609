"""From a deploy that failed to the table, column, statement, blocker and next command."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.browser import site
from tests.browser.conftest import Visit, keep
from tests.project import Project
from tests.servers import Server

pytestmark = pytest.mark.unshared


@pytest.fixture(scope="module")
def people(
    chromium: Any, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The project of which the last deploy met a lock."""
    database = site.database(server)
    yield site.blocked(tmp_path_factory.mktemp("blocked"), database)
    server.drop_database(database.name)


@contextmanager
def waiting_session(project: Project) -> Iterator[None]:
    """One session holds a lock on users, another one waits for it."""
    connect = project.database.connect
    with connect() as holder, connect() as other:
        with holder.transaction():
            holder.execute("LOCK TABLE users IN ACCESS SHARE MODE")
            waits = threading.Thread(target=other.execute, args=("ALTER TABLE users ADD z int",))
            waits.start()
            yield
        waits.join()


def test_three_clicks_lead_from_a_failed_deploy_to_its_cause(visit: Visit, people: Project) -> None:
    page = visit("root")
    page.goto("/admin/")
    page.click("#content >> text=Dashboard")
    page.wait_for_selector("text=Failed or running now")
    keep(page, "deploy-1-dashboard")

    page.click(".zanith-attention a")
    page.wait_for_selector("#zanith-error")
    keep(page, "deploy-2-step")
    shown = page.inner_text("#content")
    assert "users.nick" in shown  # table and column
    assert 'ALTER TABLE "public"."users" ADD COLUMN "nick" text' in shown
    assert "LOCK TABLE users IN ACCESS SHARE MODE" in shown  # what blocked it
    assert "manage.py zanith_apply" in shown

    with waiting_session(people):
        page.click("text=Who blocks whom now")
        page.wait_for_selector("#zanith-waits-now table", timeout=15_000)
        keep(page, "deploy-3-locks")
        assert "LOCK TABLE users" in page.inner_text("#zanith-waits-now")


def test_the_history_of_a_table_is_one_page(visit: Visit) -> None:
    page = visit("root")
    page.goto("/admin/zanith_django/migrationstep/")
    page.fill("#zanith-table", "users")
    page.fill("#zanith-since", "2025-03-01")
    page.press("#zanith-table", "Enter")
    page.wait_for_selector("text=What happened to users")
    assert page.locator("#result_list tbody tr").count() == 2
    assert page.input_value("#zanith-since") == "2025-03-01"

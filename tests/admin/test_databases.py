"""The pages of a project with several databases: each link of a page is about the same one."""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from tests.admin.conftest import APPLIED, ARTIFACT
from tests.admin.urls import MODELS, detail_url, list_url
from zanith_django.ledger.ledger import Ledger

DASHBOARD = "admin:zanith_django_dashboard_changelist"
NAMED = "?database=second"


class OnlyNamed:
    """Refuses queries of the ledger that name no database."""

    def db_for_read(self, model: Any, **hints: Any) -> None:
        assert model._meta.app_label != "zanith_django" or "instance" in hints


@pytest.fixture
def second(settings: Any, history: Ledger) -> Iterator[None]:
    """A second alias, of the same database."""
    connections.settings["second"] = connections.settings["default"]
    same = copy.copy(connections["default"])
    same.alias = "second"
    connections["second"] = same
    settings.DATABASE_ROUTERS = [f"{__name__}.OnlyNamed"]
    yield
    del connections["second"], connections.settings["second"]


def links_of(client: Client, url: str) -> set[str]:
    response = client.get(url, follow=True)  # there is no column to export
    assert response.status_code == 200, url
    text = b"".join(response) if response.streaming else response.content
    content = text.decode().partition('id="content-main"')[2]
    found = {html.unescape(each) for each in re.findall(r'<a [^>]*?href="([^"]*)"', content)}
    return {urljoin(url, each) for each in found if "://" not in each}


def database_of(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("database", ["default"])[0]


def test_every_page_links_to_pages_about_its_database(second: None, superuser: Client) -> None:
    start = reverse(DASHBOARD)
    base = start.removesuffix("dashboard/")
    waiting = {start, *(list_url(model) for model in MODELS)}
    waiting = {url + NAMED for url in waiting}
    seen: dict[str, str] = {}
    while waiting:
        url = waiting.pop()
        place = urlsplit(url).path
        if place in seen:
            continue
        seen[place] = url
        links = {each for each in links_of(superuser, url) if each.startswith(base)}
        assert {each for each in links if database_of(each) != "second"} <= {
            f"{place}?database=default"
        }
        waiting |= {each for each in links if database_of(each) == "second"}
    assert len(seen) > 30


def test_a_search_stays_in_the_database(second: None, superuser: Client) -> None:
    for url in (list_url("migration"), detail_url("schemasnapshot", APPLIED, "after")):
        page = superuser.get(url + NAMED).content.decode()
        assert 'name="database" value="second"' in page


def test_a_change_is_made_in_the_database_that_is_shown(second: None, superuser: Client) -> None:
    page = superuser.get(detail_url("migrationartifact", ARTIFACT) + NAMED).content.decode()
    actions = re.findall(r'action="([^"]*)"', page)
    assert [database_of(action) for action in actions if "zanith" in action] == ["second"] * 2


def test_a_database_that_the_settings_do_not_have_is_not_found(superuser: Client) -> None:
    for url in (reverse(DASHBOARD), list_url("migration")):
        assert superuser.get(f"{url}?database=third").status_code == 404

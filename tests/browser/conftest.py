"""Chromium, and a server to visit. Outside CI the tests are skipped where there is no Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser import site
from tests.project import REPOSITORY, Project
from tests.servers import Server

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KEPT = Path(os.environ.get("ZANITH_TEST_SCREENSHOTS") or REPOSITORY / "build" / "screenshots")

Visit = Callable[..., Any]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that restore and purge an artifact come last: others visit their pages."""
    items.sort(key=lambda item: item.name.startswith("test_what_was_dropped_"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser, for one module: while Playwright runs, Django refuses to query."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        why = "no Chromium on the PATH: apt-get install chromium"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def people(
    chromium: Any, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    database = site.database(server)
    yield site.build(tmp_path_factory.mktemp("site"), database)
    server.drop_database(database.name)


@pytest.fixture(scope="module")
def address(people: Project) -> Iterator[Callable[[str], str]]:
    """`address("plain")`: where the admin with that theme is served."""
    known: dict[str, str] = {}
    with ExitStack() as stack:

        def serve(theme: str) -> str:
            if theme not in known:
                known[theme] = stack.enter_context(site.serving(people, theme))
            return known[theme]

        yield serve


@pytest.fixture
def visit(chromium: Any, address: Callable[[str], str]) -> Iterator[Visit]:
    """`visit("root")`: a page on which that user is logged in; its `errors` are the console's."""
    contexts = []

    def login(user: str, *, theme: str = "plain", width: int = 1280, scheme: str = "light") -> Any:
        context = chromium.new_context(
            base_url=address(theme),
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
        )
        contexts.append(context)
        page = context.new_page()
        page.errors = []
        page.on(
            "console", lambda said: page.errors.append(said.text) if said.type == "error" else 0
        )
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page.goto("/admin/login/?next=/admin/")
        page.fill("[name=username]", user)
        page.fill("[name=password]", site.PASSWORD)
        page.press("[name=password]", "Enter")
        # The address of the login page ends in /admin/ too.
        page.wait_for_url(lambda url: "/login/" not in url, wait_until="commit")
        return page

    yield login
    for context in contexts:
        context.close()


def keep(page: Any, name: str) -> None:
    """A screenshot for people to look at."""
    KEPT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=KEPT / f"{name}.png", full_page=True)

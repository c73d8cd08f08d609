"""The admin as people see it: every page, narrow and wide, light and dark, under three themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import quote

from tests.browser.conftest import Visit, keep
from tests.project import Project
from tests.rollback.test_rollback import LOGIN_ID

pytestmark = pytest.mark.unshared

BROKEN = "20260101_000002_unique_email"
ARTIFACT = f"{LOGIN_ID}::soft_drop_column::users.legacy_uuid"
BASE = "/admin/zanith_django"
SNAPSHOT = f"{BASE}/schemasnapshot/{quote(LOGIN_ID)}/after/"
COMPARISON = f"{BASE}/schemasnapshot/compare/?a={LOGIN_ID}:before&b={LOGIN_ID}:after"
ARTIFACT_PAGE = f"{BASE}/migrationartifact/{quote(ARTIFACT)}/change/"
PAGES = {
    "dashboard": f"{BASE}/dashboard/",
    "locks": f"{BASE}/dashboard/locks/",
    "plan": f"{BASE}/dashboard/plan/",
    "drift": f"{BASE}/dashboard/drift/",
    "backfills": f"{BASE}/dashboard/backfills/",
    "reason": f"{BASE}/dashboard/reasons/adds_5Findex/",
    "kind": f"{BASE}/dashboard/operations/addUnique/",
    "migrations": f"{BASE}/migration/",
    "migration": f"{BASE}/migration/{quote(LOGIN_ID)}/change/",
    "failed": f"{BASE}/migration/{quote(BROKEN)}/change/",
    "steps": f"{BASE}/migrationstep/",
    "table": f"{BASE}/migrationstep/?table=users&since=2025-03-01",
    "step": f"{BASE}/migrationstep/{quote(f'{BROKEN}::0001')}/change/",
    "artifacts": f"{BASE}/migrationartifact/",
    "artifact": ARTIFACT_PAGE,
    "rows": ARTIFACT_PAGE.replace("/change/", "/rows/"),
    "checkpoints": f"{BASE}/migrationcheckpoint/",
    "snapshots": f"{BASE}/schemasnapshot/",
    "snapshot": SNAPSHOT,
    "comparison": COMPARISON,
    "picture": f"{SNAPSHOT}picture/",
}

# Looking at all rows of each list took most of the time.
LIKE_THE_ROWS_ABOVE = ["tbody tr:nth-child(n+7)"]
OWN_PARTS = ".zanith-detail, #changelist-search, #result_list tbody"


def violations(page: Any, part: str | None = None) -> list[tuple[str, str]]:
    """(rule, first element) of what axe-core calls serious or critical, and of missing labels."""
    from axe_playwright_python.sync_playwright import Axe

    context = {"include": [part or "html"], "exclude": LIKE_THE_ROWS_ABOVE}
    found = Axe().run(page, context=context).response["violations"]
    return [
        (each["id"], each["nodes"][0]["html"][:120])
        for each in found
        if each["impact"] in ("serious", "critical") or each["id"] == "label-title-only"
    ]


def faults(page: Any, width: int) -> Iterator[str]:
    """What is wrong with the page that is shown."""
    if page.evaluate("document.documentElement.scrollWidth") > width:
        yield "wider than the screen"
    for rule, element in violations(page):
        yield f"{rule}: {element}"
    yield from page.errors
    page.errors.clear()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_fits_and_is_accessible(visit: Visit, width: int, scheme: str) -> None:
    page = visit("root", width=width, scheme=scheme)
    wrong = {}
    for name, path in PAGES.items():
        assert page.goto(path).status == 200, name
        keep(page, f"{name}-{width}-{scheme}")
        wrong[name] = list(faults(page, width))
    assert {name: found for name, found in wrong.items() if found} == {}


def test_no_column_of_a_list_is_cut_off(visit: Visit) -> None:
    page = visit("root")
    for name in ("migrations", "steps", "artifacts", "checkpoints", "snapshots"):
        page.goto(PAGES[name])
        cut = page.evaluate(
            "(() => { const box = document.querySelector('.results'); "
            "return box ? box.scrollWidth - box.clientWidth : 0; })()"
        )
        assert cut <= 0, name


@pytest.mark.parametrize(("theme", "scheme"), [("unfold", "dark"), ("jazzmin", "light")])
def test_every_page_works_under_a_theme(visit: Visit, theme: str, scheme: str) -> None:
    pytest.importorskip(theme)
    page = visit("root", theme=theme, scheme=scheme)
    wrong = {}
    for name, path in PAGES.items():
        assert page.goto(path).status == 200, name
        keep(page, f"{name}-{theme}")
        # What is around a page, and the head of a list, are the theme's.
        own = page.locator(OWN_PARTS).first.is_visible()
        wrong[name] = violations(page, OWN_PARTS) if own else []
    assert {name: found for name, found in wrong.items() if found} == {}
    page.goto(PAGES["failed"])
    assert page.get_by_text("could not create unique index").count()
    page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    assert violations(page, OWN_PARTS) == []


def test_a_failed_step_leads_from_the_dashboard_to_its_statement(visit: Visit) -> None:
    page = visit("root")
    page.goto(PAGES["dashboard"])
    page.click(f"#content-main >> text={BROKEN}")
    page.wait_for_url("**/change/")
    assert page.get_by_text("users(email)").count()
    assert page.get_by_text("manage.py zanith_apply").count()
    assert page.locator(".zanith-code").get_by_text("UNIQUE INDEX").count()


def test_two_snapshots_are_compared_side_by_side(visit: Visit) -> None:
    page = visit("root")
    page.goto(f"{BASE}/schemasnapshot/")
    page.click("text=Compare two schemas")
    page.fill("#zanith-a", f"{LOGIN_ID}:before")
    page.fill("#zanith-b", f"{LOGIN_ID}:after")
    page.click("text=Compare >> nth=-1")
    row = page.locator("tr", has_text="column last_login")
    assert row.locator(".zanith-mark").inner_text() == "+"


def test_the_picture_is_searched_and_its_address_can_be_shared(visit: Visit) -> None:
    page = visit("root")
    page.goto(PAGES["picture"])
    assert page.locator(".zanith-box").count() > 5
    page.click(".zanith-box-title >> text=auth_group_permissions")
    page.wait_for_url(re.compile("focus=auth_group_permissions"))
    shown = page.locator(".zanith-box").count()
    assert shown == 3
    again = visit("root")
    again.goto(page.url)
    assert again.locator(".zanith-box").count() == shown


def test_a_user_without_permissions_sees_no_sql_and_no_action(visit: Visit) -> None:
    page = visit("viewer")
    page.goto(PAGES["failed"])
    assert page.get_by_text("addUnique").count()
    assert page.locator(".zanith-code, .zanith-error").count() == 0
    page.goto(ARTIFACT_PAGE)
    assert page.locator("form[method=post][action*=zanith_django]").count() == 0
    assert page.goto(PAGES["rows"]).status == 403
    assert page.goto(PAGES["plan"]).status == 403


def test_a_session_that_expired_is_asked_to_log_in(visit: Visit) -> None:
    page = visit("root")
    page.goto(ARTIFACT_PAGE)
    page.context.clear_cookies()
    page.fill("#zanith-restore-confirm", "users.legacy_uuid")
    page.press("#zanith-restore-confirm", "Enter")
    page.wait_for_load_state()
    assert not page.get_by_text("Restored").count()
    page.goto(PAGES["steps"])
    assert "/admin/login/?next=" in page.url


def test_pages_of_a_second_site_link_to_that_site(visit: Visit) -> None:
    page = visit("root")
    for path in PAGES.values():
        page.goto(path.replace("/admin/", "/other/", 1))
        links = page.eval_on_selector_all(
            "a[href]", "found => found.map(a => a.getAttribute('href'))"
        )
        assert not [link for link in links if link.startswith("/admin/")], path


def test_what_was_dropped_comes_back_once_its_name_is_typed(visit: Visit, people: Project) -> None:
    page = visit("root")
    page.goto(ARTIFACT_PAGE)
    page.fill("#zanith-restore-confirm", "users")
    page.press("#zanith-restore-confirm", "Enter")
    page.wait_for_selector("text=Nothing was done")
    page.fill("#zanith-restore-confirm", "users.legacy_uuid")
    page.press("#zanith-restore-confirm", "Enter")
    page.wait_for_selector(".messagelist .success")
    keep(page, "restored")
    assert people.sql("SELECT legacy_uuid FROM users WHERE email = 'b'") == [("y",)]
    newest = "SELECT change_message FROM django_admin_log ORDER BY id DESC LIMIT 1"
    ((words,),) = people.sql(newest)
    assert words.startswith("zanith_recover restore: Restored users.legacy_uuid")


def tabbed(page: Any, wanted: str) -> None:
    """Press Tab until the element with this id has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"Tab does not lead to #{wanted}")


def test_what_was_dropped_goes_for_good_by_the_keyboard_alone(
    visit: Visit, people: Project
) -> None:
    page = visit("root")
    dropped = f"{BROKEN}::soft_drop_column::users.size"
    page.goto(f"{BASE}/migrationartifact/{quote(dropped)}/change/")
    tabbed(page, "zanith-purge-confirm")
    page.keyboard.type("users.size")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_selector(".messagelist .success")
    logged = people.sql(
        "SELECT object_id, action_flag, change_message FROM django_admin_log ORDER BY id DESC"
    )
    assert logged[0] == (dropped, 3, "zanith_recover purge: Purged users.size.")


# Of each element that a user can operate: whether Tab reaches it, and whether that is seen.
KEYBOARD = """() => {
    const own = document.querySelector("#content") || document.querySelector(".zanith-detail");
    const all = [...own.querySelectorAll("a[href], button, input, select, summary")]
        .filter(each => each.type !== "hidden" && each.checkVisibility())
        .filter(each => !each.closest(".sortoptions"));  // Django's: its heading sorts, too
    const look = each => { const s = getComputedStyle(each);
        return [s.outlineStyle, s.boxShadow, s.borderColor, s.backgroundColor, s.color].join(); };
    return all.filter(each => {
        each.blur();
        const before = look(each);
        each.focus({focusVisible: true});
        return each.tabIndex < 0 || document.activeElement !== each || look(each) === before;
    }).map(each => each.outerHTML.slice(0, 100));
}"""


def test_the_keyboard_reaches_everything_and_its_focus_is_seen(visit: Visit) -> None:
    page = visit("root")
    for name in ("dashboard", "plan", "failed", "steps", "artifact", "comparison", "picture"):
        page.goto(PAGES[name])
        page.keyboard.press("Tab")
        assert page.evaluate(KEYBOARD) == [], name
    page.goto(PAGES["dashboard"])
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("[data-zanith-copy]").first.is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.zanithCopy").startswith("zanith-sql-")

"""Who may see the ledger's pages, and that nobody may write through them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.admin.conftest import APPLIED, BROKEN
from tests.admin.urls import MODELS, detail_url, list_url, pages
from zanith_django.ledger.ledger import Ledger

Login = Callable[..., Client]


def answers(client: Client, model: str) -> list[int]:
    return [client.get(url).status_code for url in pages()[model]]


@pytest.mark.parametrize("model", MODELS)
def test_anonymous_visitors_are_sent_to_the_login(
    history: Ledger, client: Client, model: str
) -> None:
    for url in pages()[model]:
        assert client.get(url)["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize("model", MODELS)
def test_staff_without_the_permission_are_refused(
    history: Ledger, staff: Login, model: str
) -> None:
    others = [other for other in MODELS if other != model]
    assert answers(staff(*others), model) == [403, 403]


@pytest.mark.parametrize("model", MODELS)
def test_staff_with_the_permission_see_list_and_detail(
    history: Ledger, staff: Login, model: str
) -> None:
    assert answers(staff(model), model) == [200, 200]


@pytest.mark.parametrize("model", MODELS)
def test_superusers_see_all(history: Ledger, superuser: Client, model: str) -> None:
    assert answers(superuser, model) == [200, 200]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("model", MODELS)
def test_what_would_write_is_refused(
    history: Ledger, superuser: Client, model: str, method: str
) -> None:
    for url in pages()[model]:
        assert getattr(superuser, method)(url).status_code == 405


@pytest.mark.parametrize("model", MODELS)
def test_there_is_no_page_to_add_or_delete(history: Ledger, superuser: Client, model: str) -> None:
    for url in (f"{list_url(model)}add/", pages()[model][1].replace("change/", "delete/") + "x"):
        assert superuser.get(url).status_code == 404


def test_a_migration_page_shows_only_what_the_user_may_see(history: Ledger, staff: Login) -> None:
    client = staff("migration")
    page = client.get(detail_url("migration", APPLIED)).content.decode()
    assert "softDropColumn" not in page
    assert "legacy_uuid" not in page
    assert detail_url("schemasnapshot", APPLIED, "after") not in page


def test_the_list_of_migrations_keeps_steps_from_those_who_may_not_see_them(
    history: Ledger, staff: Login
) -> None:
    client = staff("migration")
    page = client.get(list_url("migration")).content.decode()
    assert "Unfinished" not in page
    assert "destructive" not in page
    assert client.get(detail_url("migration", BROKEN)).status_code == 404


def test_a_step_page_links_its_migration_only_for_those_who_may_see_it(
    history: Ledger, staff: Login
) -> None:
    page = staff("migrationstep").get(detail_url("migrationstep", f"{BROKEN}::0002"))
    assert detail_url("migration", BROKEN) not in page.content.decode()


def test_the_index_offers_what_the_user_may_see(db: None, staff: Login) -> None:
    page = staff("schemasnapshot").get(reverse("admin:index")).content.decode()
    assert list_url("schemasnapshot") in page
    assert list_url("migration") not in page


def test_the_permissions_are_to_view_each_and_to_restore(db: None) -> None:
    found = Permission.objects.filter(content_type__app_label="zanith_django")
    assert {p.codename for p in found} == {
        *(f"view_{model}" for model in MODELS),
        "purge_artifact",
        "restore_artifact",
        "view_plan",
        "view_sql",
    }

"""What the ledger's pages show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse

from tests.admin.conftest import APPLIED, ARTIFACT, BROKEN, DJANGO
from tests.admin.urls import MODELS, detail_url, list_url, pages
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, ROLLED_BACK
from zanith_django.ledger.steps import PendingStep
from zanith_django.models import MigrationCheckpoint, spoken
from zanith_django.operations.base import Artifact
from zanith_django.postgres.names import TableName


def get(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def results(client: Client, model: str, query: str = "") -> set[str]:
    """The keys of the rows that a list shows."""
    response = client.get(list_url(model) + query)
    assert response.status_code == 200
    return {str(row) for row in response.context["cl"].result_list}


def test_the_index_lists_all_five(db: None, superuser: Client) -> None:
    page = get(superuser, reverse("admin:index"))
    for model in MODELS:
        assert list_url(model) in page


@pytest.mark.parametrize("model", MODELS)
def test_without_the_tables_a_page_names_the_command_that_makes_them(
    db: None, superuser: Client, model: str
) -> None:
    for url in pages()[model]:
        assert "manage.py zanith_apply" in get(superuser, url)


@pytest.mark.parametrize("model", MODELS)
def test_without_some_of_the_tables_too(ledger: Ledger, superuser: Client, model: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE _zanith_migration_steps")
    assert "manage.py zanith_apply" in get(superuser, list_url(model))


@pytest.mark.parametrize("model", MODELS)
def test_a_page_of_nothing_is_not_found(ledger: Ledger, superuser: Client, model: str) -> None:
    keys = ("nothing", "after") if model == "schemasnapshot" else ("nothing",)
    assert superuser.get(detail_url(model, *keys)).status_code == 404


@pytest.mark.parametrize("model", MODELS)
def test_a_name_that_postgresql_cannot_hold_is_not_found(
    ledger: Ledger, superuser: Client, model: str
) -> None:
    keys = ("a\0b", "after") if model == "schemasnapshot" else ("a\0b",)
    assert superuser.get(detail_url(model, *keys)).status_code == 404


@pytest.mark.parametrize("model", MODELS)
def test_lists_of_nothing_work(ledger: Ledger, superuser: Client, model: str) -> None:
    assert results(superuser, model) == set()


def test_every_asset_comes_from_this_host(history: Ledger, superuser: Client) -> None:
    for url in [url for both in pages().values() for url in both]:
        page = get(superuser, url)
        assert "zanith_django/admin.css" in page
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert 'src="//' not in page
        assert "style=" not in page


# --- migrations --------------------------------------------------------------------------------


def test_the_list_shows_source_steps_and_worst_risk(history: Ledger, superuser: Client) -> None:
    rows = superuser.get(list_url("migration")).context["cl"].result_list
    shown = {row.id: (row.source, row.summary.counts, row.summary.risk_level) for row in rows}
    assert shown == {
        APPLIED: ("zanith", (("done", "✓", 2),), "destructive"),
        DJANGO: ("django", (("done", "✓", 1),), "low"),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?source=django", {DJANGO}),
        ("?source=zanith", {APPLIED}),
        ("?risk=destructive", {APPLIED}),
        ("?risk=blocked", set()),
        ("?q=last_login", {APPLIED}),
        ("?applied_at__year=2001", set()),
    ],
)
def test_migrations_are_searched_and_filtered(
    history: Ledger, superuser: Client, query: str, expected: set[str]
) -> None:
    assert results(superuser, "migration", query) == expected


def test_a_failed_migration_is_shown_above_the_list(history: Ledger, superuser: Client) -> None:
    page = get(superuser, list_url("migration"))
    assert "Unfinished" in page
    assert detail_url("migration", BROKEN) in page


def test_a_migration_that_was_rolled_back_is_not_unfinished(
    ledger: Ledger, superuser: Client
) -> None:
    ledger.refuse(APPLIED, PendingStep(1, "addColumn", "", "safe", 5), "refused")
    ledger.add_pending(APPLIED, [PendingStep(1, "addColumn", "", "safe", 5)])
    ledger.finish(f"{APPLIED}::0001.2", ROLLED_BACK)
    assert "Unfinished" not in get(superuser, list_url("migration"))


def test_a_finished_ledger_has_no_box(ledger: Ledger, superuser: Client) -> None:
    assert "Unfinished" not in get(superuser, list_url("migration"))


def test_a_failed_migration_has_a_page_of_its_steps(history: Ledger, superuser: Client) -> None:
    page = get(superuser, detail_url("migration", BROKEN))
    assert "not recorded as applied" in page
    assert "<details open>" in page
    assert '<span class="zanith-keyword">UNIQUE</span>' in page
    assert "&lt;users_email&gt;" in page
    assert "&lt;b&gt;ann@example.org&lt;/b&gt;" in page


def test_a_migration_page_leads_to_all_that_belongs_to_it(
    history: Ledger, superuser: Client
) -> None:
    page = get(superuser, detail_url("migration", APPLIED))
    assert detail_url("migrationstep", f"{APPLIED}::0001") in page
    assert detail_url("schemasnapshot", APPLIED, "before") in page
    assert detail_url("schemasnapshot", APPLIED, "after") in page
    assert detail_url("migrationartifact", ARTIFACT) in page
    assert "deploy@web-1" in page
    broken = get(superuser, detail_url("migration", BROKEN))
    assert detail_url("migrationcheckpoint", f"{BROKEN}::0001") in broken


def test_attempts_are_ordered_as_numbers(ledger: Ledger, superuser: Client) -> None:
    step = PendingStep(1, "addUnique", "", "medium", 35)
    for _ in range(10):
        ledger.refuse(APPLIED, step, "refused")
    ledger.add_pending(APPLIED, [step, PendingStep(2, "addIndex", "", "low", 15)])
    ledger.finish(f"{APPLIED}::0001.11", DONE)
    context = superuser.get(detail_url("migration", APPLIED)).context
    assert [shown.step.attempt for shown in context["steps"]] == [*range(1, 12), 1]
    assert context["summary"].counts == (("pending", "○", 1), ("done", "✓", 1))


def test_a_long_migration_has_pages_of_steps(ledger: Ledger, superuser: Client) -> None:
    ledger.add_pending(
        APPLIED, [PendingStep(n, "addColumn", "SELECT 1", "safe", 5) for n in range(1, 251)]
    )
    second = superuser.get(detail_url("migration", APPLIED) + "?p=2").context
    assert [shown.step.step for shown in second["steps"]] == list(range(201, 251))
    assert second["summary"].counts == (("pending", "○", 250),)


# --- steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status__exact=failed", {f"{BROKEN}::0002"}),
        ("?operation_kind=softDropColumn", {f"{APPLIED}::0002"}),
        ("?risk_level__exact=destructive", {f"{APPLIED}::0002"}),
        ("?q=auth.0012", {f"{DJANGO}::0001"}),
        (f"?migration_id__exact={DJANGO}", {f"{DJANGO}::0001"}),
        ("?finished_at__gte=2001-01-01T00:00Z&finished_at__lt=2002-01-01T00:00Z", set()),
    ],
)
def test_steps_are_searched_and_filtered(
    history: Ledger, superuser: Client, query: str, expected: set[str]
) -> None:
    assert results(superuser, "migrationstep", query) == expected


def test_a_step_page_shows_sql_error_and_status_in_words(
    history: Ledger, superuser: Client
) -> None:
    page = get(superuser, detail_url("migrationstep", f"{BROKEN}::0002"))
    assert '<span class="zanith-keyword">UNIQUE</span>' in page
    assert "duplicate key" in page
    assert "failed" in page
    assert detail_url("migration", BROKEN) in page


# --- snapshots ---------------------------------------------------------------------------------


def test_snapshots_are_listed_by_both_parts_of_their_key(
    history: Ledger, superuser: Client
) -> None:
    assert results(superuser, "schemasnapshot") == {f"{APPLIED}:before", f"{APPLIED}:after"}
    assert results(superuser, "schemasnapshot", "?phase__exact=after") == {f"{APPLIED}:after"}
    assert detail_url("schemasnapshot", APPLIED, "after") in get(
        superuser, list_url("schemasnapshot")
    )


@pytest.mark.parametrize(
    "text",
    [
        "identity by default",
        "collation C",
        "(shop_id) → shops (id), on delete CASCADE",
        "(email ~~ &#x27;%@%&#x27;::text), not valid",
        "(created_at DESC) where (shop_id IS NOT NULL)",
        "for ALL to public, using (id = 1)",
        "row security",
        "web-1",
    ],
)
def test_a_snapshot_page_is_readable(history: Ledger, superuser: Client, text: str) -> None:
    assert text in get(superuser, detail_url("schemasnapshot", APPLIED, "after"))


def test_tables_of_a_snapshot_are_searched(history: Ledger, superuser: Client) -> None:
    url = detail_url("schemasnapshot", APPLIED, "after")
    names = [t.name for t in superuser.get(f"{url}?q=SHOP").context["tables"]]
    assert names == ["shops"]
    assert "No table" in get(superuser, f"{url}?q=nothing")


def test_a_snapshot_of_a_later_release_says_so(history: Ledger, superuser: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_schema_snapshots SET graph = '{\"version\": 99}'")
    page = get(superuser, detail_url("schemasnapshot", APPLIED, "after"))
    assert "Upgrade zanith_django" in page


# --- artifacts and checkpoints -----------------------------------------------------------------


def test_an_artifact_page_shows_how_to_restore_it(history: Ledger, superuser: Client) -> None:
    page = get(superuser, detail_url("migrationartifact", ARTIFACT))
    assert "manage.py zanith_recover restore-column users.legacy_uuid" in page
    assert "_zanith_dropped_0123456789ab" in page
    assert "&quot;type&quot;: &quot;uuid&quot;" in page
    assert "1,234" in page


def test_an_archive_page_shows_its_checksum(history: Ledger, superuser: Client) -> None:
    name = f"{APPLIED}::archive_table::orders"
    archive = Artifact(
        id=name,
        type="archive_table",
        table=TableName("", "orders"),
        column="",
        physical_name="_zanith_kept._zanith_archive_0123456789ab",
        recovery_sql="CREATE TABLE orders …",
        count="SELECT 7",
    )
    history.write_artifact(APPLIED, archive, "public", 7, "decade")
    page = get(superuser, detail_url("migrationartifact", name))
    assert "manage.py zanith_recover restore-table orders" in page
    assert "decade" in page
    assert results(superuser, "migrationartifact", "?artifact_type=archive_table") == {name}


def test_a_restored_artifact_differs_from_one_that_can_be_restored(
    history: Ledger, superuser: Client
) -> None:
    assert results(superuser, "migrationartifact", "?recoverable=yes") == {ARTIFACT}
    history.expire_artifacts([ARTIFACT])
    assert results(superuser, "migrationartifact", "?recoverable=yes") == set()
    assert results(superuser, "migrationartifact", "?recoverable=no") == {ARTIFACT}
    page = get(superuser, detail_url("migrationartifact", ARTIFACT))
    assert "restored or purged" in page
    assert "manage.py zanith_recover" not in page


def test_a_checkpoint_has_a_progress_bar(history: Ledger, superuser: Client) -> None:
    for url in pages()["migrationcheckpoint"]:
        page = get(superuser, url)
        assert 'value="42" max="100"' in page
        assert "420 of 1,000 rows" in page


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [(0, 0, 100), (0, 10, 0), (999, 1000, 99), (12, 10, 100), (5, None, None)],
)
def test_percent_is_full_only_at_the_end(done: int, total: int | None, percent: int | None) -> None:
    assert MigrationCheckpoint(processed_rows=done, total_rows=total).percent == percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.34, "340 ms"), (4.2, "4.2 s"), (59.96, "1 min 0 s"), (7500, "2 h 5 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == text


@override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="de", USE_TZ=False)
def test_numbers_in_attributes_stay_numbers_in_any_language(
    history: Ledger, superuser: Client
) -> None:
    assert 'value="42" max="100"' in get(superuser, list_url("migrationcheckpoint"))

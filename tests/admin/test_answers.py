"""What the pages answer: what failed, how long it takes, what is kept, and what a word means."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.admin.conftest import APPLIED, ARTIFACT, BROKEN, GRAPH
from tests.admin.test_pages import get, results
from tests.admin.test_permissions import Login
from tests.admin.urls import detail_url, list_url
from zanith_django.admin.backfills import running_backfills
from zanith_django.admin.pages import Links
from zanith_django.audit.kept import KEPT, kept
from zanith_django.audit.questions import ask_all
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations import KINDS
from zanith_django.plan.reasons import REASONS

DASHBOARD = "admin:zanith_django_dashboard_changelist"
STEP = f"{APPLIED}::0001"


def page(name: str, *keys: str) -> str:
    return Links("admin", None).page(name, *keys)


def section(shown: str, name: str) -> str:
    """The part of the dashboard with that id."""
    match = re.search(rf'<section[^>]*aria-labelledby="{name}".*?</section>', shown, re.DOTALL)
    assert match, name
    return match[0]


def execute(query: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)


# --- what failed ---------------------------------------------------------------------------------


def test_the_dashboard_begins_with_steps_that_failed_or_run(
    history: Ledger, superuser: Client
) -> None:
    shown = section(get(superuser, reverse(DASHBOARD)), "zanith-attention")
    assert detail_url("migrationstep", f"{BROKEN}::0002") in shown  # failed
    assert detail_url("migrationstep", f"{BROKEN}::0001") in shown  # runs
    assert "duplicate key" in shown
    assert "manage.py zanith_apply" in shown
    assert APPLIED not in shown


def test_without_the_permission_to_see_sql_the_dashboard_has_the_step_but_no_error(
    history: Ledger, staff: Login
) -> None:
    client = staff("migrationstep")
    shown = section(client.get(reverse(DASHBOARD)).content.decode(), "zanith-attention")
    assert detail_url("migrationstep", f"{BROKEN}::0002") in shown
    assert "manage.py zanith_apply" in shown
    assert "duplicate key" not in shown


def test_a_step_that_failed_and_was_done_later_needs_no_attention(
    history: Ledger, superuser: Client
) -> None:
    execute("UPDATE _zanith_migration_steps SET status = 'done' WHERE migration_id = %s", BROKEN)
    assert "zanith-attention" not in get(superuser, reverse(DASHBOARD))


# --- how long it takes ---------------------------------------------------------------------------


def test_a_step_shows_its_duration_and_what_the_plan_expected(
    history: Ledger, superuser: Client
) -> None:
    history.add_details(APPLIED, {STEP: StepDetail(target="users.last_login", estimate=90)})
    for url in (detail_url("migrationstep", STEP), detail_url("migration", APPLIED)):
        assert "expected 1 min 30 s" in get(superuser, url)


def test_a_backfill_shows_its_rate_and_the_time_left(history: Ledger, superuser: Client) -> None:
    now = timezone.now()
    execute(
        "UPDATE _zanith_migration_steps SET started_at = %s WHERE id = %s",
        now - timedelta(seconds=42),
        f"{BROKEN}::0001",
    )
    execute("UPDATE _zanith_migration_checkpoints SET updated_at = %s", now)
    (backfill,) = running_backfills("default")
    assert backfill.rate == pytest.approx(10)
    assert backfill.left == "58.0 s"
    assert "10 rows/s" in get(superuser, page("dashboard_backfills"))


def test_the_rate_of_a_backfill_that_resumed_leaves_out_the_time_between(history: Ledger) -> None:
    now = timezone.now()
    execute(
        "UPDATE _zanith_migration_steps SET status = 'failed', started_at = %s, finished_at = %s "
        "WHERE id = %s",
        now - timedelta(days=3, seconds=30),
        now - timedelta(days=3),
        f"{BROKEN}::0001",
    )
    (backfill,) = running_backfills("default")
    assert (backfill.rate, backfill.stopped, backfill.left) == (14, True, "")
    execute(
        "INSERT INTO _zanith_migration_steps (id, migration_id, operation_kind, status, sql, "
        "risk_level, risk_score, started_at) VALUES (%s, %s, 'backfill', 'running', '', '', 0, %s)",
        f"{BROKEN}::0001.2",
        BROKEN,
        now - timedelta(seconds=12),
    )
    execute("UPDATE _zanith_migration_checkpoints SET updated_at = %s", now)
    (backfill,) = running_backfills("default")
    assert (backfill.rate, backfill.stopped) == (10, False)


# --- what is kept --------------------------------------------------------------------------------


def test_kept_data_has_its_size_and_its_age(history: Ledger, superuser: Client) -> None:
    execute("CREATE TABLE people (_zanith_dropped_0123456789ab text)")
    execute("INSERT INTO people SELECT repeat('x', 100) FROM generate_series(1, 1000)")
    execute("ANALYZE people")
    execute("UPDATE _zanith_migration_artifacts SET created_at = now() - interval '3 days'")
    (answer,) = ask_all(connection, [KEPT])
    ((found,), more) = kept(answer)
    assert (found.target, found.rows, more) == ("users.legacy_uuid", 1234, 0)
    assert found.bytes is not None
    assert 100_000 <= found.bytes <= 110_000
    shown = section(get(superuser, reverse(DASHBOARD)), "zanith-kept")
    assert detail_url("migrationartifact", ARTIFACT) in shown
    assert "KB" in shown
    assert "3\xa0days" in shown


def test_kept_data_needs_the_permission_to_see_artifacts(history: Ledger, staff: Login) -> None:
    assert "zanith-kept" not in staff("migrationstep").get(reverse(DASHBOARD)).content.decode()


# --- what a word means ---------------------------------------------------------------------------


def test_a_step_leads_to_the_pages_of_its_reasons_and_of_its_kind(
    history: Ledger, superuser: Client
) -> None:
    shown = get(superuser, detail_url("migrationstep", STEP))
    for url in (
        page("dashboard_reason", "adds_nullable_column"),
        page("dashboard_kind", "addColumn"),
    ):
        assert f'href="{url}"' in shown
    assert f'href="{page("dashboard_kind", "addColumn")}"' in get(
        superuser, detail_url("migration", APPLIED)
    )


@pytest.mark.parametrize("code", ["adds_index", "requires_backfill"])
def test_a_reason_has_a_page_with_its_effect_and_the_safer_way(
    superuser: Client, code: str
) -> None:
    shown = get(superuser, page("dashboard_reason", code))
    assert REASONS[code].effect.split("'")[0][:40] in shown
    assert REASONS[code].url in shown
    assert superuser.get(page("dashboard_reason", "nothing")).status_code == 404


def test_every_kind_has_a_page_in_words(superuser: Client) -> None:
    for kind in KINDS:
        assert len(superuser.get(page("dashboard_kind", kind)).context["paragraphs"][0]) > 10
    assert superuser.get(page("dashboard_kind", "nothing")).status_code == 404


def test_what_a_word_means_is_for_those_who_may_see_steps(staff: Login) -> None:
    client = staff()
    for url in (page("dashboard_reason", "adds_index"), page("dashboard_kind", "addIndex")):
        assert client.get(url).status_code == 403


# --- what happened to a table --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?migration=unique", {f"{BROKEN}::0001", f"{BROKEN}::0002"}),
        ("?migration=nothing", set()),
        ("?since=2025-01&migration=unique", {f"{BROKEN}::0001", f"{BROKEN}::0002"}),
        ("?since=9000-01-01", set()),
        ("?since=2026-13-45", set()),
        ("?since=yesterday&migration=unique", {f"{BROKEN}::0001", f"{BROKEN}::0002"}),
        ("?table=users&since=7d", {f"{APPLIED}::0001", f"{APPLIED}::0002"}),
        ("?table=public.users&migration=last_login", {f"{APPLIED}::0001", f"{APPLIED}::0002"}),
        ("?table=use", set()),
        ("?table=%00", "all"),
    ],
)
def test_steps_are_found_by_what_is_typed(
    history: Ledger, superuser: Client, query: str, found: set[str] | str
) -> None:
    whole = results(superuser, "migrationstep")
    assert results(superuser, "migrationstep", query) == (whole if found == "all" else found)


def test_the_history_of_a_table_is_one_page_that_names_it(
    history: Ledger, superuser: Client
) -> None:
    shown = get(superuser, f"{list_url('migrationstep')}?table=users&since=2025-03")
    assert "What happened to users since March 1, 2025" in shown
    assert 'name="table" value="users"' in shown
    assert 'name="since" value="2025-03"' in shown
    assert "deploy@web-1" in shown


def test_a_second_run_of_recover_leaves_the_first_in_sight(
    history: Ledger, superuser: Client
) -> None:
    name = f"recover:{ARTIFACT}"
    for phase in ("before", "after"):
        history.write_snapshot(name, phase, GRAPH, {"user": "ann"})
    history.record(name)
    by = {"user": "bob", "at": "2026-05-02T10:00:00+00:00"}
    history.mark_repeated(name, by, history.applied()[name])
    for phase in ("before", "after"):
        history.write_snapshot(name, phase, GRAPH, {"user": "bob"})
    shown = get(superuser, detail_url("migration", name))
    assert "repeated May 2, 2026" in shown
    assert "before.1" in shown
    assert "by ann" in shown


def test_a_day_that_is_none_is_named_and_nothing_is_exported(
    history: Ledger, superuser: Client
) -> None:
    query = "?table=users&since=1.3.25"
    shown = get(superuser, f"{list_url('migrationstep')}{query}")
    assert "&#x27;1.3.25&#x27; is no day and no period. Write a day (2026-03-01)" in shown
    sent = superuser.get(f"{page('migrationstep_csv')}{query}")
    assert sent["Location"] == f"{list_url('migrationstep')}{query}"

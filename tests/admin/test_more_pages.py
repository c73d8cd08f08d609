"""The dashboard, comparisons, pictures, exports, and what a step is about."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import threading
import time
from typing import Any

import psycopg
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.admin.conftest import APPLIED, ARTIFACT, BROKEN, GRAPH, RUN
from tests.admin.test_hostile_rows import OBEYED, SCRIPT
from tests.admin.test_pages import get, results
from tests.admin.test_permissions import Login
from tests.admin.urls import detail_url, list_url
from zanith_django.admin.pages import Links
from zanith_django.audit.questions import QUESTIONS
from zanith_django.ledger.ledger import Ledger
from zanith_django.models import Migration
from zanith_django.postgres.names import TableName
from zanith_django.render.picture import mermaid, picture
from zanith_django.render.sql_words import words_of
from zanith_django.schema.graph import Column, ForeignKey, SchemaGraph, Table

DASHBOARD = "admin:zanith_django_dashboard_changelist"


def page(name: str, *keys: str) -> str:
    return Links("admin", None).page(name, *keys)


# --- what a step is about ------------------------------------------------------------------------


def test_a_step_shows_its_target_lock_reasons_and_user(history: Ledger, superuser: Client) -> None:
    shown = get(superuser, detail_url("migrationstep", f"{APPLIED}::0001"))
    for text in ("users.last_login", "ACCESS EXCLUSIVE", "adds_nullable_column", "deploy@web-1"):
        assert text in shown
    assert "Add column users.last_login" in shown
    assert "users.last_login" in get(superuser, detail_url("migration", APPLIED))
    assert "users.last_login" in get(superuser, list_url("migrationstep"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=users.email", {f"{BROKEN}::0001", f"{BROKEN}::0002"}),
        ("?q=ann@example.org", {f"{BROKEN}::0002"}),
        ("?q=last_login+timestamptz", {f"{APPLIED}::0001"}),
        ("?table=users", {f"{APPLIED}::0001", f"{APPLIED}::0002"}),
        ("?table=nothing", set()),
    ],
)
def test_steps_are_found_by_table_column_statement_and_error(
    history: Ledger, superuser: Client, query: str, found: set[str]
) -> None:
    assert results(superuser, "migrationstep", query) == found


def test_without_the_permission_a_search_does_not_read_sql(history: Ledger, staff: Login) -> None:
    client = staff("migrationstep")
    assert results(client, "migrationstep", "?q=ann@example.org") == set()
    shown = client.get(detail_url("migrationstep", f"{BROKEN}::0002")).content.decode()
    assert "ann@example.org" not in shown
    assert "CREATE UNIQUE INDEX" not in shown


def test_steps_are_exported_as_they_are_filtered(history: Ledger, superuser: Client) -> None:
    answer: Any = superuser.get(f"{page('migrationstep_csv')}?status__exact=failed")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["id"] for row in rows] == [f"{BROKEN}::0002"]
    assert "ann@example.org" in rows[0]["error"]


def test_an_export_keeps_sql_from_those_who_may_not_see_it(history: Ledger, staff: Login) -> None:
    answer: Any = staff("migrationstep").get(page("migrationstep_csv"))
    text = b"".join(answer.streaming_content).decode()
    assert "ann@example.org" not in text
    assert len(text.splitlines()) == 6


def test_highlighted_sql_is_the_same_text() -> None:
    sql = "-- a\nSELECT 'it''s', \"x\"\"y\", $f$ body $f$ FROM t WHERE a = 12;"
    words = words_of(sql)
    assert "".join(word.text for word in words) == sql
    kinds = {word.text: word.kind for word in words}
    assert kinds["SELECT"] == "keyword"
    assert kinds["'it''s'"] == "text"
    assert kinds["12"] == "number"


# --- the dashboard -------------------------------------------------------------------------------


def test_the_dashboard_answers_every_question(history: Ledger, superuser: Client) -> None:
    shown = get(superuser, reverse(DASHBOARD))
    for question in QUESTIONS:
        # What reads every snapshot is for zanith_ask alone.
        assert (f'id="zanith-sql-{question.name}"' in shown) is not question.costly
    assert BROKEN in shown
    assert "420 of 1,000 rows" in shown


def test_the_dashboard_asks_few_questions(
    history: Ledger, superuser: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        get(superuser, reverse(DASHBOARD))


def test_the_dashboard_hides_errors_from_those_who_may_not_see_them(
    history: Ledger, staff: Login
) -> None:
    client = staff("migration", "migrationstep")
    shown = client.get(reverse(DASHBOARD)).content.decode()
    assert BROKEN in shown
    assert "ann@example.org" not in shown
    assert client.get(page("dashboard_plan")).status_code == 403
    assert client.get(page("dashboard_backfills")).status_code == 403


def test_without_tables_the_dashboard_says_so(db: None, superuser: Client) -> None:
    assert "manage.py zanith_apply" in get(superuser, reverse(DASHBOARD))


def test_an_unknown_database_is_not_found(history: Ledger, superuser: Client) -> None:
    assert superuser.get(reverse(DASHBOARD), {"database": "nothing"}).status_code == 404


def test_locks_name_who_waits_for_whom_as_text(history: Ledger, superuser: Client) -> None:
    assert "No session waits" in get(superuser, page("dashboard_locks"))
    settings = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
    lock = f"SELECT pg_advisory_lock(20) /* {SCRIPT} */"
    with (
        psycopg.connect(**settings, application_name=SCRIPT, autocommit=True) as other,
        psycopg.connect(**settings, application_name=SCRIPT, autocommit=True) as holder,
    ):
        holder.execute(lock)
        waiting = threading.Thread(target=other.execute, args=(lock,))
        waiting.start()
        end, shown = time.monotonic() + 10, ""
        while shown.count(html.escape(SCRIPT)) < 4:
            assert time.monotonic() < end, shown
            with connection.cursor() as cursor:  # a transaction sees the sessions of its first look
                cursor.execute("SELECT pg_stat_clear_snapshot()")
            shown = get(superuser, page("dashboard_locks"))
        holder.execute("SELECT pg_advisory_unlock(20)")
        waiting.join()
    assert not any(part in shown for part in OBEYED)
    assert re.search(r"<td>\d+ ms</td>|<td>\d+\.\d s</td>", shown)


# --- two sites -----------------------------------------------------------------------------------


def test_links_stay_in_their_admin_site(db: None) -> None:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    links = admin.site._registry[Migration].links(request)  # type: ignore[attr-defined]
    assert links.site == "admin"


# --- snapshots -----------------------------------------------------------------------------------

NOTES = Table(
    TableName("", "notes"),
    (Column("id", "bigint", nullable=False), Column("user_id", "bigint")),
    foreign_keys=(ForeignKey("notes_user_fk", ("user_id",), TableName("", "users"), ("id",)),),
)
LATER = "20260601_000000_later"


@pytest.fixture
def later(history: Ledger) -> str:
    history.write_snapshot(LATER, "after", SchemaGraph(tables=(*GRAPH.tables, NOTES)), RUN)
    return LATER


def test_two_snapshots_are_compared(later: str, superuser: Client) -> None:
    query = {"a": f"{APPLIED}:after", "b": f"{LATER}:after"}
    shown = superuser.get(page("schemasnapshot_compare"), query).content.decode()
    assert "createTable" in shown
    assert "column user_id" in shown


@pytest.mark.parametrize("name", ["models", "/etc/passwd", "nothing", SCRIPT])
def test_what_cannot_be_compared_is_named(later: str, superuser: Client, name: str) -> None:
    answer = superuser.get(page("schemasnapshot_compare"), {"a": name, "b": f"{LATER}:after"})
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "errornote" in shown
    assert "root:" not in shown
    assert not any(part in shown for part in OBEYED)


def test_a_picture_shows_a_table_and_its_neighbours(later: str, superuser: Client) -> None:
    url = page("schemasnapshot_picture", LATER, "after")
    assert get(superuser, url).count('class="zanith-box"') == 3
    focused = superuser.get(url, {"focus": "notes"}).content.decode()
    assert focused.count("<rect") == 2
    assert "1 table is not shown" in focused


def test_a_picture_and_its_files_can_be_downloaded(later: str, superuser: Client) -> None:
    svg = superuser.get(page("schemasnapshot_svg", LATER, "after"))
    assert svg["Content-Type"].startswith("image/svg+xml")
    assert b"notes" in svg.content
    chart = superuser.get(page("schemasnapshot_mermaid", LATER, "after")).content.decode()
    assert '"users" ||--o{ "notes" : "user_id"' in chart
    ddl = superuser.get(page("schemasnapshot_ddl", LATER, "after")).content.decode()
    assert 'CREATE TABLE "public"."notes"' in ddl


@pytest.mark.parametrize("name", ["svg", "mermaid", "ddl", "picture"])
def test_a_snapshot_of_a_later_release_is_no_error(
    history: Ledger, superuser: Client, name: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_schema_snapshots SET graph = '{\"version\": 99}'")
    answer = superuser.get(page(f"schemasnapshot_{name}", APPLIED, "after"))
    assert answer.status_code == 200
    assert "errornote" in answer.content.decode()


def test_names_in_pictures_are_text(ledger: Ledger, superuser: Client) -> None:
    table = Table(TableName("", SCRIPT), (Column("a\"'</svg>", SCRIPT),))
    ledger.write_snapshot(APPLIED, "before", SchemaGraph(), RUN)
    ledger.write_snapshot(APPLIED, "after", SchemaGraph(tables=(table,)), {"user": SCRIPT})
    compare = f"{page('schemasnapshot_compare')}?a={APPLIED}:before&b={APPLIED}:after"
    pages = [page(f"schemasnapshot_{n}", APPLIED, "after") for n in ("picture", "svg", "change")]
    for url in (*pages, compare):
        shown = get(superuser, url)
        assert not any(part in shown for part in OBEYED), url
    lines = list(mermaid(SchemaGraph(tables=(table,))))
    assert len([line for line in lines if line.endswith("{")]) == 1


def test_a_thousand_tables_have_a_picture() -> None:
    tables = tuple(
        Table(
            TableName("", f"t{n}"),
            (Column("id", "bigint"),),
            foreign_keys=(ForeignKey(f"f{n}", ("id",), TableName("", f"t{n // 2}"), ("id",)),),
        )
        for n in range(1000)
    )
    found = picture(SchemaGraph(tables=tables))
    places = {(box.x, box.y) for box in found.boxes}
    assert len(places) == len(found.boxes) == 1000
    assert not any(box.lines for box in found.boxes)
    assert len(picture(SchemaGraph(tables=tables), focus="t10").boxes) == 4


def test_tables_that_point_at_one_another_have_a_picture() -> None:
    names = [TableName("", name) for name in ("a", "b", "c")]
    tables = tuple(
        Table(
            name,
            (Column("id", "bigint"),),
            foreign_keys=(ForeignKey(f"f_{name.name}", ("id",), names[(n + 1) % 3], ("id",)),),
        )
        for n, name in enumerate(names)
    )
    assert len(picture(SchemaGraph(tables=tables)).links) == 3


# --- artifacts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["restore", "purge"])
def test_to_restore_or_purge_needs_its_own_permission(
    history: Ledger, staff: Login, verb: str
) -> None:
    url = page(f"migrationartifact_{verb}", ARTIFACT)
    client = staff("migrationartifact")
    assert client.post(url, {"confirm": "users.legacy_uuid"}).status_code == 403
    assert url not in client.get(detail_url("migrationartifact", ARTIFACT)).content.decode()


@pytest.mark.parametrize("verb", ["restore", "purge"])
def test_to_restore_or_purge_takes_a_post(history: Ledger, superuser: Client, verb: str) -> None:
    assert superuser.get(page(f"migrationartifact_{verb}", ARTIFACT)).status_code == 405


def test_nothing_happens_until_the_name_is_typed(history: Ledger, superuser: Client) -> None:
    url = page("migrationartifact_purge", ARTIFACT)
    answer = superuser.post(url, {"confirm": "users"}, follow=True)
    assert "Nothing was done" in answer.content.decode()
    assert history.artifacts()[0].expires_at is None


def test_kept_values_need_the_permission_to_see_sql(history: Ledger, staff: Login) -> None:
    client = staff("migrationartifact")
    for name in ("rows", "export"):
        assert client.get(page(f"migrationartifact_{name}", ARTIFACT)).status_code == 403


def test_rows_that_are_not_there_are_no_error(history: Ledger, superuser: Client) -> None:
    for name in ("rows", "export"):
        answer = superuser.get(page(f"migrationartifact_{name}", ARTIFACT), follow=True)
        assert answer.status_code == 200
        assert 'class="error' in answer.content.decode()


def test_details_of_another_release_are_read_as_far_as_they_go(
    history: Ledger, superuser: Client
) -> None:
    strange = {f"{APPLIED}::0001": {"target": 7, "reasons": "x", "rows": True, "lock": ["x"]}}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE _zanith_schema_snapshots SET graph = jsonb_set(graph, '{run,details}', %s)",
            [json.dumps(strange)],
        )
    assert get(superuser, detail_url("migrationstep", f"{APPLIED}::0001"))

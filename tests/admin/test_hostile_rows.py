"""Rows that another user wrote: every page shows them as text, whatever they hold."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from tests.admin.conftest import APPLIED
from tests.admin.urls import MODELS, every_page, list_url
from zanith_django.ledger.details import StepDetail, spelled
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.tables import TABLES, LedgerTable
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, Column, SchemaGraph, Table

SCRIPT = "<script>alert(1)</script>"
TEXTS = (
    SCRIPT,
    "\"'></a><img src=x onerror=alert(1)>{{ 7|add:7 }}",
    "javascript:alert(1)",
    "",
    "\x1b[2J\x07",
    "../../logout/?next=//example.org",
)
JSON = (
    "5",
    "[]",
    f'{{"tables": "{SCRIPT}", "run": 7}}',
    f'{{"tables": [{{"name": "{SCRIPT}", "columns": 5}}], "run": {{"user": "{SCRIPT}"}}}}',
    f'{{"restore": "{SCRIPT}", "column": {{"type": "{SCRIPT}"}}}}',
    f'{{"run": {{"past": [7, {{"user": "{SCRIPT}", "rolled_back": 7}}, '
    f'{{"user": "{SCRIPT}", "repeated": {{"user": "{SCRIPT}", "at": "{SCRIPT}"}}}}], '
    f'"versions": "{SCRIPT}"}}}}',
    f'{{"run": {{"details": {{"{APPLIED}::0001": {{"target": "{SCRIPT}", "reasons": ["{SCRIPT}"], '
    f'"estimate": "x", "rows": 1e400, "undoes": "{SCRIPT}"}}}}}}}}',
    f'{{"run": {{"details": [7], "past": "{SCRIPT}"}}}}',
)
VALUES = {
    "jsonb": JSON,
    "timestamp with time zone": ("-infinity", "infinity", "0044-03-15 BC"),
    "bigint": ("-1", str(2**63 - 1)),
    "integer": ("-1", str(2**31 - 1)),
}
OBEYED = ("<script>alert", "<img src=x", 'href="javascript:', 'href="//')


# Files to download, pages that make a plan or read the schema (tests of their own ask for them),
# and pages that show no row.
FILES = re.compile(r"\.(svg|mmd|sql)$|/(csv|export|plan|drift)/$|/dashboard/(reasons|operations)/")

# What differs from one answer to the next, whatever the rows hold.
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="\w+"|\d+\xa0\w+ ago')


KEYS = ("id", "migration_id", "phase")


def changes_of(table: LedgerTable) -> Iterator[dict[str, str]]:
    """Hostile rows: the first value of each column alone; each other one in all columns at once,
    and alone in a column that leads to its row."""
    values = {
        column.name: VALUES.get(column.type.partition(" COLLATE")[0], TEXTS)
        for column in table.columns
    }
    for column, own in values.items():
        yield {column: own[0]}
        if column in KEYS:
            yield from ({column: value} for value in own[1:])
    for number in range(1, max(map(len, values.values()))):
        yield {
            column: own[number]
            for column, own in values.items()
            if column not in KEYS and number < len(own)
        }


def written(table: LedgerTable, change: dict[str, str]) -> list[dict[str, str]]:
    """What of the change a row can hold: all of it, or what it has for some columns."""
    with connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(_update(table, change), [*change.values()])
                transaction.set_rollback(True)
        except DatabaseError:
            alone = ({column: value} for column, value in change.items())
            return (
                [each for one in alone for each in written(table, one)] if len(change) > 1 else []
            )
    return [change]


def _update(table: LedgerTable, change: dict[str, str]) -> str:
    columns = ", ".join(f"{column} = %s" for column in change)
    one = f"SELECT min(ctid) FROM {table.name}"
    return f"UPDATE {table.name} SET {columns} WHERE ctid = ({one})"


def reached(client: Client, known: Collection[str] = ()) -> Iterator[tuple[str, int, str]]:
    """(address, status, page) of the lists and of all that they lead to, but for `known` pages."""
    waiting = [list_url(model) for model in MODELS if list_url(model) not in known]
    seen = {*waiting, *known}
    while waiting:
        url = waiting.pop()
        answer = client.get(url)
        page = TOKEN.sub("", answer.content.decode())
        yield url, answer.status_code, page
        links = {html.unescape(link) for link in re.findall(r'href="(/[^"#?]*)', page)}
        new = {
            link for link in links - seen if "/zanith_django/" in link and not FILES.search(link)
        }
        seen |= new
        waiting += sorted(new)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_page_fails_or_obeys_what_a_row_holds(
    history: Ledger, superuser: Client, table: LedgerTable
) -> None:
    usual = {url: page for url, _, page in reached(superuser)}
    # Pages that the first text does not change do not show the column.
    without: dict[str, set[str]] = {}
    for change in changes_of(table):
        for row in written(table, change):
            known = set.intersection(*(without.get(column, set()) for column in row))
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(_update(table, row), [*row.values()])
                for url, status, page in reached(superuser, known):
                    assert status in (200, 301, 404), (row, url)
                    assert not any(part in page for part in OBEYED), (row, url)
                    if [*row.values()] == [SCRIPT] and usual.get(url) == page:
                        without.setdefault(next(iter(row)), set()).add(url)
                transaction.set_rollback(True)


@pytest.mark.parametrize("time", VALUES["timestamp with time zone"])
def test_dates_to_choose_leave_out_times_that_python_cannot_hold(
    history: Ledger, superuser: Client, time: str
) -> None:
    one = "WHERE ctid = (SELECT min(ctid) FROM _zanith_migrations)"
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE _zanith_migrations SET applied_at = %s {one}", [time])
        cursor.execute(
            "SELECT max(extract(year FROM applied_at))::int FROM _zanith_migrations "
            "WHERE isfinite(applied_at)"
        )
        (year,) = cursor.fetchone()
    page = superuser.get(list_url("migration"))
    within = superuser.get(list_url("migration"), {"applied_at__year": year})
    assert (page.status_code, within.status_code) == (200, 200)
    assert "?applied_at__" in page.content.decode()
    assert len(within.context["cl"].result_list) == len(page.context["cl"].result_list) - 1


# {table: columns whose every row takes the script}; a failed and a running step stay what they are.
SCRIPTED = {
    "_zanith_migration_steps": ("operation_kind", "sql", "risk_level"),
    "_zanith_migration_artifacts": ("artifact_type", "source_table", "physical_name"),
}
GIVEN: tuple[dict[str, str], ...] = (
    {},
    {"q": SCRIPT},
    dict.fromkeys(("q", "table", "migration", "since"), SCRIPT),
    dict.fromkeys(("a", "b", "focus", "q", "p", "database", "recoverable"), SCRIPT),
)


def test_a_script_in_all_rows_and_parameters_is_text_on_every_page(
    history: Ledger, superuser: Client
) -> None:
    urls = every_page()
    table = Table(
        TableName("", SCRIPT),
        (Column(SCRIPT, SCRIPT, default=SCRIPT, comment=SCRIPT),),
        checks=(Check(SCRIPT, SCRIPT, (SCRIPT,)),),
        comment=SCRIPT,
    )
    details = {
        f"{APPLIED}::0001": StepDetail(SCRIPT, SCRIPT, SCRIPT, (SCRIPT,), (SCRIPT,), by=SCRIPT)
    }
    run = {"user": SCRIPT, "host": SCRIPT, "versions": {SCRIPT: SCRIPT}}
    for phase in ("before", "after"):
        graph = SchemaGraph(tables=(table,) if phase == "after" else ())
        history.write_snapshot(APPLIED, phase, graph, {**run, "details": spelled(details)})
    history.put_back(APPLIED, run)
    with connection.cursor() as cursor:
        for name, columns in SCRIPTED.items():
            cursor.execute(
                f"UPDATE {name} SET {', '.join(f'{c} = %(s)s' for c in columns)}", {"s": SCRIPT}
            )
        cursor.execute(
            "UPDATE _zanith_migration_steps SET error = %s WHERE status = 'failed'", [SCRIPT]
        )
    shown = 0
    for name, url in urls.items():
        for data in GIVEN:
            answer = superuser.get(url, data, follow=True)
            assert answer.status_code in (200, 404), (name, data)
            if answer.get("Content-Type", "").startswith("text/html"):
                page = answer.content.decode()
                assert not any(part in page for part in OBEYED), (name, data)
                shown += page.count(html.escape(SCRIPT))
            else:
                _is_a_file(answer)
    assert shown > 100  # it was there to be obeyed


def _is_a_file(answer: Any) -> None:
    """A browser runs nothing of it: no page, no script of a picture, no formula of a table."""
    kind, content = answer["Content-Type"].partition(";")[0], answer.getvalue().decode()
    assert "attachment" in answer["Content-Disposition"]
    if kind == "image/svg+xml":
        tags = {each.tag.rpartition("}")[2] for each in ElementTree.fromstring(content).iter()}
        assert tags <= {"svg", "g", "a", "rect", "line", "path", "text", "title", "style"}
        assert html.escape(SCRIPT) in content
    elif kind == "text/csv":
        assert not re.search(r"(^|,|\n)\"?[=+@-]", content)
    else:
        assert kind in ("text/plain", "application/sql", "text/vnd.mermaid")

"""Every page where it has nothing to read: no tables, another database, data of a later release."""

from __future__ import annotations

import pytest
from django.db import connection, connections
from django.test import Client

from tests.admin.urls import every_page
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.tables import TABLES

NAMES = [table.name for table in TABLES]
# What another release, or a hand, may have left in the JSON of a snapshot.
STRANGE = (
    '{"version": 99, "tables": []}',
    '{"version": 99, "run": {"details": {"x": []}, "rolled_back": 7, "past": [7]}}',
    '{"version": 1, "tables": 5, "run": {"rolled_back": {"run": "x"}, "past": 7}}',
    "7",
    "null",
)


def execute(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)


def shown(client: Client) -> dict[str, tuple[int, str]]:
    """{page: (status, text)} of every page; a file that is streamed is read to its end."""
    found = {}
    for name, url in every_page().items():
        answer = client.get(url, follow=True)
        content = b"".join(answer) if answer.streaming else answer.content
        found[name] = (answer.status_code, content.decode())
    return found


@pytest.mark.parametrize("gone", [NAMES, *([name] for name in NAMES)], ids=lambda names: names[-1])
def test_without_tables_every_page_names_the_command_that_makes_them(
    history: Ledger, superuser: Client, gone: list[str]
) -> None:
    execute(f"DROP TABLE {', '.join(gone)}")
    found = shown(superuser)
    other = [
        n for n, (s, text) in found.items() if s != 200 or "manage.py zanith_apply" not in text
    ]
    assert other == []


def test_on_another_database_every_page_says_that_it_must_be_postgresql(
    history: Ledger, superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = every_page()
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")
    for name, url in urls.items():
        answer = superuser.get(url)
        assert answer.status_code == 200, name
        assert "zanith works on PostgreSQL only" in answer.content.decode(), name


@pytest.mark.parametrize("graph", STRANGE)
def test_snapshots_of_a_later_release_break_no_page(
    history: Ledger, superuser: Client, graph: str
) -> None:
    execute(f"UPDATE _zanith_schema_snapshots SET graph = '{graph}'")
    broken = {name: status for name, (status, _) in shown(superuser).items() if status != 200}
    assert broken == {}

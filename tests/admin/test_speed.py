"""The pages ask the database few questions, and no more of them when there is more to show."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import DJANGO
from tests.admin.urls import MODELS, detail_url, every_page, list_url
from zanith_django.admin.pages import CappedPaginator
from zanith_django.ledger.ledger import Ledger

# Session and user, whether the tables are there, and then the page's own.
MOST = {
    "migration": 10,
    "migrationstep": 8,
    "schemasnapshot": 5,
    "migrationartifact": 6,
    "migrationcheckpoint": 5,
}

FILL = """
INSERT INTO _zanith_migrations
SELECT format('m%%s', n), clock_timestamp() - n * interval '1 hour'
FROM generate_series(1, %(migrations)s) n WHERE n %% 50 > 0;
INSERT INTO _zanith_migration_steps
SELECT format('m%%s::%%s', n, to_char(s, 'FM0000')), format('m%%s', n), 'addColumn',
    CASE WHEN n %% 50 > 0 THEN 'done' WHEN s = 1 THEN 'failed' ELSE 'pending' END,
    repeat('SELECT 1; ', 50), 'safe', 5, NULL,
    clock_timestamp() - n * interval '1 hour', clock_timestamp() - n * interval '59 minutes'
FROM generate_series(1, %(migrations)s) n, generate_series(1, %(steps)s) s;
INSERT INTO _zanith_schema_snapshots
SELECT format('m%%s', n), 'after', '{"version": 1}' FROM generate_series(1, %(migrations)s) n;
INSERT INTO _zanith_migration_artifacts
SELECT format('m%%s::soft_drop_column::t.c', n), format('m%%s', n), 'soft_drop_column', 'public',
    't', 'c', 'x', n, '', '', '{}' FROM generate_series(1, %(migrations)s) n;
INSERT INTO _zanith_migration_checkpoints
SELECT format('m%%s::0001', n), format('m%%s', n), '1', n, n * 2, 'running'
FROM generate_series(1, %(migrations)s) n;
"""


def fill(migrations: int, steps: int) -> None:
    with connection.cursor() as cursor:
        for statement in FILL.split(";\n")[:-1]:
            cursor.execute(statement, {"migrations": migrations, "steps": steps})
        cursor.execute("ANALYZE")


def queries(client: Client, url: str) -> int:
    """Without savepoints, which are there only because tests run in a transaction."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(url)
        if answer.streaming:
            list(answer)
        assert answer.status_code == 200, url
    return sum("SAVEPOINT" not in each["sql"] for each in captured)


def test_no_page_asks_twelve_questions(history: Ledger, superuser: Client) -> None:
    """For others, Django asks two more on every page: which permissions they have."""
    fill(migrations=200, steps=20)
    urls = {**every_page(), "a long migration": detail_url("migration", "m50")}
    found = {name: queries(superuser, url) for name, url in urls.items()}
    assert {name: count for name, count in found.items() if count > 11} == {}


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_the_same_number_of_questions_whatever_it_shows(
    history: Ledger, superuser: Client, model: str
) -> None:
    few = queries(superuser, list_url(model))
    fill(migrations=120, steps=3)
    assert queries(superuser, list_url(model)) == few <= MOST[model]


def test_a_migration_page_asks_the_same_number_of_questions_whatever_it_shows(
    history: Ledger, superuser: Client
) -> None:
    few = queries(superuser, detail_url("migration", DJANGO))
    fill(migrations=1, steps=150)
    assert queries(superuser, detail_url("migration", "m1")) <= few <= 11


@pytest.mark.parametrize("model", ["migration", "migrationstep"])
def test_a_hundred_thousand_steps_take_no_more_questions(
    ledger: Ledger, superuser: Client, model: str
) -> None:
    fill(migrations=1000, steps=100)
    assert queries(superuser, list_url(model)) <= MOST[model]
    response = superuser.get(list_url(model), {"q": "m77"})
    assert response.context["cl"].result_count > 0  # the search works on them, too


def test_a_list_stops_counting_and_says_so(
    history: Ledger, superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 3)
    response = superuser.get(list_url("migrationstep"))
    assert response.context["cl"].result_count == 3
    assert "Counted up to 3" in response.content.decode()

"""Sessions that are in the way: named, waited for, and never passed on to everybody else."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.apply.test_stopped_runs import a_shop, change, started, wait_until
from tests.copies import Copy
from tests.project import Project

DJANGO = """
from django.db import migrations, models


def lock(apps, schema_editor):
    schema_editor.execute("LOCK TABLE shop_book")


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("shop", "0001_initial")]
    operations = [{operation}]
"""
FIELD = 'migrations.AddField("book", "counted", models.IntegerField(null=True))'
PYTHON = "migrations.RunPython(lock, migrations.RunPython.noop, atomic=True)"
OURS = 'zanith.AddColumn(table="shop_book", column=zanith.Column("counted", "integer"))'


@pytest.fixture
def shop(copy_of: Copy) -> Project:
    return copy_of(a_shop).project


def by_django(shop: Project, operation: str, *, atomic: bool) -> None:
    settings = (shop.root / "settings.py").read_text()
    shop.write("settings.py", f"{settings}\nZANITH = {{'APPS': []}}\n")
    text = DJANGO.format(operation=operation, atomic=atomic)
    shop.write("shop/migrations/0002_change.py", text)


RELEASES = {
    "ours": lambda shop: change(shop, OURS),
    "Django's": lambda shop: by_django(shop, FIELD, atomic=True),
    "Django's, not atomic": lambda shop: by_django(shop, FIELD, atomic=False),
    "RunPython": lambda shop: by_django(shop, PYTHON, atomic=True),
}


@contextmanager
def readers(shop: Project, number: int = 4) -> Iterator[list[float]]:
    """So many clients that read the table; what each query took in seconds."""
    took: list[float] = []
    over = threading.Event()

    def work() -> None:
        with shop.database.connect() as connection:
            while not over.wait(0.02):
                began = time.monotonic()
                connection.execute("SELECT title FROM shop_book", prepare=False)
                took.append(time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield took
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def blocker(
    shop: Project, statement: str
) -> Iterator[tuple[psycopg.Connection[tuple[object, ...]], int]]:
    """A session of the name `web` that has run this statement in a transaction, and its number."""
    with shop.database.connect() as session:
        session.execute("SET application_name = 'web'")
        session.execute(f"BEGIN; {statement}".encode())
        yield session, session.info.backend_pid


def working(shop: Project) -> subprocess.Popen[str]:
    """A run that has begun to work."""
    run = started(shop)
    wait_until(shop, "application_name LIKE 'zanith %'", run)
    return run


def said(run: subprocess.Popen[str]) -> str:
    return run.communicate(timeout=120)[0]


@pytest.mark.parametrize("release", RELEASES)
def test_a_step_that_waits_for_a_blocker_makes_no_other_session_wait(
    shop: Project, release: str
) -> None:
    RELEASES[release](shop)
    with blocker(shop, "SELECT FROM shop_book") as (session, pid), readers(shop) as took:
        run = working(shop)
        time.sleep(4)
        session.execute("COMMIT")
        words = said(run)
    assert run.returncode == 0, words
    assert max(took) < 0.9
    assert sum(each for each in took if each > 0.1) < 4 * 0.9  # one try, felt by four
    named = f"blocked by pid {pid} (idle in transaction, 00:00:"
    assert f"could not acquire lock (attempt 1 of 11); {named}" in words
    assert "user postgres, application web): BEGIN; SELECT FROM shop_book" in words


LONG_WAITS = {
    "addIndex": (
        'zanith.AddIndex(table="shop_book", '
        'index=zanith.Index("t", (zanith.IndexKey(column="title"),)))',
        "INSERT INTO shop_book (title, isbn) VALUES ('a', '9')",
    ),
    "dropIndex": (
        'zanith.DropIndex(table="shop_book", '
        'index=zanith.Index("old", (zanith.IndexKey(column="title"),)))',
        "SELECT FROM shop_book",
    ),
    "validateConstraint": (
        'zanith.ValidateConstraint(table="shop_book", name="few")',
        "LOCK TABLE shop_book IN SHARE UPDATE EXCLUSIVE MODE",
    ),
    "backfill": (
        'zanith.Backfill(table="shop_book", column="title", value="\'x\'", where="id > 0")',
        "UPDATE shop_book SET isbn = isbn WHERE id = 2",
    ),
}


@pytest.mark.parametrize("kind", LONG_WAITS)
def test_a_step_that_waits_long_names_whom_it_waits_for(shop: Project, kind: str) -> None:
    step, statement = LONG_WAITS[kind]
    shop.sql("CREATE INDEX old ON shop_book (title)")
    shop.sql("ALTER TABLE shop_book ADD CONSTRAINT few CHECK (id < 1000) NOT VALID")
    change(shop, step)
    with blocker(shop, statement) as (session, pid):
        run = working(shop)
        time.sleep(4)
        session.execute("COMMIT")
        words = said(run)
    assert run.returncode == 0, words
    place = "waiting for rows of shop_book; locked by" if kind == "backfill" else "waiting for"
    assert words.count(f"{place} pid {pid} (idle in transaction") == 1
    assert f"user postgres, application web): BEGIN; {statement}"[:90] in words

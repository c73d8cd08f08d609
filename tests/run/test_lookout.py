"""The second connection that looks whom a session waits for: it helps, and never harms."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.servers import Database
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Statement
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.postgres.patience import WINDOW
from zanith_django.run.executor import Executor
from zanith_django.run.lookout import Lookout

SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'zanith lookout' AND datname = current_database()"""


@pytest.fixture
def limited(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    """The one connection that a role may have."""
    role = f"limited_{fresh_database.name}"
    with fresh_database.connect() as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    parts = urlsplit(fresh_database.url)
    url = urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))
    address = environ.Env.db_url_config(url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="limited")
    connections["limited"] = wrapper
    with django_db_blocker.unblock():
        yield wrapper
        wrapper.close()
    del connections["limited"]
    with fresh_database.connect() as owner:
        owner.execute(f"DROP ROLE {role}")


def execute(connection: DatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def test_a_wait_is_reported_once_until_another_session_blocks(
    ledgered: DatabaseWrapper, fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    watcher = Lookout(ledgered, said.append)
    with fresh_database.connect() as first, fresh_database.connect() as second:
        first.execute("SELECT pg_advisory_lock(7)")
        second.execute("SELECT pg_advisory_lock(8)")
        threading.Timer(0.5, lambda: first.execute("SELECT pg_advisory_unlock(7)")).start()
        threading.Timer(1.0, lambda: second.execute("SELECT pg_advisory_unlock(8)")).start()
        with watcher.watching(0.05):
            execute(ledgered, "SELECT pg_advisory_xact_lock(7)")
            execute(ledgered, "SELECT pg_advisory_xact_lock(8)")
            time.sleep(0.1)
        assert [each.pid for each in watcher.seen] == [second.info.backend_pid]
        pids = [first.info.backend_pid, second.info.backend_pid]
    assert [text.partition(" (idle, ")[0] for text in said] == [
        f"waiting for pid {pid}" for pid in pids
    ]


def test_the_second_connection_is_opened_for_a_long_statement_and_closed_after_it(
    ledgered: DatabaseWrapper, fresh_database: Database
) -> None:
    watcher = Lookout(ledgered, print)
    with fresh_database.connect() as other:
        with watcher.watching(0.1):
            execute(ledgered, "SELECT 1")
            assert other.execute(SESSIONS).fetchone() == (0,)
            time.sleep(0.4)
            assert other.execute(SESSIONS).fetchone() == (1,)
        time.sleep(0.1)
        assert other.execute(SESSIONS).fetchone() == (0,)


def test_a_server_without_a_connection_to_spare_changes_nothing(
    limited: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    watcher = Lookout(limited, said.append)
    for _ in range(2):
        with watcher.watching(0.05):
            execute(limited, "SELECT pg_sleep(0.3)")
    assert said == []
    assert watcher.seen == ()


def test_a_wait_for_the_budget_names_whom_it_waits_for(
    ledgered: DatabaseWrapper, fresh_database: Database
) -> None:
    """Earlier attempts have used up what others may wait, so the next one comes seconds later."""
    words: list[str] = []
    executor = Executor(ledgered, Ledger(ledgered), on_retry=words.append)
    executor.budget.spent.append((time.monotonic() - WINDOW + 1.4, executor.budget.seconds))
    add = Statement("ALTER TABLE t ADD c integer", Lock.ACCESS_EXCLUSIVE, (TableName("", "t"),))
    with fresh_database.connect() as holder:
        holder.execute("CREATE TABLE t (a integer)")
        holder.execute("BEGIN; SELECT FROM t")
        pid = holder.info.backend_pid
        threading.Timer(1, holder.execute, ["COMMIT"]).start()
        executor.retrying([add], lambda seconds: executor._execute(add.sql))
    assert len(words) == 1
    assert words[0].startswith("waiting 1 s: the 2 s per minute in which others may wait are used")
    assert f"up; blocked by pid {pid} (idle in transaction" in words[0]

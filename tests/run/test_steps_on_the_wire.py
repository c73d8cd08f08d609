"""How a step goes to the server: in one text, with the run lock asked for, and time well used."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError, ProgrammingError

from tests.servers import Database
from zanith_django.exceptions import LockLost
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.steps import PendingStep, turning
from zanith_django.operations.base import Statement
from zanith_django.postgres.pipeline import send
from zanith_django.postgres.run_lock import _TRY, CLASS_ID, OBJECT_ID
from zanith_django.run.executor import Executor
from zanith_django.run.work import Attempt, Finish

STEP = Attempt("m1::0001", "m1", "public")


def rows(connection: BaseDatabaseWrapper, text: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def two_steps(connection: BaseDatabaseWrapper) -> Executor:
    """Both in the ledger, the first one running."""
    ledger = Ledger(connection)
    ledger.add_pending("m1", [PendingStep(n, "rawSql", "planned", "safe", 5) for n in (1, 2)])
    ledger.start(STEP.row_id)
    return Executor(connection, ledger)


def statuses(connection: BaseDatabaseWrapper) -> list[tuple[object, ...]]:
    return rows(connection, "SELECT status, sql FROM _zanith_migration_steps ORDER BY id")


def test_a_step_is_one_text_in_which_the_next_one_begins(ledgered: BaseDatabaseWrapper) -> None:
    executor, sent = two_steps(ledgered), []

    def note(execute, text, *given):  # type: ignore[no-untyped-def]
        sent.append(text)
        return execute(text, *given)

    executor.run(STEP, [], Finish())  # what the session has to know, it learns here
    with ledgered.execute_wrapper(note):
        finish = Finish(turning(STEP.row_id, "ran", "m1::0002"))
        work = executor.ready(STEP, [Statement("CREATE TABLE made ()")], finish)
        executor.carry_out(work, iter(()))

    assert len(sent) == 1
    assert statuses(ledgered) == [("done", "ran"), ("running", "planned")]


@pytest.mark.parametrize(("durable", "waits"), [(True, "on"), (False, "off")])
def test_a_step_waits_for_the_disk_where_none_follows(
    ledgered: BaseDatabaseWrapper, durable: bool, waits: str
) -> None:
    executor = two_steps(ledgered)
    rows(ledgered, "SELECT set_config('synchronous_commit', 'on', false)")
    look = Statement("CREATE TABLE seen AS SELECT current_setting('synchronous_commit') AS it")
    executor.run(STEP, [look], Finish(turning(STEP.row_id, None, None), durable=durable))
    assert rows(ledgered, "SELECT it FROM seen") == [(waits,)]
    assert rows(ledgered, "SELECT current_setting('synchronous_commit')") == [("on",)]


def test_a_step_that_fails_leaves_nothing_and_says_why(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    statements = [Statement("CREATE TABLE made ()"), Statement("ALTER TABLE missing ADD c int")]
    work = executor.ready(STEP, statements, Finish(turning(STEP.row_id, None, None)))
    with pytest.raises(ProgrammingError, match='relation "missing" does not exist'):
        executor.carry_out(work, iter(()))
    assert rows(ledgered, "SELECT to_regclass('made')") == [(None,)]
    assert statuses(ledgered)[0] == ("running", "planned")


def test_a_run_whose_lock_is_gone_stops_before_the_step(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    rows(ledgered, "SELECT pg_advisory_unlock_all()")
    with pytest.raises(LockLost):
        executor.run(STEP, [Statement("CREATE TABLE made ()")], Finish())
    assert rows(ledgered, "SELECT to_regclass('made')") == [(None,)]


def test_a_check_of_the_lock_lets_no_other_session_acquire_it(
    ledgered: BaseDatabaseWrapper, fresh_database: Database
) -> None:
    executor = two_steps(ledgered)
    for _ in range(3):
        executor.run(STEP, [], Finish())
    with fresh_database.connect() as other:
        assert other.execute(_TRY, [CLASS_ID, OBJECT_ID]).fetchone() == (False,)


def test_either_side_learns_of_a_network_that_swallows_everything(
    ledgered: BaseDatabaseWrapper,
) -> None:
    assert rows(ledgered, "SELECT current_setting('tcp_keepalives_idle')") == [("30",)]
    with socket.socket(fileno=os.dup(ledgered.connection.fileno())) as one:
        if one.family == socket.AF_UNIX:
            pytest.skip("nothing lies between the two sides of a Unix socket")
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


def test_what_a_step_itself_deallocates_is_prepared_again(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    deallocating = Statement("DEALLOCATE ALL", raw=True)
    executor.run(STEP, [deallocating], Finish(turning(STEP.row_id, None, None)))
    assert statuses(ledgered)[0] == ("done", "planned")


def test_a_deallocated_statement_is_prepared_again(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    executor.run(STEP, [], Finish())
    with ledgered.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    executor.run(STEP, [Statement("SELECT 1")], Finish(turning(STEP.row_id, None, None)))
    assert statuses(ledgered)[0] == ("done", "planned")


def together(executor: Executor, *texts: str) -> list[Attempt]:
    """One step for each text."""
    names = [f"m1::{number:04d}" for number in range(1, len(texts) + 1)]
    steps = zip(names, [*names[1:], None], texts, strict=True)
    return [
        executor.ready(
            Attempt(name, "m1", "public"), [Statement(text)], Finish(turning(name, None, following))
        )
        for name, following, text in steps
    ]


MADE = "SELECT to_regclass('one') IS NOT NULL, to_regclass('two') IS NOT NULL"


def test_what_stops_steps_that_go_together_leaves_those_before_it(
    ledgered: BaseDatabaseWrapper,
) -> None:
    executor = two_steps(ledgered)
    works = together(executor, "CREATE TABLE one ()", "ALTER TABLE missing ADD c int")
    assert not executor.together(works, iter(()))
    assert [status for status, _ in statuses(ledgered)] == ["done", "running"]
    assert rows(ledgered, MADE) == [(True, False)]


def test_steps_that_go_together_stop_where_the_lock_is_gone(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    works = together(
        executor,
        "DO $$BEGIN CREATE TABLE one (); PERFORM pg_advisory_unlock_all(); END$$",
        "CREATE TABLE two ()",
    )
    assert not executor.together(works, iter(()))
    assert rows(ledgered, MADE) == [(True, False)]
    with pytest.raises(LockLost):
        executor.carry_out(works[1])


def test_steps_that_go_together_stop_where_what_they_execute_is_not_known(
    ledgered: BaseDatabaseWrapper,
) -> None:
    executor = two_steps(ledgered)
    executor.run(STEP, [], Finish())
    with ledgered.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    works = together(executor, "CREATE TABLE one ()", "CREATE TABLE two ()")
    assert not executor.together(works, iter(()))
    assert rows(ledgered, MADE) == [(False, False)]
    for work in works:
        executor.carry_out(work)
    assert [status for status, _ in statuses(ledgered)] == ["done", "done"]


def test_an_interruption_of_steps_that_go_together_leaves_the_session_usable(
    ledgered: BaseDatabaseWrapper,
) -> None:
    def interrupted() -> Iterator[None]:
        while rows(other, MADE) == [(False, False)]:
            yield
        raise KeyboardInterrupt

    executor, other = two_steps(ledgered), ledgered.copy()
    works = together(executor, "CREATE TABLE one ()", "SELECT pg_sleep(60)")
    try:
        with pytest.raises(KeyboardInterrupt):
            executor.together(works, interrupted())
    finally:
        other.close()
    assert [status for status, _ in statuses(ledgered)] == ["done", "running"]


def test_a_connection_that_is_lost_is_no_step_that_failed(ledgered: BaseDatabaseWrapper) -> None:
    executor = two_steps(ledgered)
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(OperationalError, match="terminating connection"):
        executor.together(together(executor, end, "CREATE TABLE two ()"), iter(()))


def test_the_client_works_on_while_the_server_does(ledgered: BaseDatabaseWrapper) -> None:
    """The server waits for a lock that is given back meanwhile."""
    other = ledgered.copy()

    def give_back() -> Iterator[str]:
        for key in (42, 43):
            yield "not yet"
            rows(other, f"SELECT pg_advisory_unlock({key})")
        yield "now"
        while True:
            time.sleep(0.01)
            yield "the server has not answered yet"

    work = give_back()
    try:
        rows(other, "SELECT pg_advisory_lock(42), pg_advisory_lock(43)")
        send(ledgered, "SELECT pg_advisory_lock(42); SELECT pg_advisory_lock(43)", work)
    finally:
        other.close()
    assert next(work)  # what is left of it is left alone


@pytest.mark.parametrize("lost", [0, 1])
def test_an_interruption_meanwhile_cancels_what_runs(
    ledgered: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """Also where a request comes too early: the server forgets it."""
    asked: list[int] = []
    cancel = ledgered.connection.cancel_safe

    def cancel_safe() -> None:
        asked.append(len(asked))
        if asked[-1] >= lost:
            cancel()

    def interrupted() -> Iterator[None]:
        if not asked:
            raise KeyboardInterrupt
        yield

    monkeypatch.setattr(ledgered.connection, "cancel_safe", cancel_safe)
    with pytest.raises(KeyboardInterrupt):
        send(ledgered, "SELECT 1; SELECT pg_sleep(60)", interrupted())
    assert len(asked) > lost
    assert rows(ledgered, "SELECT 1") == [(1,)]


def test_a_project_in_debug_mode_logs_what_was_sent(ledgered: BaseDatabaseWrapper) -> None:
    ledgered.force_debug_cursor = True
    try:
        ledgered.queries_log.clear()
        send(ledgered, "CREATE TABLE made (); DROP TABLE made", iter(()))
        assert ledgered.queries_log[-1]["sql"] == "CREATE TABLE made (); DROP TABLE made"
    finally:
        ledgered.force_debug_cursor = False

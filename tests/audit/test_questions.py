"""What the ledger answers when asked."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from tests.admin.conftest import APPLIED, ARTIFACT, BROKEN
from zanith_django.audit.questions import QUESTIONS, ask, ask_all, is_time, question
from zanith_django.ledger.ledger import Ledger

SIX = ("broken", "slowest", "recoverable", "latest", "risk", "slow")


def printed(*arguments: str) -> str:
    output = io.StringIO()
    call_command("zanith_ask", *arguments, stdout=output)
    return output.getvalue()


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(name, "--format", "json"))["rows"]
    return found


def test_the_list_names_every_question(db: None) -> None:
    text = printed("--list")
    assert [line.split()[0] for line in text.splitlines()] == [each.name for each in QUESTIONS]
    assert set(SIX) < {each.name for each in QUESTIONS}


def test_what_broke_names_migration_kind_and_error(history: Ledger) -> None:
    (row,) = rows("broken")
    assert row["migration_id"] == BROKEN
    assert row["operation_kind"] == "addUnique"
    assert "ann@example.org" in row["error"]


def test_what_is_recoverable_counts_rows(history: Ledger) -> None:
    (row,) = rows("recoverable")
    assert (row["id"], row["row_count"]) == (ARTIFACT, 1234)


def test_the_latest_migrations_come_with_their_worst_score(history: Ledger) -> None:
    assert {row["id"]: row["worst_score"] for row in rows("latest")}[APPLIED] == 80


def test_a_migration_that_stopped_is_unfinished_and_an_applied_one_is_not(history: Ledger) -> None:
    assert [row["migration_id"] for row in rows("unfinished")] == [BROKEN]


@pytest.mark.parametrize("name", [each.name for each in QUESTIONS])
def test_every_answer_fits_a_terminal_and_is_whole(history: Ledger, name: str) -> None:
    history.fail_running(BROKEN, "could not do it " + "again " * 30)
    text = printed(name)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for row in rows(name):
        values = [str(value) for column, value in row.items() if value and not is_time(column)]
        assert all(value[:8] in text for value in values)


@pytest.mark.parametrize("name", [each.name for each in QUESTIONS])
def test_every_question_is_answered_on_an_empty_ledger_and_a_full_one(
    history: Ledger, name: str
) -> None:
    columns = ask(connection, question(name)).columns
    assert columns
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE _zanith_migrations, _zanith_migration_steps")
        cursor.execute("TRUNCATE _zanith_schema_snapshots, _zanith_migration_artifacts")
        cursor.execute("TRUNCATE _zanith_migration_checkpoints")
    empty = ask(connection, question(name))
    assert (empty.columns, empty.rows) == (columns, ())


@pytest.mark.parametrize("name", [each.name for each in QUESTIONS])
def test_a_database_without_a_ledger_has_no_rows(db: None, name: str) -> None:
    assert "No rows." in printed(name)


def test_all_questions_together_take_one_query(
    history: Ledger, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):  # whether the ledger exists, and the questions
        answers = ask_all(connection, QUESTIONS)
    assert [answer.question for answer in answers] == list(QUESTIONS)


def test_times_that_python_cannot_hold_are_printed(history: Ledger) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_migrations SET applied_at = 'infinity'")
    assert "infinity" in printed("latest")


def test_the_query_can_be_pasted(history: Ledger) -> None:
    text = printed("broken", "--sql")
    assert text.startswith("-- What broke this week?\n")
    with connection.cursor() as cursor:
        cursor.execute(text)
        assert len(cursor.fetchall()) == 1


def test_csv_holds_every_value_and_no_formula(history: Ledger) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_migration_steps SET error = '=cmd()' WHERE error <> ''")
    header, row = csv.reader(io.StringIO(printed("broken", "--format", "csv")))
    assert header == ["migration_id", "operation_kind", "error", "finished_at"]
    assert row[:3] == [BROKEN, "addUnique", "'=cmd()"]


def test_a_mistyped_question_is_a_usage_error(db: None) -> None:
    with pytest.raises(CommandError, match="Did you mean broken") as caught:
        printed("borken")
    assert caught.value.returncode == 2


def test_a_time_without_end_has_no_bar(history: Ledger) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE _zanith_migration_steps SET risk_score = 0")
        cursor.execute(
            "UPDATE _zanith_migration_steps SET started_at = '-infinity', finished_at = 'infinity' "
            "WHERE status = 'done'"
        )
    try:
        bars = ask(connection, question("slowest")).bars
    except DatabaseError:  # before PostgreSQL 17, infinite times have no difference
        return
    assert {value for _, value in bars} == {0.0}


def test_a_chart_has_a_bar_for_each_row(history: Ledger) -> None:
    asked = question("risk")
    bars = dict(ask(connection, asked).bars)
    assert bars[APPLIED] == 85

"""The verdict on Django's migrations as Django runs them, without a database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plan.cases import Case
from tests.plan.migrations import CASES, timeline_of
from zanith_django.operations.base import Context, Statement
from zanith_django.plan.plan import PlannedMigration
from zanith_django.plan.planner import plan
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.postgres.names import TableName
from zanith_django.timeline.timeline import Timeline

Planned = dict[str, PlannedMigration]


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timeline]:
    with timeline_of(tmp_path_factory.mktemp("cases")) as made:
        yield made


def judged(timeline: Timeline, context: Context, app: str = "") -> Planned:
    found = (
        entry.id
        for entry in timeline.entries
        if entry.id.endswith(".0002_case") and app in ("", entry.app_label)
    )
    only = set(found)
    made = plan(timeline, database="default", context=context, only=only)
    return {migration.entry.app_label: migration for migration in made.migrations}


@pytest.fixture(scope="module")
def planned(timeline: Timeline) -> Planned:
    return judged(timeline, Context())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_danger_is_named_and_nothing_else_is_held_up(case: Case, planned: Planned) -> None:
    steps = planned[case.app].steps
    reasons = {code for step in steps for code in step.assessment.reasons}
    assert str(max(step.level for step in steps)) == case.level, reasons
    assert reasons >= set(case.reasons.split())
    assert not reasons & set(case.never.split())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_words_of_a_step_agree_with_its_locks(case: Case, planned: Planned) -> None:
    """What waits "for an instant" has no reason that says that others wait, and the other way."""
    felt: list[Statement] = []
    for step in planned[case.app].steps:
        codes = set(step.assessment.reasons)
        assert not any(REASONS[code].unless & codes for code in codes)
        busy = [each for each in step.statements if each.scans or each.rewrites or each.held]
        felt += [each for each in busy if each.lock.blocks_writes]
        opaque = any(effect.opaque for effect in step.effects)
        if codes & {"locks_reads", "locks_writes"} and not opaque:
            assert felt
            assert "locks_reads" not in codes or any(each.lock.blocks_reads for each in felt)
        elif step.score > Level.SAFE and not any(each.held for each in step.statements):
            assert not [each for each in busy if each.lock.blocks_writes]


def test_a_lock_is_shown_as_long_as_its_transaction_holds_it(planned: Planned) -> None:
    first, second = planned["column_under_a_data_step"].steps
    assert [each.held for each in first.statements if each.lock.blocks_reads] == [True]
    assert "locks_reads" in second.assessment.reasons
    (alone,) = planned["another_table"].steps
    assert not any(each.held for each in alone.statements)


ON_EMPTY_TABLES = {
    "index": "safe",
    "int to bigint": "safe",
    "update all": "safe",
    "truncate": "safe",
    "random in the database": "safe",
    "vacuum full": "safe",
    "a sequence": "safe",
    "unlogged": "high",
    "a rule": "high",
    "one uuid for all": "high",
    "required column": "high",
    "bool to int": "high",
    "check": "high",
    "unique": "high",
    "one to one": "high",
    "rename model": "high",
    "remove field": "destructive",
    "drop table in SQL": "destructive",
    "no SQL": "destructive",
}


@pytest.mark.parametrize("name", ON_EMPTY_TABLES)
def test_an_empty_table_is_no_excuse_for_what_code_fails_on(name: str, timeline: Timeline) -> None:
    (case,) = (each for each in CASES if each.name == name)
    empty = frozenset([TableName("", f"{case.app}_item")])
    steps = judged(timeline, Context(empty=empty), case.app)[case.app].steps
    assert str(max(step.level for step in steps)) == ON_EMPTY_TABLES[name]


def test_the_plan_shows_the_sql_that_will_run(planned: Planned) -> None:
    (step,) = planned["one_to_one"].steps
    assert 'ADD CONSTRAINT "one_to_one_item_parent_id_' in step.sql
    assert {str(name): str(lock) for name, lock in step.locks.items()} == {
        "one_to_one_item": "ACCESS EXCLUSIVE",
        "one_to_one_parent": "ACCESS EXCLUSIVE",
    }
    (step,) = planned["a_loop_over_all_rows"].steps
    assert step.sql.startswith("-- Django: ")

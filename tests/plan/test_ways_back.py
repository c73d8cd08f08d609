"""What the plan says of the way back: the command, and what does not come back."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.plan.cases import Case, alter, field, sql
from tests.plan.migrations import write
from zanith_django.operations.base import Context
from zanith_django.plan.planner import plan
from zanith_django.plan.ways_back import CONVERTED, EMPTY, REWRITTEN, UNCHANGED
from zanith_django.timeline.timeline import build, load_django

FINAL = "cannot be undone"


def inside(given: str) -> str:
    return f"migrations.SeparateDatabaseAndState([{given}], [])"


def python(given: str) -> str:
    return f"migrations.RunPython(forwards{given})"


WRITES = """
def forwards(apps, editor):
    apps.get_model("{app}", "Item").objects.filter(rank=1).delete()


def backwards(apps, editor):
    apps.get_model("{app}", "Item").objects.create()


"""

# {a change: (its operation, what the way back does not restore)}
CHANGES = {
    "a new column": (field("models.TextField(null=True)"), ""),
    "a wider number": (alter("amount", "models.BigIntegerField(null=True)"), ""),
    "a smaller number": (alter("amount", "models.SmallIntegerField(null=True)"), ""),
    "text for a word": (alter("name", "models.TextField(null=True)"), ""),
    "a word for text": (alter("note", "models.CharField(max_length=5, null=True)"), CONVERTED),
    "a day for a time": (alter("made", "models.DateField(null=True)"), CONVERTED),
    "whole numbers": (alter("price", "models.IntegerField(null=True)"), CONVERTED),
    "fewer digits": (
        alter("price", "models.DecimalField(max_digits=10, decimal_places=1, null=True)"),
        CONVERTED,
    ),
    "more digits": (
        alter("price", "models.DecimalField(max_digits=12, decimal_places=2, null=True)"),
        "",
    ),
    "a type in SQL": (
        sql("ALTER TABLE T ALTER made TYPE date", "'ALTER TABLE T ALTER made TYPE timestamptz'"),
        CONVERTED,
    ),
    "a type inside": (inside(alter("made", "models.DateField(null=True)")), CONVERTED),
    "a column removed": ('migrations.RemoveField("Item", "note")', EMPTY),
    "a column removed inside": (inside('migrations.RemoveField("Item", "note")'), EMPTY),
    "a table removed": ('migrations.DeleteModel("Item")', EMPTY),
    "a column dropped in SQL": (
        sql("ALTER TABLE T DROP note", "'ALTER TABLE T ADD note text'"),
        EMPTY,
    ),
    "rows deleted in SQL": (sql("DELETE FROM T", "'INSERT INTO T (rank) VALUES (1)'"), REWRITTEN),
    "rows deleted in Python": (python(", backwards"), REWRITTEN),
    "a reverse that does nothing": (python(", migrations.RunPython.noop"), UNCHANGED),
    "SQL with no reverse": ("migrations.RunSQL('DELETE FROM T')", FINAL),
    "Python with no reverse": (python(""), FINAL),
}
CASES = [Case(name, given, "", code=WRITES) for name, (given, _) in CHANGES.items()]


@pytest.fixture(scope="module")
def backs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("backs")
    write(folder, CASES)
    sys.path.insert(0, str(folder))
    with override_settings(INSTALLED_APPS=[case.app for case in CASES]):
        timeline = build(load_django(None), [])
        only = {f"django:{case.app}.0002_case" for case in CASES}
        made = plan(timeline, database="default", context=Context(), only=only)
        yield {each.entry.app_label: str(each.steps[0].back) for each in made.migrations}
    sys.path.remove(str(folder))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_plan_says_what_does_not_come_back(case: Case, backs: dict[str, str]) -> None:
    lacks = CHANGES[case.name][1]
    command = f"manage.py migrate {case.app} 0001_initial"
    expected = FINAL if lacks == FINAL else f"{command} ({lacks})" if lacks else command
    assert backs[case.app] == expected

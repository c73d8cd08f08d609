"""What a step does on the shadow beyond its plan is found and named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases

MODELS = """
from django.db import models

class Shelf(models.Model):
    name = models.CharField(max_length=20)

class Book(models.Model):
    title = models.CharField(max_length=20)
    pages = models.IntegerField(null=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)
"""
STEP = """
from django.db import migrations, models
from django.contrib.postgres.operations import *

{code}

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("people", "0001_first")]
    operations = [{operation}]
"""


def with_rows(releases: Releases) -> None:
    """Books on a shelf."""
    releases.start(MODELS)
    releases.project.sql("INSERT INTO people_shelf (name) VALUES ('a')")
    releases.project.sql(
        "INSERT INTO people_book (title, pages, shelf_id) "
        "SELECT n, n, 1 FROM generate_series(1, 9) n"
    )


def step(project: Project, operation: str, code: str = "", *, atomic: bool = True) -> None:
    """A migration of Django's with one operation."""
    text = STEP.format(operation=operation, code=code, atomic=atomic)
    project.write("people/migrations/0002_step.py", text)


def verified(project: Project, *arguments: str) -> dict[str, Any]:
    done = project.manage("zanith_verify", "--format", "json", *arguments)
    assert done.stdout, done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (verdict["verdict"] != "ok"), done.stderr
    return verdict


def surprises(verdict: dict[str, Any]) -> list[str]:
    return [each["message"] for step in verdict["steps"] for each in step["surprises"]]


SURPRISING = {
    "drop cascade": (
        'migrations.RunSQL("DROP TABLE people_shelf CASCADE")',
        "",
        "drops constraint people_book_shelf_id",
    ),
    "python that alters": (
        "migrations.RunPython(work)",
        "def work(apps, editor): editor.execute('ALTER TABLE people_book ADD x int')",
        "takes ACCESS EXCLUSIVE on people_book",
    ),
    "python that locks": (
        "migrations.RunPython(work)",
        "def work(apps, editor): editor.execute('LOCK TABLE people_shelf IN SHARE MODE')",
        "takes SHARE on people_shelf",
    ),
    "rewrite": (
        'migrations.RunSQL("ALTER TABLE people_book ALTER pages TYPE bigint")',
        "",
        "writes people_book into a new file",
    ),
}


@pytest.mark.parametrize("case", SURPRISING)
def test_what_the_plan_does_not_promise_is_a_surprise(copy_of: Copy, case: str) -> None:
    shop = copy_of(with_rows).project
    operation, code, words = SURPRISING[case]
    step(shop, operation, code)
    verdict = verified(shop)
    assert verdict["verdict"] in ("surprise", "drift"), verdict
    assert any(words in each for each in surprises(verdict)), surprises(verdict)

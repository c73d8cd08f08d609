"""Each way in which a release goes wrong on rows and dependents of production shows on the shadow,
by name."""

from __future__ import annotations

from typing import NamedTuple

import django
import pytest

from tests.copies import Copy
from tests.releases import Releases
from tests.verify.test_observations import MODELS, step


def with_dependents(releases: Releases) -> None:
    """Books with a view, a trigger and a policy on their columns; one number of pages comes
    twice."""
    releases.start(MODELS)
    sql = releases.project.sql
    sql("INSERT INTO people_shelf (name) VALUES ('a'), ('a')")
    sql("INSERT INTO people_book (title, shelf_id) SELECT n, 1 FROM generate_series(1, 9) n")
    sql("CREATE VIEW pages_of_books AS SELECT pages FROM people_book")
    sql("CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    sql(
        "CREATE TRIGGER titles_noted AFTER UPDATE OF title ON people_book "
        "FOR EACH ROW EXECUTE FUNCTION noted()"
    )
    sql("CREATE POLICY short_titles ON people_book USING (length(title) < 10)")


class Case(NamedTuple):
    """An operation, the verdict, what the run names, Python code, and whether rows are copied."""

    operation: str
    verdict: str
    named: str
    code: str = ""
    rows: bool = False


def by_python(text: str) -> str:
    """Code that runs a SQL text which no reader of the code sees."""
    return (
        f"def work(apps, editor): editor.execute(bytes.fromhex({text.encode().hex()!r}).decode())"
    )


def in_string(text: str) -> str:
    """A SQL text that another one executes: no reader of the SQL sees it."""
    return f"migrations.RunSQL(\"DO $$ BEGIN EXECUTE replace('{text}', '~', ''); END $$\")"


PYTHON = "migrations.RunPython(work)"
UPDATE = "def work(apps, editor): apps.get_model('people', 'Book').objects.update(pages=1)"
INDEX = "CREATE INDEX CONCURRENTLY i ON people_book (pages)"

CASES = {
    "a view on a column whose type changes": Case(
        'migrations.AlterField("Book", "pages", models.BigIntegerField(null=True))',
        "apply-failed",
        "view public.pages_of_books reads people_book.pages",
    ),
    "a trigger on a dropped column": Case(
        'migrations.RemoveField("Book", "title")',
        "drift",
        "drops trigger titles_noted of people_book, which no operation names",
    ),
    "a policy on a renamed column": Case(
        'migrations.RenameField("Book", "title", "name")',
        "drift",
        "changes policy short_titles on table people_book",
    ),
    "DROP TABLE … CASCADE": Case(
        'migrations.RunSQL("DROP TABLE people_shelf CASCADE")',
        "drift",
        "drops constraint people_book_shelf_id",
    ),
    "Python code that updates every row": Case(
        PYTHON, "ok", "rows of people_book: 9 updated", UPDATE, rows=True
    ),
    "LOCK TABLE in a string": Case(
        in_string("LOCK TABLE people_~shelf"), "surprise", "takes ACCESS EXCLUSIVE on people_shelf"
    ),
    "LOCK TABLE in Python code": Case(
        PYTHON,
        "surprise",
        "takes ACCESS EXCLUSIVE on people_shelf",
        by_python("LOCK TABLE people_shelf"),
    ),
    "a concurrent index in a string": Case(
        in_string(INDEX), "apply-failed", "CREATE INDEX CONCURRENTLY cannot"
    ),
    "a concurrent index in a transaction": Case(
        f'migrations.RunSQL("{INDEX}")', "apply-failed", f"statement: {INDEX}"
    ),
    "Python code that looks for a row": Case(
        PYTHON,
        "apply-failed",
        "zanith_verify --sample 100",
        "def work(apps, editor): apps.get_model('people', 'Book').objects.order_by('id')[0]",
    ),
    "duplicates of the sample": Case(
        'migrations.AlterField("Shelf", "name", models.CharField(max_length=20, unique=True))',
        "apply-failed",
        "Key (name)=(a) is duplicated",
        rows=True,
    ),
    "a cast that fails on the sample": Case(
        'migrations.RunSQL("ALTER TABLE people_shelf ALTER name TYPE int USING name::int")',
        "apply-failed",
        'invalid input syntax for type integer: "a"',
        rows=True,
    ),
    "a cast of Django's that fails on the sample": Case(
        'migrations.AlterField("Shelf", "name", models.IntegerField())',
        "apply-failed",
        'statement: ALTER TABLE "people_shelf" ALTER COLUMN "name" TYPE integer',
        rows=True,
    ),
}

DROPS_WITHOUT_CASCADE = django.VERSION >= (6, 1)


@pytest.mark.parametrize("case", CASES)
def test_what_would_go_wrong_in_production_is_named_on_the_shadow(copy_of: Copy, case: str) -> None:
    shop = copy_of(with_dependents).project
    operation, verdict, named, code, rows = CASES[case]
    if DROPS_WITHOUT_CASCADE and case == "a trigger on a dropped column":
        verdict, named = "apply-failed", "trigger titles_noted on table people_book"
    step(shop, operation, code)

    done = shop.manage("zanith_verify", *(["--sample", "100"] if rows else []))

    said = " ".join(done.stdout.split())
    assert f" {verdict} · " in said
    assert named in said
    assert done.returncode == (verdict != "ok")

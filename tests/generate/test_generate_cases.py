"""Every kind of Django operation through generate and apply, on tables that hold rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import indent

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, BuildProject
from tests.releases import Releases

MODELS = """
import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q


class Author(models.Model):
    name = models.CharField(max_length=50)


class Book(models.Model):
    title = models.CharField(max_length=100)
    pages = models.IntegerField(null=True)
    author = models.ForeignKey(Author, models.CASCADE, null=True)
    readers = models.ManyToManyField(Author, related_name="has_read")

    class Meta:
        indexes = [models.Index(fields=["pages"], name="book_pages")]
"""

MIGRATION = """
import uuid

import django.contrib.postgres.operations as postgres
import shop.models
from django.db import migrations, models
from django.db.models import Q
from zanith_django.constraints import Policy, RowSecurity


def shout(apps, schema_editor):
    Book = apps.get_model("shop", "Book")
    for book in Book.objects.all():
        book.title = book.title.upper()
        book.save()


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("shop", "0001_initial")]
    operations = [
{operations}
    ]
"""

ROWS = """
INSERT INTO shop_author (name) VALUES ('Ann'), ('Bob');
INSERT INTO shop_book (title, pages, author_id) VALUES ('one', 1, 1), ('two', NULL, 2);
INSERT INTO shop_book_readers (book_id, author_id) VALUES (1, 2);
"""

# Generate, apply, and then nothing may be left to say for anybody.
KINDS = """
SELECT operation_kind FROM _zanith_migration_steps
WHERE migration_id NOT LIKE '%_shop_initial' AND migration_id NOT LIKE 'django:%' ORDER BY id
"""

# What is called after a table or column is renamed with it; no case but one is about that.
NAMES = ("renameConstraint", "renameIndex")

RELEASE = """
from django.core.management import BaseCommand, call_command


class Command(BaseCommand):
    def handle(self, *args, **options):
        allowed = ("--max-risk", "100", "--allow-destructive")
        call_command("zanith_generate", "--no-input")
        call_command("zanith_plan", *allowed)
        call_command("zanith_apply", *allowed)
        call_command("zanith_diff", "models", "live")
        call_command("migrate", "--check")
        call_command("makemigrations", "--check")
"""


def migration(operations: str, atomic: bool = True) -> str:
    return MIGRATION.format(operations=indent(operations, " " * 8), atomic=atomic)


def a_library(releases: Releases) -> None:
    """The app `shop`, generated and applied, with a few rows."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", MODELS)
    project.write("shop/management/commands/release.py", RELEASE)
    project.manage("release", check=True)
    for statement in ROWS.strip().splitlines():
        project.sql(statement)


@dataclass(frozen=True, slots=True)
class Case:
    """A change of the models, the Django migration that says so, and what must come of it."""

    name: str
    kinds: Sequence[str]
    models: Sequence[tuple[str, str]] = ()
    operations: str = ""
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    atomic: bool = True

    def __str__(self) -> str:
        return self.name


CASES = [
    Case(
        "a renamed field keeps its values",
        ["renameColumn"],
        [("    title =", "    name =")],
        'migrations.RenameField("book", "title", "name"),',
        {"SELECT name FROM shop_book ORDER BY id": [("one",), ("two",)]},
    ),
    Case(
        "a renamed model keeps its rows, and what points at it follows",
        ["renameTable", "renameColumn"],
        [("class Author", "class Writer"), ("(Author,", "(Writer,")],
        'migrations.RenameModel("author", "writer"),',
        {
            "SELECT name FROM shop_writer ORDER BY id": [("Ann",), ("Bob",)],
            "SELECT book_id, writer_id FROM shop_book_readers": [(1, 2)],
        },
    ),
    Case(
        "a new db_column renames the column",
        ["renameColumn"],
        [
            (
                "pages = models.IntegerField(null=True)",
                'pages = models.IntegerField(null=True, db_column="leaves")',
            )
        ],
        """
        migrations.AlterField(
            "book", "pages", models.IntegerField(null=True, db_column="leaves")
        ),
        """,
        {"SELECT leaves FROM shop_book ORDER BY id": [(1,), (None,)]},
    ),
    Case(
        "a new db_table renames the table and its many-to-many table",
        ["renameTable", "renameTable"],
        [("    class Meta:", '    class Meta:\n        db_table = "tome"')],
        'migrations.AlterModelTable("book", "tome"),',
        {
            "SELECT title FROM tome ORDER BY id": [("one",), ("two",)],
            "SELECT count(*) FROM tome_readers": [(1,)],
        },
    ),
    Case(
        "a renamed many-to-many field keeps its pairs",
        ["renameTable"],
        [("    readers =", "    fans =")],
        'migrations.RenameField("book", "readers", "fans"),',
        {"SELECT book_id, author_id FROM shop_book_fans": [(1, 2)]},
    ),
    Case(
        "a renamed index is not built again",
        ["renameIndex"],
        [("book_pages", "book_by_pages")],
        'migrations.RenameIndex("book", new_name="book_by_pages", old_name="book_pages"),',
    ),
    Case(
        "a required field with a one-off default fills the rows",
        ["addColumn", "alterColumnDefault"],
        [("    pages =", "    shelf = models.CharField(max_length=9)\n    pages =")],
        'migrations.AddField("book", "shelf", models.CharField(max_length=9, default="A1"), '
        "preserve_default=False),",
        {"SELECT DISTINCT shelf FROM shop_book": [("A1",)]},
    ),
    Case(
        "a field that may no longer be null takes its one-off default",
        ["backfill", "alterColumnNullable"],
        [("IntegerField(null=True)", "IntegerField()")],
        'migrations.AlterField("book", "pages", models.IntegerField(default=7), '
        "preserve_default=False),",
        {"SELECT pages FROM shop_book ORDER BY id": [(1,), (7,)]},
    ),
    Case(
        "a unique uuid is made for each row",
        ["addColumn", "alterColumnDefault", "addUnique"],
        [
            (
                "    pages =",
                "    code = models.UUIDField(default=uuid.uuid4, unique=True)\n    pages =",
            )
        ],
        'migrations.AddField("book", "code", models.UUIDField(default=uuid.uuid4, unique=True)),',
        {"SELECT count(DISTINCT code) FROM shop_book": [(2,)]},
    ),
    Case(
        "a unique value of any callable is made for each row",
        ["addColumn", "backfill", "alterColumnNullable", "addUnique", "addIndex"],
        [
            ("class Author", "def code():\n    return uuid.uuid4().hex\n\n\nclass Author"),
            (
                "    pages =",
                "    code = models.CharField(max_length=32, default=code, unique=True)\n"
                "    pages =",
            ),
        ],
        'migrations.AddField("book", "code", models.CharField('
        "max_length=32, default=shop.models.code, unique=True)),",
        {"SELECT count(DISTINCT code) FROM shop_book": [(2,)]},
    ),
    Case(
        "data steps run between the changes around them",
        ["addColumn", "runPython", "runPython", "addColumn"],
        [
            (
                "    pages =",
                "    a = models.IntegerField(null=True)\n"
                "    b = models.IntegerField(null=True)\n"
                "    pages =",
            )
        ],
        """
        migrations.AddField("book", "a", models.IntegerField(null=True)),
        migrations.RunPython(shout),
        migrations.RunSQL("UPDATE shop_book SET a = 5"),
        migrations.AddField("book", "b", models.IntegerField(null=True)),
        """,
        {"SELECT title, a, b FROM shop_book ORDER BY id": [("ONE", 5, None), ("TWO", 5, None)]},
    ),
    Case(
        "a change of the state alone does nothing to the database",
        [],
        [("max_length=50", "max_length=50, blank=True")],
        """
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField("author", "name", models.CharField(max_length=50, blank=True))
            ],
        ),
        """,
    ),
    Case(
        "a change of the database alone is found, and the state may catch up",
        ["addColumn"],
        [("    pages =", "    extra = models.IntegerField(null=True)\n    pages =")],
        """
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.SeparateDatabaseAndState(
                    [migrations.AddField("book", "extra", models.IntegerField(null=True))]
                )
            ],
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddField("book", "extra", models.IntegerField(null=True))
            ],
        ),
        """,
    ),
    Case(
        "a change of both at once runs what the database part says",
        ["runPython"],
        [("    pages =", "    extra = models.IntegerField(null=True)\n    pages =")],
        """
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.SeparateDatabaseAndState(
                    [migrations.RunSQL("ALTER TABLE shop_book ADD COLUMN extra integer NULL")]
                )
            ],
            state_operations=[
                migrations.AddField("book", "extra", models.IntegerField(null=True))
            ],
        ),
        """,
    ),
    Case(
        "an index that Django adds concurrently is an index of ours",
        ["addIndex"],
        [
            (
                'name="book_pages")',
                'name="book_pages"), models.Index(fields=["title"], name="book_title")',
            )
        ],
        'postgres.AddIndexConcurrently("book", models.Index(fields=["title"], name="book_title")),',
        atomic=False,
    ),
    Case(
        "a constraint may be added first and validated later",
        ["addCheck", "validateConstraint"],
        [
            (
                "        indexes =",
                "        constraints = [\n"
                '            models.CheckConstraint(condition=Q(pages__gt=0), name="has_pages")\n'
                "        ]\n"
                "        indexes =",
            )
        ],
        """
        postgres.AddConstraintNotValid(
            "book", models.CheckConstraint(condition=Q(pages__gt=0), name="has_pages")
        ),
        postgres.ValidateConstraint("book", "has_pages"),
        """,
    ),
    Case(
        "a field and a model that go are kept aside",
        ["softDropColumn", "softDropTable", "softDropTable"],
        [
            ("    author = models.ForeignKey(Author, models.CASCADE, null=True)\n", ""),
            ('    readers = models.ManyToManyField(Author, related_name="has_read")\n', ""),
            ("class Author(models.Model):\n    name = models.CharField(max_length=50)\n", ""),
        ],
        """
        migrations.RemoveField("book", "author"),
        migrations.RemoveField("book", "readers"),
        migrations.DeleteModel("author"),
        """,
        {"SELECT count(*) FROM _zanith_migration_artifacts": [(3,)]},
    ),
    Case(
        "row security and its policy",
        ["createPolicy", "enableRls"],
        [
            (
                "        indexes =",
                "        constraints = [\n"
                "            RowSecurity(), Policy(name='own', using=Q(pages__gt=0))\n"
                "        ]\n"
                "        indexes =",
            ),
            ("import uuid\n", "import uuid\n\nfrom zanith_django.constraints import *\n"),
        ],
        rows={
            "SELECT relrowsecurity FROM pg_class WHERE relname = 'shop_book'": [(True,)],
            "SELECT polname::text FROM pg_policy": [("own",)],
        },
    ),
    Case(
        "a policy that changes twice in one migration",
        ["createPolicy", "runPython", "alterPolicy", "enableRls", "runPython", "disableRls"],
        [
            (
                "        indexes =",
                "        constraints = [Policy(name='own', roles=['pg_monitor'])]\n"
                "        indexes =",
            ),
            ("import uuid\n", "import uuid\n\nfrom zanith_django.constraints import *\n"),
        ],
        """
        migrations.AddConstraint("book", Policy(name="own")),
        migrations.RunSQL("SELECT 1"),
        migrations.RemoveConstraint("book", "own"),
        migrations.AddConstraint("book", Policy(name="own", roles=["pg_monitor"])),
        migrations.AddConstraint("book", RowSecurity(name="rows")),
        migrations.RunSQL("SELECT 1"),
        migrations.RemoveConstraint("book", "rows"),
        """,
        {"SELECT polroles::regrole[]::text FROM pg_policy": [("{pg_monitor}",)]},
    ),
    Case(
        "a child model has its own table",
        ["createTable"],
        [
            (
                "class Book(",
                "class Poet(Author):\n    verses = models.IntegerField(default=0)\n\n\nclass Book(",
            )
        ],
    ),
    Case(
        "a wider varchar changes in place",
        ["alterColumnType"],
        [("max_length=100", "max_length=200")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_change(case: Case, copy_of: Copy) -> None:
    project = copy_of(a_library).project
    text = MODELS
    for old, new in case.models:
        assert old in text
        text = text.replace(old, new)
    project.write("shop/models.py", text)
    if case.operations:
        project.write("shop/migrations/0002_change.py", migration(case.operations, case.atomic))

    project.manage("release", check=True)

    ran = [kind for (kind,) in project.sql(KINDS)]
    assert [kind for kind in ran if kind in case.kinds or kind not in NAMES] == list(case.kinds)
    for query, rows in case.rows.items():
        assert project.sql(query) == rows


OLD = """
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=50, unique=True)


class Book(models.Model):
    isbn = models.CharField(max_length=20)
    slug = models.SlugField(db_index=False)
    author = models.ForeignKey(Author, models.CASCADE, to_field="name")

    class Meta:
        unique_together = [("isbn", "slug")]
"""

CHANGED_BY_DJANGO = """
migrations.AlterField("book", "isbn", models.CharField(max_length=20, unique=True)),
migrations.AlterField("book", "slug", models.SlugField()),
migrations.RenameField("book", "author", "writer"),
migrations.AlterModelTable("book", "tome"),
"""

RELEASED = """
from django.db import models


class Author(models.Model):
    pen = models.CharField(max_length=50, unique=True)


class Book(models.Model):
    isbn = models.CharField(max_length=20)
    slug = models.SlugField(db_index=False)

    class Meta:
        db_table = "tome"
"""

RELEASE_OPERATIONS = """
migrations.RenameField("author", "name", "pen"),  # Django changes `to_field` in place
migrations.AlterField("book", "isbn", models.CharField(max_length=20)),
migrations.AlterField("book", "slug", models.SlugField(db_index=False)),
migrations.RemoveField("book", "writer"),
migrations.AlterUniqueTogether("book", set()),
"""


def test_names_that_django_chose_long_ago_are_found_by_what_they_name(
    project: BuildProject,
) -> None:
    """Django names a constraint after the table and the operation of the day that made it."""
    shop = project({"shop": OLD})
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.write("shop/migrations/0002_change.py", migration(CHANGED_BY_DJANGO))
    shop.manage("migrate", "-v0", check=True)

    shop.write("shop/models.py", RELEASED)
    text = migration(RELEASE_OPERATIONS).replace("0001_initial", "0002_change")
    shop.write("shop/migrations/0003_release.py", text)
    shop.write("shop/management/commands/release.py", RELEASE)
    shop.manage("release", check=True)

    left = "SELECT conname FROM pg_constraint WHERE conrelid = 'tome'::regclass AND contype <> 'n'"
    assert shop.sql(left) == [("shop_book_pkey",)]

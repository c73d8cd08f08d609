"""What an example of a reason is, and the first migration that all of them follow."""

from __future__ import annotations

from dataclasses import dataclass

DJANGO, ZANITH, SHELL = "Django migration", "zanith file", "command"


@dataclass(frozen=True)
class Form:
    """One change as a file spells it. `code` are functions before the class, `text` its
    operations, one for each line that ends without a comma inside brackets."""

    language: str
    text: str
    atomic: bool = True
    code: str = ""


@dataclass(frozen=True)
class Example:
    """Changes that get a reason, and safer ones that do not.

    `shown_by` names a test that gives the reason on a database: these changes get it only on
    certain rows, objects or roles, which `where` names. `rows` of a table in use, if they matter.
    """

    bad: tuple[Form, ...]
    good: tuple[Form, ...] = ()
    where: str = ""
    shown_by: str = ""
    rows: int = 0


def django(text: str, *, atomic: bool = True, code: str = "") -> Form:
    return Form(DJANGO, text, atomic, code)


def sql(text: str, reverse: str = "", *, atomic: bool = True) -> Form:
    undo = f'"{reverse}"' if reverse else "migrations.RunSQL.noop"
    return django(f'migrations.RunSQL(\n    "{text}",\n    {undo},\n)', atomic=atomic)


def python(body: str, name: str = "fill", *, reverse: str = "migrations.RunPython.noop") -> Form:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"def {name}(apps, schema_editor):\n{lines}"
    undo = f", {reverse}" if reverse else ""
    return django(f"migrations.RunPython({name}{undo})", code=code)


def zanith(text: str) -> Form:
    return Form(ZANITH, text)


def shell(text: str) -> Form:
    return Form(SHELL, text)


HEADER = """\
from django.contrib.postgres.operations import *
from django.db import migrations, models
from django.db.models import Q
"""

FIRST = """\
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Author",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            "Draft",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            "Book",
            [
                ("id", models.AutoField(primary_key=True)),
                ("title", models.CharField(max_length=200)),
                ("isbn", models.CharField(max_length=20, null=True)),
                ("pages", models.IntegerField(null=True)),
                ("stock", models.IntegerField(default=0)),
                ("notes", models.TextField(null=True)),
                ("shelf", models.CharField(max_length=20, db_index=True)),
                ("author", models.ForeignKey("shop.Author", models.CASCADE, null=True)),
                ("editor_id", models.BigIntegerField(null=True)),
            ],
        ),
        migrations.AddIndex("Book", models.Index(fields=["pages"], name="shop_book_pages")),
        migrations.AddConstraint(
            "Book", models.UniqueConstraint(fields=["isbn"], name="shop_book_isbn")
        ),
        AddConstraintNotValid(
            "Book", models.CheckConstraint(condition=Q(stock__gte=0), name="shop_book_stock")
        ),
    ]
"""

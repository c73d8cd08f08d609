"""Recipes of Django's documentation: migrated by Django here and by zanith there, with rows."""

from __future__ import annotations

from tests.corpus import structure
from tests.project import SETTINGS, BuildProject, Project
from tests.servers import Database, Server

FIRST = """
from django.db import migrations, models

KEY = (
    "id",
    models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    ),
)


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Author", [KEY, ("name", models.CharField(max_length=20))]),
        migrations.CreateModel(
            "Book",
            [
                KEY,
                ("title", models.CharField(max_length=20)),
                ("authors", models.ManyToManyField("shop.Author")),
            ],
        ),
    ]
"""

HEAD = """
import django.db.models.deletion
from django.contrib.postgres import operations as postgres
from django.db import migrations, models
from django.db.models import F, Q

KEY = (
    "id",
    models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    ),
)


def shout(apps, schema_editor):
    Book = apps.get_model("shop", "Book")
    for book in Book.objects.all():
        book.code = book.title.upper() + str(book.authors.count())
        book.save()


def link(apps, schema_editor):
    Left, Right = apps.get_model("shop", "Left"), apps.get_model("shop", "Right")
    left = Left.objects.create()
    right = Right.objects.create(left=left)
    Left.objects.update(right=right)


class Migration(migrations.Migration):
    dependencies = [{after}]
    {more}
    operations = [
        {operations}
    ]
"""

RECIPES = {
    # An automatic many-to-many table becomes a model: "Changing a ManyToManyField to use a
    # through model".
    "0002_through": """
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE shop_book_authors RENAME TO shop_authorbook",
                    "ALTER TABLE shop_authorbook RENAME TO shop_book_authors",
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    "AuthorBook",
                    [
                        KEY,
                        ("author", models.ForeignKey("shop.Author", models.DO_NOTHING)),
                        ("book", models.ForeignKey("shop.Book", models.DO_NOTHING)),
                    ],
                    options={"constraints": [
                        models.UniqueConstraint(fields=["book", "author"], name="once")
                    ]},
                ),
                migrations.AlterField(
                    "Book", "authors",
                    models.ManyToManyField("shop.Author", through="shop.AuthorBook"),
                ),
            ],
        ),
        migrations.RunSQL(
            "ALTER TABLE shop_authorbook RENAME CONSTRAINT "
            "shop_book_authors_book_id_author_id_{digest}_uniq TO once",
        ),
        migrations.AddField("AuthorBook", "is_primary", models.BooleanField(default=False)),
    """,
    "0003_by_sql": """
        migrations.RunSQL(
            "ALTER TABLE shop_book ADD COLUMN pages integer NULL",
            "ALTER TABLE shop_book DROP COLUMN pages",
            state_operations=[
                migrations.AddField("Book", "pages", models.IntegerField(null=True))
            ],
        ),
    """,
    "0004_code": """
        migrations.AddField("Book", "code", models.CharField(max_length=30, null=True)),
        migrations.RunPython(shout, migrations.RunPython.noop),
        migrations.AlterField("Book", "code", models.CharField(max_length=30)),
    """,
    "0005_shelf": """
        migrations.AddField(
            "Book", "shelf", models.CharField(max_length=9, default="A1"), preserve_default=False
        ),
    """,
    "0006_not_valid": """
        postgres.AddConstraintNotValid(
            "Book", models.CheckConstraint(condition=~Q(title="x"), name="no_x")
        ),
    """,
    "0007_valid": 'postgres.ValidateConstraint("Book", "no_x"),',
    # Two tables that point at each other, in one transaction, with rows made in between.
    "0008_circle": """
        migrations.CreateModel("Left", [KEY]),
        migrations.CreateModel(
            "Right",
            [
                KEY,
                ("left", models.ForeignKey("shop.Left", models.CASCADE, related_name="+")),
            ],
        ),
        migrations.AddField(
            "Left",
            "right",
            models.ForeignKey("shop.Right", models.CASCADE, null=True, related_name="+"),
        ),
        migrations.RunPython(link, migrations.RunPython.noop),
    """,
    "0009_collation": """
        postgres.CreateCollation("bytewise", provider="libc", locale="C"),
        migrations.AddField(
            "Book", "spine", models.TextField(db_collation="bytewise", default="s")
        ),
    """,
    "0010_concurrently": """
        postgres.AddIndexConcurrently("Book", models.Index(fields=["pages"], name="by_pages")),
        postgres.AddIndexConcurrently("Book", models.Index(fields=["shelf"], name="by_shelf")),
        postgres.RemoveIndexConcurrently("Book", "by_pages"),
    """,
    "0011_left": 'migrations.RenameField("Book", "code", "mark"),',
    "0011_right": 'migrations.RenameModel("Author", "Writer"),',
    "0012_merge": "",
}

AFTER = {"0012_merge": ("0011_left", "0011_right"), "0011_right": ("0010_concurrently",)}
MORE = {"0010_concurrently": "atomic = False"}

# A squash of two, before one of another app runs.
STATS = {
    "0001_initial": ('migrations.CreateModel("Day", [KEY]),', "", ()),
    "0002_sum": (
        'migrations.AddField("Day", "sum", models.IntegerField(default=0)),',
        "",
        ("0001_initial",),
    ),
    "0001_squashed_0002_sum": (
        'migrations.CreateModel("Day", [KEY, ("sum", models.IntegerField(default=0))]),',
        'replaces = [("stats", "0001_initial"), ("stats", "0002_sum")]\n'
        '    run_before = [("shop", "0005_shelf")]',
        (),
    ),
}

SHOP = """
from django.db import models
from django.db.models import Q


class Writer(models.Model):
    name = models.CharField(max_length=20)


class Book(models.Model):
    title = models.CharField(max_length=20)
    authors = models.ManyToManyField(Writer, through="AuthorBook")
    pages = models.IntegerField(null=True)
    mark = models.CharField(max_length=30)
    shelf = models.CharField(max_length=9)
    spine = models.TextField(db_collation="bytewise", default="s")

    class Meta:
        indexes = [models.Index(fields=["shelf"], name="by_shelf")]
        constraints = [models.CheckConstraint(condition=~Q(title="x"), name="no_x")]


class AuthorBook(models.Model):
    author = models.ForeignKey(Writer, models.DO_NOTHING)
    book = models.ForeignKey(Book, models.DO_NOTHING)
    is_primary = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["book", "author"], name="once")]


class Left(models.Model):
    right = models.ForeignKey("Right", models.CASCADE, null=True, related_name="+")


class Right(models.Model):
    left = models.ForeignKey(Left, models.CASCADE, related_name="+")
"""

DAY = """
from django.db import models


class Day(models.Model):
    sum = models.IntegerField(default=0)
"""

ROWS = """
INSERT INTO shop_author (name) VALUES ('Ann'), ('Bob');
INSERT INTO shop_book (title) VALUES ('one'), ('two');
INSERT INTO shop_book_authors (book_id, author_id) VALUES (1, 1), (1, 2), (2, 2);
"""

QUERIES = (
    "SELECT title, pages, mark, shelf, spine FROM shop_book ORDER BY id",
    "SELECT book_id, author_id, is_primary FROM shop_authorbook ORDER BY id",
    "SELECT l.id, l.right_id, r.left_id FROM shop_left l JOIN shop_right r ON r.left_id = l.id",
    "SELECT conname::text, convalidated FROM pg_constraint WHERE conname = 'no_x'",
    "SELECT app, name FROM django_migrations WHERE app IN ('shop', 'stats') ORDER BY 1, 2",
)


def written(project: Project) -> None:
    project.write("shop/migrations/0001_initial.py", FIRST)
    names = ["0001_initial", *RECIPES]
    for number, (name, operations) in enumerate(RECIPES.items()):
        needed = AFTER.get(name, (names[number],))
        after = ", ".join(f'("shop", "{each}")' for each in needed)
        text = HEAD.format(after=after, more=MORE.get(name, ""), operations=operations.strip())
        project.write(f"shop/migrations/{name}.py", text)
    for name, (operations, more, needed) in STATS.items():
        after = ", ".join(f'("stats", "{each}")' for each in needed)
        text = HEAD.format(after=after, more=more, operations=operations)
        project.write(f"stats/migrations/{name}.py", text)


def test_zanith_leaves_what_django_leaves(project: BuildProject, server: Server) -> None:
    theirs = project({"shop": "", "stats": ""})
    theirs.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop", "stats"]))
    name = server.create_database()
    try:
        ours = Project(theirs.root, Database(name, server.url(name)))
        theirs.write("shop/migrations/0001_initial.py", FIRST)
        theirs.manage("migrate", "-v0", check=True)
        ours.manage("migrate", "-v0", check=True)
        unique = "SELECT conname::text FROM pg_constraint WHERE conname ~ 'book_authors.*_uniq$'"
        digest = str(theirs.sql(unique)[0][0]).split("_")[-2]
        RECIPES["0002_through"] = RECIPES["0002_through"].replace("{digest}", digest)
        for each in (theirs, ours):
            for statement in ROWS.strip().splitlines():
                each.sql(statement)
        written(theirs)
        theirs.write("shop/models.py", SHOP)
        theirs.write("stats/models.py", DAY)
        theirs.manage("migrate", "-v0", check=True)

        allowed = ("--max-risk", "100", "--allow-destructive")
        ours.manage("zanith_generate", "shop", "stats", "--no-input", check=True)
        ours.manage("zanith_apply", *allowed, check=True)

        assert theirs.manage("makemigrations", "--check").returncode == 0
        assert structure.compare(theirs.database.url, ours.database.url) == []
        assert structure.compare(ours.database.url, theirs.database.url) == []
        for query in QUERIES:
            assert ours.sql(query) == theirs.sql(query)
        assert ours.manage("migrate", "--check").returncode == 0
    finally:
        server.drop_database(name)

"""Drift that was there before a plan is told apart from what the plan leaves."""

from __future__ import annotations

import json

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases

MODELS = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=20)
    pages = models.IntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["pages"], name="book_pages")]
"""
MORE = MODELS.replace(
    "    class Meta", "    copies = models.IntegerField(null=True)\n\n    class Meta"
)


def with_a_release(releases: Releases) -> None:
    releases.start(MODELS)
    releases.project.write("people/models.py", MORE)
    releases.project.manage("zanith_generate", check=True)


def verdict(project: Project, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
    """The exit code, and kind and origin of every difference."""
    done = project.manage("zanith_verify", "--format", "json", *arguments)
    operations = json.loads(done.stdout)["operations"]
    return done.returncode, [(each["kind"], each["origin"]) for each in operations]


def test_a_correct_release_passes_over_drift_that_was_there_before(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    shop.sql("DROP INDEX book_pages")
    drift = [("addIndex", "before")]
    assert verdict(shop) == (0, drift)
    assert verdict(shop, "--refuse-drift", "before") == (1, drift)
    said = shop.manage("zanith_apply", "--verify", check=True).stdout
    assert "1 difference that existed before the plan" in said
    refused = shop.manage("zanith_apply", "--verify", "--refuse-drift", "any")
    assert refused.returncode == 1


RENAMES = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [
        migrations.RenameField("book", "pages", "leaves"),
        migrations.RenameModel("Book", "Tome"),
    ]
"""


def test_drift_of_what_the_plan_renames_was_there_before(copy_of: Copy) -> None:
    releases = copy_of(lambda given: given.start(MODELS))
    shop = releases.project
    shop.write("people/migrations/0002_renames.py", RENAMES)
    shop.write(
        "people/models.py",
        MODELS.replace("    pages", "    leaves")
        .replace('"pages"', '"leaves"')
        .replace("class Book", "class Tome"),
    )
    shop.manage("zanith_generate", check=True)
    shop.sql("ALTER TABLE people_book ALTER pages SET DEFAULT 7")
    assert verdict(shop) == (0, [("alterColumnDefault", "before")])


LOANS = """
from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Loan", [
            ("id", models.BigAutoField(primary_key=True)), ("days", models.IntegerField()),
        ]),
    ]
"""


def test_what_a_library_leaves_out_of_its_migrations_was_there_before(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    for package in ("loans", "loans/migrations"):
        shop.write(f"{package}/__init__.py", "")
    shop.write("loans/migrations/0001_initial.py", LOANS)
    loan = "class Loan(models.Model):\n    days = models.IntegerField(db_index=True)\n"
    shop.write("loans/models.py", f"from django.db import models\n\n{loan}")
    settings = (shop.root / "settings.py").read_text()
    settings += 'INSTALLED_APPS = [*INSTALLED_APPS, "loans"]\nZANITH = {"APPS": ["people"]}\n'
    shop.write("settings.py", settings)
    assert verdict(shop) == (1, [("addIndex", "plan")])
    shop.manage("migrate", "loans", check=True)
    assert verdict(shop) == (0, [("addIndex", "before")])


def test_what_a_file_forgets_is_refused(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    (file,) = (shop.root / "people/zanith_migrations").glob("2*.py")
    text = file.read_text()
    start = text.index("    operations = [")
    file.write_text(text[:start] + "    operations = []\n")
    drift = [("addColumn", "plan")]
    assert verdict(shop) == (1, drift)
    assert verdict(shop, "--refuse-drift", "before") == (0, drift)
    said = shop.manage("zanith_verify").stdout
    assert "1 difference the plan leaves" in said


def test_generate_prints_drift_and_writes_nothing_for_it(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    assert "Drift" not in shop.manage("zanith_generate", check=True).stdout
    shop.sql("DROP INDEX book_pages")
    said = shop.manage("zanith_generate", check=True).stdout
    assert "Drift: 1 difference between database and models" in said
    assert "addIndex" in said
    assert "zanith_generate --from-diff writes a file for them." in said
    assert len(list((shop.root / "people/zanith_migrations").glob("2*.py"))) == 1

"""zanith_generate: its options, and projects that are more than one plain app."""

from __future__ import annotations

import psycopg

from tests.copies import Copy
from tests.generate.test_generate_cases import RELEASE
from tests.project import SETTINGS, BuildProject, Project
from tests.releases import Releases
from tests.servers import Server

BOOK = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20)
"""

WITH_PAGES = BOOK + "    pages = models.IntegerField(null=True)\n"


def a_shop(releases: Releases) -> None:
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", BOOK)
    project.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    project.manage("zanith_apply", check=True)
    project.sql("INSERT INTO shop_book (title) VALUES ('a')")


def files(project: Project, folder: str = "shop/zanith_migrations") -> list[str]:
    return sorted(path.name for path in (project.root / folder).glob("2*.py"))


# --- options -------------------------------------------------------------------------------------


def test_check_and_dry_run_write_nothing(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    assert shop.manage("zanith_generate", "--check").returncode == 0
    shop.write("shop/models.py", WITH_PAGES)
    check = shop.manage("zanith_generate", "--check")
    assert check.returncode == 1
    assert "shop.0002_book_pages: models changed, no Django migration" in check.stderr
    dry = shop.manage("zanith_generate", "--dry-run", check=True)
    assert "makemigrations would write shop.0002_book_pages" in dry.stdout

    shop.manage("makemigrations", "-v0", check=True)
    check = shop.manage("zanith_generate", "--check")
    assert check.returncode == 1
    assert "shop.0002_book_pages: no zanith migration" in check.stderr
    dry = shop.manage("zanith_generate", "--dry-run", check=True)
    assert "zanith.AddColumn(" in dry.stdout
    assert files(shop) == ["20260101_000000_shop_initial.py"]


def test_check_needs_no_database(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/shop"}
    done = shop.manage("zanith_generate", "--check", env=nowhere, check=True)
    assert done.stdout.splitlines() == [
        "No changes: every migration has its file.",
        "Managed: shop.",
        "Not managed, Django runs their migrations: none.",
    ]


def test_an_empty_file_can_be_filled_by_hand(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    arguments = ("--empty", "shop", "--name", "shout", "--timestamp", "20260102_000000")
    shop.manage("zanith_generate", *arguments, check=True)
    path = shop.root / "shop/zanith_migrations/20260102_000000_shout.py"
    step = 'operations = [zanith.RawSql(sql="UPDATE shop_book SET title = upper(title)")]'
    path.write_text(path.read_text().replace("operations = []", step))
    shop.manage("zanith_apply", "--max-risk", "100", check=True)
    assert shop.sql("SELECT title FROM shop_book") == [("A",)]


def test_drift_becomes_a_file_only_when_asked(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.sql("ALTER TABLE shop_book ALTER title DROP NOT NULL, ADD stranger integer")
    shop.sql("CREATE INDEX by_hand ON shop_book (title)")
    shop.sql("COMMENT ON TABLE shop_book IS 'by hand'; ALTER TABLE shop_book SET (fillfactor = 70)")
    shop.sql(
        "CREATE TRIGGER quiet BEFORE UPDATE ON shop_book FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    diff = shop.manage("zanith_diff", "live", "models")
    assert diff.returncode == 1
    assert "index by_hand on shop_book" in diff.stdout

    shop.manage("zanith_generate", check=True)
    assert len(files(shop)) == 1
    shop.manage("zanith_generate", "--from-diff", check=True)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", check=True)
    left = shop.manage("zanith_diff", "live", "models", check=True)
    assert "5 extras" in left.stdout

    dropped = shop.manage("zanith_generate", "--from-diff", "--drop-extra", check=True)
    assert "Not dropped, no operation does: trigger quiet on shop_book" in dropped.stdout
    shop.manage("zanith_apply", "--max-risk", "80", "--allow-destructive", check=True)
    left = shop.manage("zanith_diff", "live", "models", check=True)
    assert "No difference from live to models." in left.stdout
    assert "1 extra" in left.stdout
    assert len(files(shop)) == 3


def test_a_table_that_no_migration_created_is_refused(project: BuildProject) -> None:
    shop = project({"shop": BOOK})
    shop.sql("CREATE TABLE shop_book (id bigint PRIMARY KEY, title text)")
    done = shop.manage("zanith_generate")
    assert done.returncode == 1
    assert "Table shop_book exists" in done.stderr
    assert "Run zanith_baseline" in done.stderr


# --- projects ------------------------------------------------------------------------------------

CATALOG = """
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=20)
    best_review = models.ForeignKey(
        "reviews.Review", models.SET_NULL, null=True, related_name="+"
    )
"""

REVIEWS = """
from django.conf import settings
from django.contrib.postgres.fields import HStoreField
from django.db import models


class Review(models.Model):
    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="reviews")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    tags = HStoreField(default=dict)
"""

PEOPLE = """
from django.contrib.auth.models import AbstractUser


class Person(AbstractUser):
    pass
"""

HSTORE = """
from django.contrib.postgres.operations import HStoreExtension
from django.db import migrations


class Migration(migrations.Migration):
    operations = [HStoreExtension()]
"""


REPLACED = """
from django.db import migrations, models

OPTIONS = {"auto_created": True, "serialize": False, "verbose_name": "ID"}
KEY = ("id", models.BigAutoField(primary_key=True, **OPTIONS))


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RemoveField("book", "title"),
        migrations.AddField("book", "title", models.CharField(max_length=20, default="new")),
        migrations.RenameModel("Book", "Volume"),
        migrations.CreateModel("Book", [KEY, ("pages", models.IntegerField(null=True))]),
    ]
"""

REPLACED_MODELS = """
from django.db import models


class Volume(models.Model):
    title = models.CharField(max_length=20, default="new")


class Book(models.Model):
    pages = models.IntegerField(null=True)
"""


def test_what_is_replaced_under_its_name_is_new_and_comes_back(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write("shop/models.py", REPLACED_MODELS)
    shop.write("shop/migrations/0002_replaced.py", REPLACED)
    shop.manage("zanith_generate", check=True)
    assert "softDropColumn" in shop.manage("zanith_plan").stdout
    shop.manage("zanith_apply", "--allow-destructive", "--max-risk", "100", check=True)
    assert shop.sql("SELECT title FROM shop_volume") == [("new",)]
    assert shop.sql("SELECT * FROM shop_book") == []
    assert shop.manage("zanith_diff", "models", "live").returncode == 0
    shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert shop.sql("SELECT title FROM shop_book") == [("a",)]


def test_apps_that_point_at_each_other_a_swapped_user_and_an_extension(
    project: BuildProject, server: Server
) -> None:
    with psycopg.connect(server.maintenance_url) as connection:
        found = "SELECT count(*) = 1 FROM pg_available_extensions WHERE name = 'hstore'"
        (tags,) = connection.execute(found).fetchone() or (False,)
    reviews = REVIEWS if tags else REVIEWS.replace("    tags = HStoreField(default=dict)\n", "")
    apps = {"people": PEOPLE, "catalog": CATALOG, "reviews": reviews}
    shop = project(apps, settings='AUTH_USER_MODEL = "people.Person"\n')
    if tags:
        shop.write("reviews/migrations/0001_hstore.py", HSTORE)
    shop.write("catalog/management/commands/release.py", RELEASE)
    shop.manage("release", check=True)
    kinds = {kind for (kind,) in shop.sql("SELECT operation_kind FROM _zanith_migration_steps")}
    assert {"createTable", "addForeignKey"} < kinds
    assert ("createExtension" in kinds) is tags

"""zanith_generate --from empty: applications without Django migrations."""

from __future__ import annotations

import shutil

from tests.project import BuildProject, Project

CATALOG = """
from django.conf import settings
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=20, unique=True)
    best_review = models.ForeignKey("reviews.Review", models.SET_NULL, null=True, related_name="+")
    seller = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    like = models.ManyToManyField("self")

    class Meta:
        db_table = '"goods"."product"'
"""

REVIEWS = """
from django.db import models


class Review(models.Model):
    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="reviews")
    first = models.OneToOneField("Review", models.SET_NULL, null=True)
"""

SHOP = """
from django.db import models


class Basket(models.Model):
    review = models.ForeignKey("reviews.Review", models.CASCADE)
"""

ALLOWED = ("--max-risk", "100", "--allow-destructive")


def kinds(project: Project) -> list[str]:
    """What each file of ours ran, in the order of the files."""
    rows = project.sql(
        "SELECT regexp_replace(migration_id, '^\\d+_\\d+_', ''), string_agg(operation_kind, ' ' "
        "ORDER BY id) FROM _zanith_migration_steps WHERE migration_id NOT LIKE 'django:%' "
        "GROUP BY migration_id ORDER BY migration_id"
    )
    return [f"{name}: {ran}" for name, ran in rows]


def test_apps_in_a_circle_are_made_from_nothing(project: BuildProject) -> None:
    shop = project({"catalog": CATALOG, "reviews": REVIEWS, "shop": SHOP})
    for app in ("catalog", "reviews", "shop"):
        shutil.rmtree(shop.root / app / "migrations")
    shop.manage("zanith_generate", "--from", "empty", "--timestamp", "20260101_000000", check=True)
    shop.manage("zanith_apply", *ALLOWED, check=True)
    assert kinds(shop) == [
        "catalog_initial: createSchema createTable createTable",
        "reviews_initial: createTable",
        "shop_initial: createTable",
        "catalog_foreign_keys: addForeignKey",
    ]
    assert "No difference" in shop.manage("zanith_diff", "models", "live", check=True).stdout
    again = shop.manage("zanith_generate", "--from", "empty", check=True)
    assert again.stdout == "No changes: the files make what the models ask for.\n"

    shop.write("catalog/models.py", CATALOG.replace("unique=True", "null=True"))
    shop.write("shop/models.py", "")
    shop.manage("zanith_generate", "--from", "empty", "--timestamp", "20260102_000000", check=True)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", *ALLOWED, check=True)
    assert kinds(shop)[4:] == [
        "remove_product_name_key_and_more: dropUnique dropIndex alterColumnNullable",
        "remove_shop_basket: softDropTable",
    ]
    assert "No difference" in shop.manage("zanith_diff", "models", "live", check=True).stdout


def test_an_app_with_django_migrations_is_not_for_it(project: BuildProject) -> None:
    shop = project({"shop": "", "reviews": ""})
    shutil.rmtree(shop.root / "reviews" / "migrations")
    done = shop.manage("zanith_generate", "shop", "--from", "empty")
    assert done.returncode == 2
    assert "shop has Django migrations" in done.stderr
    assert "zanith_generate shop writes a file for each of them" in done.stderr


def test_objects_that_a_file_creates_by_hand_exist_before_the_models(project: BuildProject) -> None:
    """An app without Django migrations needs a collation before its tables."""
    models = (
        "from django.db import models\n\n\nclass Word(models.Model):\n"
        "    text = models.TextField(db_collation='own')\n"
    )
    words = project({"words": models})
    shutil.rmtree(words.root / "words" / "migrations")
    refused = words.manage("zanith_generate", "--from", "empty")
    assert refused.returncode == 3
    assert 'collation "own"' in refused.stderr
    words.manage(
        "zanith_generate", "--empty", "words", "--timestamp", "20260101_000000", check=True
    )
    path = words.root / "words/zanith_migrations/20260101_000000_words_by_hand.py"
    made = 'zanith.CreateCollation(collation=zanith.Collation("own", "libc", "C"))'
    path.write_text(path.read_text().replace("operations = []", f"operations = [{made}]"))
    words.manage("zanith_generate", "--from", "empty", "--timestamp", "20260102_000000", check=True)
    words.manage("zanith_apply", *ALLOWED, check=True)
    assert kinds(words)[1].endswith(": createTable")
    assert "No difference" in words.manage("zanith_diff", "models", "live", check=True).stdout

"""What a removed field takes with it stays away when a field of its name comes again."""

from __future__ import annotations

import pytest

from tests.project import BuildProject, Project

MODELS = """
from django.db import models
from django.db.models import Q


class Item(models.Model):
    a = models.IntegerField(default=1)
    b = models.IntegerField(default=2)
    c = models.IntegerField(default=3)

    class Meta:
        unique_together = [("a", "c")]
        constraints = [
            models.UniqueConstraint(name="pair", fields=["a", "b"]),
            models.CheckConstraint(name="positive", condition=Q(a__gt=0) | Q(b__gt=0)),
            models.UniqueConstraint(name="others", fields=["b", "c"]),
        ]
        indexes = [
            models.Index(name="found", fields=["b", "-a"]),
            models.Index("b", name="covering", include=["a"]),
        ]
"""

REMOVED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RemoveField("item", "a"),
        migrations.AddField("item", "a", models.IntegerField(default=1)),
    ]
"""
RENAMED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("item", "new", models.IntegerField(default=1)),
        migrations.RemoveField("item", "a"),
        migrations.RenameField("item", "new", "a"),
    ]
"""
PARTS = """
SELECT conname FROM pg_constraint WHERE conrelid = 'shop_item'::regclass AND contype <> 'n'
UNION ALL SELECT indexrelid::regclass::text FROM pg_index
WHERE indrelid = 'shop_item'::regclass AND NOT indisunique
AND NOT indexrelid::regclass::text LIKE '_zanith_dropped_%'"""


@pytest.mark.parametrize("again", [REMOVED, RENAMED])
def test_what_django_does_not_create_again_is_no_difference_and_is_named(
    project: BuildProject, again: str
) -> None:
    shop = project({"shop": MODELS})
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.manage("migrate", check=True)
    before = parts(shop)
    shop.write("shop/migrations/0002_again.py", again)
    assert "No changes detected" in shop.manage("makemigrations", "--check", check=True).stdout
    shop.manage("zanith_generate", check=True)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive", check=True)
    assert parts(shop) == {"shop_item_pkey", "others"}

    shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert parts(shop) == before
    shop.manage("migrate", check=True)
    assert parts(shop) == {"shop_item_pkey", "others"}

    shown = shop.manage("zanith_diff", "models", "live", check=True).stdout
    assert "No difference" in shown
    for name in ("pair", "positive", "found", "covering"):
        assert f"note: {name} on shop_item does not exist" in shown
    assert shown.count("note: ") == 5


def parts(shop: Project) -> set[str]:
    return {name for (name,) in shop.sql(PARTS)}


KEYED = """
from django.db import models


class Owner(models.Model):
    code = models.CharField(max_length=9, unique=True)


class Doc(models.Model):
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)
    readers = models.ManyToManyField(Owner, related_name="read")
"""
OTHER_KEY = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RemoveField("owner", "id"),
        migrations.AlterField(
            "owner", "code", models.CharField(max_length=9, primary_key=True, serialize=False)
        ),
    ]
"""
RELATIONS = """
SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod),
       count(conname) FILTER (WHERE contype = 'f')
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND relkind = 'r'
LEFT JOIN pg_constraint ON conrelid = attrelid AND attnum = ANY (conkey)
WHERE attname = 'owner_id' AND attrelid::regclass::text LIKE 'shop_%' GROUP BY 1, 2 ORDER BY 1"""


def test_what_points_at_a_removed_key_stays_as_it_is_and_is_named(project: BuildProject) -> None:
    shop = project({"shop": KEYED})
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.manage("migrate", check=True)
    before = shop.sql(RELATIONS)
    shop.write("shop/migrations/0002_other_key.py", OTHER_KEY)
    primary = KEYED.replace("unique=True", "primary_key=True")
    shop.write("shop/models.py", primary)
    shop.manage("zanith_generate", check=True)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive", check=True)
    loose = [("shop_doc.owner_id", "bigint", 0), ("shop_doc_readers.owner_id", "bigint", 0)]
    assert shop.sql(RELATIONS) == loose

    shop.manage("zanith_rollback", "--steps", "1", check=True)
    assert shop.sql(RELATIONS) == before
    shop.manage("migrate", check=True)
    assert shop.sql(RELATIONS) == loose

    shown = " ".join(shop.manage("zanith_diff", "models", "live", check=True).stdout.split())
    assert "No difference" in shown
    for table in ("shop_doc", "shop_doc_readers"):
        assert f"note: owner_id on {table} is bigint, not character varying(9)" in shown
    assert shown.count("does not exist: a migration removed the column or the table") == 2


SWAP = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RenameField("item", "a", "old"),
        migrations.RenameField("item", "c", "a"),
        migrations.RenameField("item", "old", "c"),
    ]
"""


def test_what_follows_a_renamed_column_is_no_difference_and_is_named(project: BuildProject) -> None:
    alike = MODELS.replace("default=3", "default=1").replace('unique_together = [("a", "c")]', "")
    shop = project({"shop": alike})
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.write("shop/migrations/0002_swap.py", SWAP)
    shop.manage("migrate", check=True)
    assert "No changes detected" in shop.manage("makemigrations", "--check", check=True).stdout
    shown = " ".join(shop.manage("zanith_diff", "models", "live", check=True).stdout.split())
    assert "No difference" in shown
    for name in ("pair", "positive", "others", "found", "covering"):
        assert f"note: {name} on shop_item has other columns than its model says" in shown
    shop.sql("DROP INDEX found; CREATE INDEX found ON shop_item (b)")
    assert "found" in shop.manage("zanith_diff", "models", "live").stdout.split("note:")[0]

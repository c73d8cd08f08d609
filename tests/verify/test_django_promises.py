"""No operation of Django does more on the shadow than its plan promises."""

from __future__ import annotations

from tests.copies import Copy
from tests.releases import Releases
from tests.verify.test_observations import surprises, verified

MODELS = """
from django.db import models

class Shelf(models.Model):
    name = models.CharField(max_length=20)

class Tag(models.Model):
    name = models.CharField(max_length=20)

class Old(models.Model):
    tag = models.ForeignKey(Tag, models.CASCADE, null=True)

class Book(models.Model):
    title = models.CharField(max_length=20, db_index=True)
    pages = models.IntegerField(null=True)
    code = models.CharField(max_length=10, null=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)
    gone = models.IntegerField(null=True, db_index=True)
    a = models.IntegerField(default=1)
    b = models.IntegerField(default=1)
    class Meta:
        unique_together = [("a", "b", "title")]
        indexes = [models.Index(fields=["a", "b"], name="ab")]
"""
OPERATIONS = """
AddField("Book", "n1", IntegerField(null=True))
AddField("Book", "n2", IntegerField(default=5))
AddField("Book", "n3", IntegerField(null=True, unique=True))
AddField("Book", "tag", ForeignKey("people.Tag", CASCADE, null=True))
AddField("Book", "tags", ManyToManyField("people.Tag", related_name="+"))
AddField("Book", "one", OneToOneField("people.Tag", CASCADE, null=True, related_name="+"))
AlterField("Book", "pages", BigIntegerField(null=True))
AlterField("Book", "code", CharField(max_length=20, null=True))
AlterField("Book", "code", CharField(max_length=5, null=True))
AlterField("Book", "title", CharField(max_length=20))
AlterField("Book", "title", CharField(max_length=20, unique=True))
AlterField("Book", "pages", BigIntegerField(default=0))
AlterField("Book", "shelf", ForeignKey("people.Shelf", CASCADE, null=True, db_constraint=False))
AddIndex("Book", Index(fields=["pages"], name="pg"))
RenameIndex("Book", new_name="pg2", old_name="pg")
RemoveIndex("Book", "ab")
AddConstraint("Book", CheckConstraint(condition=Q(a__gt=0), name="apos"))
AddConstraint("Book", UniqueConstraint(fields=["id", "a"], name="ida"))
RemoveConstraint("Book", "ida")
AlterUniqueTogether("Book", {("a", "id")})
RenameField("Book", "gone", "gone2")
RemoveField("Book", "gone2")
RemoveField("Book", "tag")
AlterModelTable("Book", "books")
RenameModel("Shelf", "Rack")
AddField("Old", "again", IntegerField(null=True))
DeleteModel("Old")
AlterField("Tag", "id", AutoField(primary_key=True))
"""
MIGRATION = """
from django.db import migrations
from django.db.migrations import *
from django.db.models import *

class Migration(migrations.Migration):
    dependencies = [("people", "{before}")]
    operations = [{operation}]
"""


def with_rows_everywhere(releases: Releases) -> None:
    """Each table has rows."""
    releases.start(MODELS)
    sql = releases.project.sql
    sql("INSERT INTO people_shelf (name) VALUES ('a')")
    sql("INSERT INTO people_tag (name) VALUES ('a')")
    sql("INSERT INTO people_old (tag_id) VALUES (1)")
    sql(
        "INSERT INTO people_book (title, pages, shelf_id, a, b) "
        "SELECT n, n, 1, n, n FROM generate_series(1, 9) n"
    )


def test_no_operation_of_django_does_more_than_its_plan_promises(copy_of: Copy) -> None:
    shop = copy_of(with_rows_everywhere).project
    before = "0001_first"
    for number, operation in enumerate(OPERATIONS.strip().splitlines(), 2):
        text = MIGRATION.format(before=before, operation=operation)
        before = f"{number:04d}_step"
        shop.write(f"people/migrations/{before}.py", text)
    verdict = verified(shop)
    assert verdict["error"] == ""
    assert len(verdict["steps"]) >= len(OPERATIONS.strip().splitlines())
    assert surprises(verdict) == []

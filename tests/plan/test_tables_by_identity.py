"""What a plan knows of a table follows the table, whatever its name is by then."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, BuildProject, Project
from tests.releases import Releases
from tests.timeline.test_django_migrations import KEY, write
from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName as Name
from zanith_django.schema.graph import Column, Index, IndexKey, Table

MODELS = """
from django.db import models


class Item(models.Model):
    amount = models.IntegerField(null=True)

    class Meta:
        db_table = "item"
"""

ROWS = "INSERT INTO {} (amount) SELECT n FROM generate_series(1, 500) AS n"

AMOUNT = Column("amount", "integer")


def table(name: str) -> Table:
    return Table(Name("", name), (AMOUNT,))


def rename(old: str, new: str) -> Operation:
    return ops.RenameTable(old=Name("", old), new=Name("", new))


def drop(name: str) -> Operation:
    return ops.DropTable(table=table(name))


def create(name: str) -> Operation:
    return ops.CreateTable(table=table(name))


def index(name: str) -> Operation:
    return ops.AddIndex(table=Name("", name), index=Index("by_amount", (IndexKey("amount"),)))


def drop_column(name: str) -> Operation:
    return ops.DropColumn(table=Name("", name), column=AMOUNT)


def soft_drop_column(name: str) -> Operation:
    return ops.SoftDropColumn(table=Name("", name), column=AMOUNT)


def raw(text: str) -> Operation:
    return ops.RawSql(sql=text)


@dataclass(frozen=True, slots=True)
class Case:
    """Steps of one file; `level` is that of the last of them."""

    name: str
    steps: tuple[Operation, ...]
    level: str


CASES = (
    Case("soft drop after a rename", (rename("item", "x"), soft_drop_column("x")), "destructive"),
    Case("hard drop after a rename", (rename("item", "x"), drop_column("x")), "destructive"),
    Case("drop of a renamed table", (rename("item", "x"), drop("x")), "destructive"),
    Case(
        "two renames",
        (rename("item", "x"), rename("x", "y"), soft_drop_column("y")),
        "destructive",
    ),
    Case(
        "a full table under the name of a new one that was dropped",
        (create("x"), drop("x"), rename("item", "x"), drop("x")),
        "destructive",
    ),
    Case(
        "a full table under the first name of a new one",
        (create("x"), rename("x", "y"), rename("item", "x"), drop("x")),
        "destructive",
    ),
    Case(
        "a rename in raw SQL",
        (raw("ALTER TABLE item RENAME TO x"), drop("x")),
        "destructive",
    ),
    Case(
        "raw SQL that puts a full table in the place of a new one",
        (create("x"), raw("DROP TABLE x; ALTER TABLE item RENAME TO x"), drop("x")),
        "destructive",
    ),
    Case(
        "a new table that raw SQL fills",
        (create("x"), raw(ROWS.format("x")), drop("x")),
        "destructive",
    ),
    Case("a new table", (create("x"), drop("x")), "safe"),
    Case("a new table under another name", (create("x"), rename("x", "y"), drop("y")), "safe"),
    Case(
        "a new table under the name of a renamed one",
        (rename("item", "x"), create("item"), drop("item")),
        "safe",
    ),
    Case(
        "a new table that raw SQL does not name",
        (create("x"), raw("SELECT 1"), drop("x")),
        "safe",
    ),
    Case("an index after a rename", (rename("item", "x"), index("x")), "low"),
    Case(
        "an index on a full table under the name of a new one",
        (create("x"), rename("x", "y"), rename("item", "x"), index("x")),
        "low",
    ),
    Case("an index on a new table", (create("x"), rename("x", "y"), index("y")), "safe"),
    Case(
        "an index on a new table that raw SQL fills",
        (create("x"), raw(ROWS.format("x")), index("x")),
        "low",
    ),
    Case(
        "a default that is computed for each row",
        (
            rename("item", "x"),
            ops.AddColumn(
                table=Name("", "x"),
                column=Column("key", "uuid", default="gen_random_uuid()"),
            ),
        ),
        "medium",
    ),
)


def a_full_table(releases: Releases) -> None:
    releases.start(MODELS)
    releases.project.sql(ROWS.format("item"))
    releases.project.sql("ANALYZE item")


def planned(project: Project) -> list[dict[str, Any]]:
    done = project.manage("zanith_plan", "--format", "json", "--max-risk", "100")
    plan = json.loads(done.stdout)
    return [step for migration in plan["migrations"] for step in migration["steps"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_steps_are_judged_and_run_by_what_the_table_is(case: Case, copy_of: Copy) -> None:
    releases = copy_of(a_full_table)
    migration = releases.file("case", case.steps)
    steps = planned(releases.project)
    assert steps[-1]["level"] == case.level
    releases.apply()
    ran = releases.project.sql(
        "SELECT sql FROM _zanith_migration_steps WHERE migration_id = %s ORDER BY id", migration
    )
    shown = ["\n".join(f"{each['sql']};" for each in step["statements"]) for step in steps]
    assert [text for (text,) in ran] == shown


# --- operations that Django runs -----------------------------------------------------------------

FIELDS = f'[("id", {KEY}), ("amount", models.IntegerField(null=True))]'
ITEMS = f'migrations.CreateModel("Item", {FIELDS})'
LEGACY = f'migrations.CreateModel("Item", {FIELDS}, options={{"db_table": "legacy"}})'
QUOTED = LEGACY.replace('"legacy"', '\'"public"."le gacy"\'')
TO_ITEM = 'migrations.RenameModel("Old", "Item")'
TO_THING = 'migrations.RenameModel("Item", "Thing")'
MOVED = 'migrations.AlterModelTable("Item", "moved")'
GONE = 'migrations.RemoveField("{}", "amount")'
DELETED = 'migrations.DeleteModel("{}")'
BY_HAND = (
    'migrations.SeparateDatabaseAndState([migrations.RunSQL("ALTER TABLE shop_item RENAME TO moved"'
    f', "")], [{MOVED}])'
)

DJANGO_CASES = {
    "rename, remove": (ITEMS, (TO_THING, GONE.format("Thing")), "destructive"),
    "other table, remove": (ITEMS, (MOVED, GONE.format("Item")), "destructive"),
    "rename, delete": (ITEMS, (TO_THING, DELETED.format("Thing")), "destructive"),
    "delete of a table with a name of its own": (LEGACY, (DELETED.format("Item"),), "destructive"),
    "delete of a table with a quoted name": (QUOTED, (DELETED.format("Item"),), "destructive"),
    "renamed by hand, delete": (ITEMS, (BY_HAND, DELETED.format("Item")), "destructive"),
    "a new model, renamed and deleted": (
        LEGACY.replace("Item", "Other"),
        (ITEMS, TO_THING, GONE.format("Thing"), DELETED.format("Thing")),
        "safe",
    ),
    "the full model under the name of a new one": (
        ITEMS.replace("Item", "Old"),
        (
            ITEMS,
            DELETED.format("Item"),
            'migrations.RenameModel("Old", "Item")',
            GONE.format("Item"),
        ),
        "destructive",
    ),
}


@pytest.mark.parametrize("case", DJANGO_CASES.values(), ids=DJANGO_CASES)
def test_steps_of_django_are_judged_by_what_the_table_is(
    case: tuple[str, tuple[str, ...], str], project: BuildProject
) -> None:
    before, operations, level = case
    shop = project({"shop": "from django.db import models"})
    apps = SETTINGS.format(apps=["zanith_django", "shop"])
    shop.write("settings.py", f"{apps}\nZANITH = {{'APPS': []}}\n")
    write(shop, "0001_initial", before)
    shop.manage("zanith_apply", check=True)
    (name,) = shop.sql(
        "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        "WHERE attname = 'amount' AND c.relkind = 'r'"
    )[0]
    shop.sql(ROWS.format(name))
    for number, operation in enumerate(operations, 2):
        write(shop, f"{number:04d}_next", operation, after=_before(number))
    assert planned(shop)[-1]["level"] == level
    write(shop, "0002_next", *operations, after="0001_initial")
    for number in range(3, len(operations) + 2):
        (shop.root / f"shop/migrations/{number:04d}_next.py").unlink()
    assert planned(shop)[-1]["level"] == level


def _before(number: int) -> str:
    return "0001_initial" if number == 2 else f"{number - 1:04d}_next"

"""What random migrations have found, each as one example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server
from tests.verdict.base import Base
from tests.verdict.example import Example, Written as W

SILENT = "migrations.RunPython.noop"


def sql(text: str) -> W:
    return W(f"migrations.RunSQL({text!r}, {SILENT})")


def example(*operations: W | str, **more: object) -> Example:
    written = tuple(W(each) if isinstance(each, str) else each for each in operations)
    return Example((written,), **more)  # type: ignore[arg-type]  # its own fields


def ours(*operations: W | str, **more: object) -> Example:
    return example(*operations, covered_after="0001_initial", **more)


def python(body: str) -> W:
    lines = f'model = apps.get_model("made", "Item")\n    {body}'
    code = f"def code_1(apps, editor):\n    {lines}\n\n\n"
    return W("migrations.RunPython(code_1, SILENT)", "plain", code)


MORE = 'migrations.AddField("Item", "more", models.IntegerField(null=True))'

FOUND = {
    "a renamed model whose many-to-many table gets another foreign key": example(
        'migrations.RenameModel("Item", "Extra")'
    ),
    "a renamed model that a foreign key references": example(
        'migrations.RenameModel("Maker", "Extra")'
    ),
    "an operation of a migration that is not atomic has its own transaction": example(
        'migrations.RenameModel("Item", "Extra")', atomic=False
    ),
    "a default that is given and dropped again": ours(
        W('migrations.AddField("Item", "first", models.JSONField(default=dict))', "sql")
    ),
    "rows that the step itself fills": ours(
        W('migrations.AlterField("Item", "amount", models.IntegerField(default=5))', "sql"),
        dirty=True,
    ),
    "TRUNCATE of a table that another references": example(sql("TRUNCATE made_item")),
    "a table that does not exist": example(sql("UPDATE made_itm SET amount = 1")),
    "a column that does not exist": example(sql("ALTER TABLE made_item DROP COLUMN weight")),
    "an index on a column that does not exist": ours(sql("CREATE INDEX i ON made_item (weight)")),
    "a constraint that does not exist": example(
        sql("ALTER TABLE made_item DROP CONSTRAINT item_key")
    ),
    "an index that exists": example(sql("CREATE INDEX item_rank ON made_item (amount)")),
    "a view with the name of an index": example(sql("CREATE VIEW item_rank AS SELECT 1 AS one")),
    "a sequence with the name of a table": example(sql("CREATE SEQUENCE made_tag")),
    "a materialized view with the name of a table": example(
        sql("CREATE MATERIALIZED VIEW made_tag AS SELECT 1 AS one")
    ),
    "a sequence that an earlier statement makes": example(
        sql("CREATE SEQUENCE by_sql"), sql("CREATE TABLE by_sql (id integer)")
    ),
    "a table that exists": ours(sql("CREATE TABLE made_tag (id integer)")),
    "a view that Django's CASCADE drops": example(
        'migrations.RemoveField("Item", "name")', extras=("view",)
    ),
    "views and functions of a dropped table": example(
        'migrations.DeleteModel("Tag")', extras=("view of rows", "function")
    ),
    "a view on a column whose type changes": example(
        'migrations.AlterField("Item", "name", models.CharField(max_length=100, null=True))',
        extras=("view",),
    ),
    "a view that the step drops first": ours(
        sql("DROP VIEW seen; ALTER TABLE made_item DROP COLUMN name"), extras=("view",)
    ),
    "a column that a foreign key references": example(
        sql('ALTER TABLE "made_tag" DROP COLUMN "id"')
    ),
    "a key that a foreign key needs": example(
        sql("ALTER TABLE made_tag DROP CONSTRAINT made_tag_pkey")
    ),
    "a table that a foreign key references": ours(sql("DROP TABLE made_maker")),
    "a check that rows violate": example(
        'migrations.AddConstraint("Item", models.CheckConstraint(condition=Q(amount__gt=0), '
        'name="made_1"))',
        dirty=True,
    ),
    "a unique index on an expression that rows repeat": ours(
        sql("CREATE UNIQUE INDEX i ON made_item (lower(name))"), dirty=True
    ),
    "an exclusion that rows violate": ours(
        sql("ALTER TABLE made_item ADD EXCLUDE USING btree (name WITH =)"), dirty=True
    ),
    "a table whose name Python makes": ours(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    table = apps.get_model("made", "Item")._meta.db_table\n'
            '    editor.execute(f"UPDATE {table} SET amount = 1")\n\n\n',
        )
    ),
    "a type that no cast leads to, on an empty table": ours(
        'migrations.AlterField("Item", "made", models.IntegerField(null=True))', rows=0
    ),
    "a check that does not know the new type": example(
        'migrations.AlterField("Item", "rank", models.TextField(null=True))'
    ),
    "an unlogged table that a logged one references": ours(
        sql("ALTER TABLE made_maker SET UNLOGGED")
    ),
    "a constraint on a column that does not exist": example(
        sql("ALTER TABLE made_item ADD CONSTRAINT k UNIQUE (weight)")
    ),
    "a default that the check of its own column refuses": example(
        'migrations.AddField("Maker", "first", models.PositiveIntegerField(default=-1))'
    ),
    "a default that a later check refuses": ours(
        'migrations.AddField("Item", "first", models.IntegerField(default=-1))',
        'migrations.AddConstraint("Item", models.CheckConstraint(condition=Q(first__gt=0), '
        'name="made_1"))',
    ),
    "a default that refers to no row": ours(
        'migrations.AddField("Item", "first", models.ForeignKey("Maker", CASCADE, default=9999, '
        'related_name="+"))'
    ),
    "a default that is called, and its check": example(
        'migrations.AddField("Item", "first", models.TextField(default=uuid.uuid4))',
        'migrations.AddConstraint("Item", models.CheckConstraint('
        'condition=Q(first__contains="-"), name="made_1"))',
    ),
    "values of a column that SQL renames and retypes": example(
        sql(
            "ALTER TABLE made_item RENAME name TO title; "
            "ALTER TABLE made_item ALTER title TYPE integer USING title::integer"
        )
    ),
    "nulls of a column that Django renames": example(
        'migrations.RenameField("Item", "amount", "more")',
        'migrations.AlterField("Item", "more", models.IntegerField())',
        dirty=True,
    ),
    "an index on a condition, when the type of its column changes": example(
        'migrations.AddConstraint("Item", models.UniqueConstraint(fields=["code"], '
        'name="made_1", condition=Q(id__gt=3)))',
        'migrations.AlterField("Item", "code", models.TextField(null=True))',
    ),
    "a policy that the new type does not fit": ours(
        'migrations.AlterField("Item", "active", models.IntegerField(null=True))',
        extras=("policy",),
        atomic=False,
    ),
    "an index that Django builds after rows were deleted with their parents": example(
        'migrations.AddField("Item", "first", '
        "models.CharField(max_length=20, default='new', db_index=True))",
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    model = apps.get_model("made", "Maker")\n'
            "    [row.delete() for row in model.objects.all()[:2]]\n\n\n",
        ),
    ),
    "a table whose rows SQL with its model's name deleted": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    model = apps.get_model("made", "Maker")\n'
            "    editor.execute(f'DELETE FROM {model._meta.db_table}')\n\n\n",
        ),
        'migrations.AddField("Maker", "first", models.IntegerField(db_default=7))',
        rows=0,
    ),
    "a foreign key that is checked when the transaction ends": example(
        sql("DELETE FROM made_item WHERE id < 9"),
        'AddConstraintNotValid("Maker", '
        'models.CheckConstraint(condition=Q(id__lt=30), name="made_1"))',
        'ValidateConstraint("Maker", "made_1")',
    ),
    "a table that SQL renames, empties and renames back": example(
        sql(
            "ALTER TABLE made_tag RENAME TO gone; DELETE FROM gone; "
            "ALTER TABLE gone RENAME TO made_tag"
        ),
        'migrations.AlterField("Tag", "word", models.TextField(null=True))',
        rows=0,
    ),
    "values that are the same in the new type": ours(
        'migrations.AlterField("Item", "rank", models.BooleanField(default=False))', dirty=True
    ),
    "a column that is renamed and set aside": ours(
        'migrations.AlterField("Item", "price", '
        "models.IntegerField(null=True, db_column='spelled'))"
    ),
    "a foreign key that is settled, and another that waits": example(
        sql("DELETE FROM made_item"),
        'migrations.AlterField("Item", "maker", '
        "models.ForeignKey('made.Maker', CASCADE, null=True, db_constraint=False))",
    ),
    "rows that get another foreign key": example(sql("UPDATE made_item SET maker_id = 3"), MORE),
    "rows that get another foreign key by Python": example(
        python("model.objects.update(maker=3)"), MORE
    ),
    "rows that Python saves with another foreign key": example(
        python("for item in model.objects.all():\n        item.maker_id = 3\n        item.save()"),
        MORE,
    ),
    "a row that Python makes": example(
        python("model(made='2026-01-01 00:00Z', maker_id=3, code='new').save()"), MORE
    ),
    "rows that a query inserts": example(
        sql("INSERT INTO made_item_tags (item_id, tag_id) SELECT i.id, 9 FROM made_item i LIMIT 1"),
        sql("ALTER TABLE made_item_tags ADD COLUMN more integer"),
    ),
    "a type that has no cast, of a table that an earlier step empties": Example(
        (
            (W('migrations.RemoveConstraint("Item", "item_ck")'),),
            (
                python("model.objects.all().delete()"),
                W('migrations.AlterField("Item", "rank", models.JSONField(null=True))'),
            ),
        ),
        covered_after="0001_initial",
        atomic=False,
    ),
    "a view that decides how a type changes": ours(
        'migrations.AlterField("Item", "id", models.BigAutoField(primary_key=True))',
        rows=0,
        extras=("view",),
    ),
    "a value for all rows of a table that only an index named before": ours(
        sql("CREATE UNIQUE INDEX made_2 ON made_item (words)"),
        sql("ALTER TABLE made_item ADD COLUMN first integer DEFAULT 1 NOT NULL UNIQUE"),
        rows=0,
    ),
    "an index that no model declares": example(
        sql("DROP INDEX IF EXISTS by_hand"), extras=("index",)
    ),
    "an index of a table that an earlier step drops": ours(
        sql("DO $$ BEGIN EXECUTE 'DROP TABLE made_item CASCADE'; END $$"),
        'migrations.RemoveIndex("Item", "item_rank")',
    ),
    "statements of one query are one transaction": example(
        sql("ALTER TABLE made_maker RENAME TO other; DELETE FROM other"), atomic=False
    ),
    "a DO block is one transaction": example(
        sql(
            "DO $$ BEGIN ALTER TABLE made_tag ADD more integer; "
            "UPDATE made_tag SET word = word || '!'; END $$"
        ),
        atomic=False,
    ),
    "a concurrent build in a query with another statement": example(
        sql("CREATE INDEX CONCURRENTLY i ON made_item (amount); ANALYZE made_item"), atomic=False
    ),
    "a lock that needs a transaction": example(sql('LOCK TABLE "made_tag"'), atomic=False),
    "a table that is dropped after its rows were saved": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    for row in apps.get_model("made", "Item").objects.all():\n'
            "        row.save()\n\n\n",
        ),
        'migrations.RenameField("Item", "note", "first")',
        'migrations.DeleteModel("Item")',
        extras=("materialized view",),
    ),
    "a table that is changed after its rows were deleted": example(
        sql("DELETE FROM made_item_tags; DELETE FROM made_item"),
        'migrations.AddField("Item", "first", models.TextField(null=True))',
    ),
    "a table that Django drops and creates again": example(
        'migrations.RemoveField("Item", "tags")',
        'migrations.DeleteModel("Tag")',
        'migrations.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))])',
    ),
    "a renamed table that a query reads under its old name": example(
        'migrations.RenameModel("Maker", "Extra")',
        sql(
            "MERGE INTO made_tag USING made_maker m ON made_tag.id = m.id WHEN MATCHED THEN DELETE"
        ),
    ),
    "relations that code clears": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    for row in apps.get_model("made", "Item").objects.all():\n'
            "        row.tags.clear()\n\n\n",
        ),
    ),
    "relations that code clears under another name": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    for row in apps.get_model("made", "Item").objects.all():\n'
            "        related = row.tags\n"
            "        related.clear()\n\n\n",
        ),
    ),
    "rows of every model": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    for model in apps.get_app_config("made").get_models():\n'
            "        model.objects.all().delete()\n\n\n",
        ),
    ),
    "relations that code replaces, from the other side": example(
        W(
            "migrations.RunPython(code_1, SILENT)",
            code="def code_1(apps, editor):\n"
            '    row = apps.get_model("made", "Tag").objects.first()\n'
            "    row.item_set.set([])\n\n\n",
        ),
    ),
    "a sequence that starts again": ours(sql("ALTER SEQUENCE made_item_id_seq RESTART")),
    "rows that a function deletes": ours(
        sql(
            "CREATE FUNCTION gone() RETURNS void LANGUAGE sql AS 'DELETE FROM made_item_tags'; "
            "SELECT gone()"
        )
    ),
    "rows that a prepared statement deletes": example(
        sql("PREPARE gone AS DELETE FROM made_item_tags; EXECUTE gone")
    ),
}


@pytest.fixture(scope="module")
def base(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    made = Base(server, tmp_path_factory.mktemp("found"))
    yield made
    made.close()


@pytest.mark.parametrize("name", FOUND)
def test_the_plan_says_what_happens(name: str, base: Base) -> None:
    assert base.tried(FOUND[name]) == []

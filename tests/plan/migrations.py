"""Django migrations over the same first one, and the verdict on each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEADER = """
import uuid

import django.contrib.postgres.constraints as exclusions
import django.contrib.postgres.fields as arrays
from django.contrib.postgres.operations import *
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.deletion import CASCADE
from django.db.models.functions import Lower, Now, Random

KEY = models.BigAutoField(primary_key=True)
"""

FIRST = """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Parent", [("id", KEY), ("code", models.IntegerField(null=True))]),
        migrations.CreateModel("Item", [
            ("id", models.AutoField(primary_key=True)),
            ("amount", models.IntegerField(null=True)),
            ("name", models.CharField(max_length=50, null=True)),
            ("rank", models.IntegerField(default=1)),
            ("price", models.DecimalField(max_digits=10, decimal_places=2, null=True)),
            ("note", models.TextField(null=True)),
            ("made", models.DateTimeField(null=True)),
            ("active", models.BooleanField(default=True)),
            ("tags", arrays.ArrayField(models.CharField(max_length=10), null=True)),
            ("parent", models.ForeignKey("{app}.Parent", CASCADE, null=True)),
            ("indexed", models.CharField(max_length=50, db_index=True)),
            ("code", models.CharField(max_length=10, db_default="x")),
        ]),
        migrations.AddIndex("Item", models.Index(fields=["rank"], name="{app}_rank")),
    ]
"""

SECOND = """
class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("{app}", "0001_initial")]
    operations = [
{operations}
    ]
"""


@dataclass(frozen=True)
class Case:
    """Operations of one migration. `reasons` name the real danger: all of them must be given;
    `never` must not. `T` in SQL stands for the table."""

    name: str
    operations: str
    level: str
    reasons: str = ""
    never: str = ""
    atomic: bool = True
    code: str = ""

    @property
    def app(self) -> str:
        return "_".join(self.name.replace(",", "").replace("'", "").lower().split())[:30]


def field(given: str, name: str = "more") -> str:
    return f'migrations.AddField("Item", "{name}", {given})'


def alter(name: str, given: str) -> str:
    return f'migrations.AlterField("Item", "{name}", {given})'


def sql(text: str, reverse: str = "''") -> str:
    return f"migrations.RunSQL({text!r}, {reverse})"


def constraint(given: str) -> str:
    return f'migrations.AddConstraint("Item", {given})'


CHECK = 'models.CheckConstraint(condition=Q(amount__gt=0), name="{app}_ck")'
BROKEN = "breaks_running_code"

SAFE = (
    Case("help text", alter("amount", "models.IntegerField(null=True, help_text='x')"), "safe"),
    Case("choices", alter("amount", "models.IntegerField(null=True, choices=[(1, 'a')])"), "safe"),
    Case("python default", alter("rank", "models.IntegerField(default=2)"), "safe"),
    Case("wider varchar", alter("name", "models.CharField(max_length=90, null=True)"), "safe"),
    Case("varchar to text", alter("name", "models.TextField(null=True)"), "safe"),
    Case(
        "wider numeric",
        alter("price", "models.DecimalField(max_digits=12, decimal_places=2, null=True)"),
        "safe",
    ),
    Case("drop not null", alter("rank", "models.IntegerField(null=True)"), "safe"),
    Case("nullable column", field("models.IntegerField(null=True)"), "safe"),
    Case("constant in the database", field("models.IntegerField(db_default=5)"), "safe"),
    Case("clock in the database", field("models.DateTimeField(db_default=Now())"), "safe"),
    Case("options", 'migrations.AlterModelOptions("Item", {{"ordering": ["id"]}})', "safe"),
    Case("table comment", 'migrations.AlterModelTableComment("Item", "x")', "safe"),
    Case(
        "rename index",
        'migrations.RenameIndex("Item", old_name="{app}_rank", new_name="{app}_r2")',
        "safe",
    ),
    Case("many to many", field("models.ManyToManyField('{app}.Parent', related_name='+')"), "safe"),
    Case(
        "new model",
        'migrations.CreateModel("New", [("id", KEY), ("x", models.IntegerField('
        'db_index=True)), ("y", models.TextField(unique=True))])',
        "safe",
    ),
    Case(
        "new model changed",
        'migrations.CreateModel("New", [("id", KEY), ("x", models.'
        'IntegerField())]), migrations.AddConstraint("New", models.UniqueConstraint(fields=["x"],'
        ' name="{app}_u")), migrations.AlterField("New", "x", models.BigIntegerField()), '
        'migrations.RenameModel("New", "Newer"), migrations.DeleteModel("Newer")',
        "safe",
    ),
    Case(
        "state only",
        "migrations.SeparateDatabaseAndState(state_operations=["
        'migrations.RemoveField("Item", "name")])',
        "safe",
    ),
    Case("python noop", "migrations.RunPython(migrations.RunPython.noop)", "safe"),
    Case("comment in SQL", sql("COMMENT ON TABLE T IS 'x'"), "safe"),
    Case("nullable column in SQL", sql("ALTER TABLE T ADD COLUMN more integer"), "safe"),
    Case("check not valid", f'AddConstraintNotValid("Item", {CHECK})', "low", "adds_check"),
    Case(
        "concurrent index",
        'AddIndexConcurrently("Item", models.Index(fields=["amount"], name="{app}_a"))',
        "low",
        "adds_index",
        atomic=False,
    ),
    Case(
        "concurrent removal",
        'RemoveIndexConcurrently("Item", "{app}_rank")',
        "low",
        "drops_index",
        atomic=False,
    ),
    Case(
        "validate alone",
        f'AddConstraintNotValid("Item", {CHECK}), ValidateConstraint("Item", "{{app}}_ck")',
        "high",
        f"scans_table {BROKEN}",
        "locks_reads",
        atomic=False,
    ),
    Case("insert in SQL", sql("INSERT INTO T (rank, code) VALUES (1, 'x')"), "low", "inserts_rows"),
    Case(
        "constraint that code knows",
        "migrations.SeparateDatabaseAndState(state_operations=["
        'migrations.AddField("Item", "more", models.IntegerField(null=True))])',
        "safe",
    ),
)

COLUMNS = (
    Case("required column", field("models.IntegerField(default=5)"), "high", BROKEN),
    Case(
        "required foreign key",
        field("models.ForeignKey('{app}.Parent', CASCADE, default=1)"),
        "high",
        f"{BROKEN} adds_foreign_key locks_reads",
    ),
    Case(
        "foreign key",
        field("models.ForeignKey('{app}.Parent', CASCADE, null=True, related_name='+')"),
        "high",
        "adds_foreign_key locks_reads",
        BROKEN,
    ),
    Case(
        "column with index",
        field("models.IntegerField(null=True, db_index=True)"),
        "high",
        "adds_index locks_reads",
        BROKEN,
    ),
    Case(
        "positive column",
        field("models.PositiveIntegerField(null=True)"),
        "high",
        "locks_reads",
        BROKEN,
    ),
    Case(
        "unique column",
        field("models.IntegerField(null=True, unique=True)"),
        "high",
        "adds_unique_constraint locks_reads",
        BROKEN,
    ),
    Case(
        "one uuid for all",
        field("models.UUIDField(default=uuid.uuid4, unique=True)"),
        "blocked",
        "will_fail_on_data",
    ),
    Case(
        "random in the database",
        field("models.FloatField(db_default=Random())"),
        "high",
        "rewrites_table locks_reads",
        BROKEN,
    ),
    Case(
        "stored generated",
        field(
            "models.GeneratedField(expression=F('amount') * 2, "
            "output_field=models.IntegerField(), db_persist=True)"
        ),
        "high",
        "rewrites_table",
        BROKEN,
    ),
    Case(
        "remove field",
        'migrations.RemoveField("Item", "name")',
        "destructive",
        f"drops_column_with_data {BROKEN}",
    ),
    Case(
        "remove foreign key",
        'migrations.RemoveField("Item", "parent")',
        "destructive",
        f"drops_column_with_data drops_foreign_key {BROKEN}",
    ),
    Case(
        "rename field",
        'migrations.RenameField("Item", "name", "title")',
        "high",
        f"rename_column {BROKEN}",
    ),
    Case(
        "int to bigint",
        alter("amount", "models.BigIntegerField(null=True)"),
        "high",
        "rewrites_table locks_reads",
        BROKEN,
    ),
    Case(
        "int to smallint",
        alter("amount", "models.SmallIntegerField(null=True)"),
        "high",
        f"narrows_column_type rewrites_table {BROKEN}",
    ),
    Case(
        "int to varchar",
        alter("amount", "models.CharField(max_length=20, null=True)"),
        "high",
        f"rewrites_table {BROKEN}",
    ),
    Case(
        "bool to int",
        alter("active", "models.IntegerField(default=1)"),
        "high",
        f"rewrites_table {BROKEN}",
    ),
    Case(
        "text to json",
        alter("note", "models.JSONField(null=True)"),
        "high",
        f"rewrites_table {BROKEN}",
    ),
    Case(
        "text to varchar",
        alter("note", "models.CharField(max_length=9, null=True)"),
        "high",
        f"narrows_column_type {BROKEN}",
    ),
    Case(
        "narrower varchar",
        alter("name", "models.CharField(max_length=9, null=True)"),
        "high",
        f"narrows_column_type {BROKEN}",
    ),
    Case(
        "another scale",
        alter("price", "models.DecimalField(max_digits=10, decimal_places=4, null=True)"),
        "high",
        "rewrites_table",
    ),
    Case(
        "longer array items",
        alter("tags", "arrays.ArrayField(models.CharField(max_length=20), null=True)"),
        "high",
        "rewrites_table",
        BROKEN,
    ),
    Case(
        "datetime to date",
        alter("made", "models.DateField(null=True)"),
        "high",
        f"rewrites_table {BROKEN}",
    ),
    Case(
        "not null",
        alter("amount", "models.IntegerField(default=0)"),
        "high",
        f"changes_column_nullable_to_not_null locks_reads {BROKEN}",
    ),
    Case(
        "wider key",
        alter("id", "models.BigAutoField(primary_key=True)"),
        "high",
        "rewrites_table locks_reads",
    ),
    Case(
        "index by option",
        alter("amount", "models.IntegerField(null=True, db_index=True)"),
        "medium",
        "adds_index locks_writes",
    ),
    Case(
        "unique by option",
        alter("amount", "models.IntegerField(null=True, unique=True)"),
        "high",
        f"adds_unique_constraint locks_reads {BROKEN}",
    ),
    Case(
        "one to one",
        alter("parent", "models.OneToOneField('{app}.Parent', CASCADE, null=True)"),
        "high",
        f"adds_unique_constraint {BROKEN}",
    ),
    Case(
        "collation of an indexed column",
        alter("indexed", "models.CharField(max_length=50, db_index=True, db_collation='C')"),
        "high",
        "rebuilds_indexes locks_reads",
    ),
    Case("default gone", alter("code", "models.CharField(max_length=10)"), "high", BROKEN),
)

OTHERS = (
    Case(
        "index",
        'migrations.AddIndex("Item", models.Index(fields=["amount"], name="{app}_a"))',
        "medium",
        "adds_index locks_writes",
    ),
    Case(
        "expression index",
        'migrations.AddIndex("Item", models.Index(Lower("name"), name="{app}_l"))',
        "medium",
        "adds_index locks_writes",
    ),
    Case(
        "remove index",
        'migrations.RemoveIndex("Item", "{app}_rank")',
        "medium",
        "drops_index_blocking",
    ),
    Case(
        "concurrent in a transaction",
        'AddIndexConcurrently("Item", models.Index(fields=["amount"], name="{app}_a"))',
        "blocked",
        "fails_in_transaction",
    ),
    Case(
        "unique",
        constraint('models.UniqueConstraint(fields=["amount"], name="{app}_u")'),
        "high",
        f"adds_unique_constraint locks_reads {BROKEN}",
    ),
    Case(
        "conditional unique",
        constraint(
            'models.UniqueConstraint(fields=["amount"], condition=Q(rank=1), name="{app}_u")'
        ),
        "high",
        "adds_unique_constraint locks_writes",
    ),
    Case(
        "unique together",
        'migrations.AlterUniqueTogether("Item", {{("amount", "rank")}})',
        "high",
        f"adds_unique_constraint locks_reads {BROKEN}",
    ),
    Case(
        "check",
        constraint(CHECK),
        "high",
        f"adds_check locks_reads {BROKEN}",
        "adds_unique_constraint",
    ),
    Case(
        "exclusion",
        constraint(
            'exclusions.ExclusionConstraint(name="{app}_e", expressions=['
            '(models.Func("amount", "rank", function="int4range"), "&&")])'
        ),
        "high",
        "locks_reads",
    ),
    Case(
        "validate in the same transaction",
        f'AddConstraintNotValid("Item", {CHECK}), ValidateConstraint("Item", "{{app}}_ck")',
        "high",
        "scans_table locks_reads",
    ),
    Case(
        "delete model",
        'migrations.DeleteModel("Item")',
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "rename model", 'migrations.RenameModel("Item", "Thing")', "high", f"rename_table {BROKEN}"
    ),
    Case(
        "another table",
        'migrations.AlterModelTable("Item", "{app}_things")',
        "high",
        f"rename_table {BROKEN}",
    ),
    Case(
        "separate, second operation",
        "migrations.SeparateDatabaseAndState(database_operations=["
        + field("models.IntegerField(null=True)")
        + ", "
        + sql("DROP TABLE T CASCADE")
        + "])",
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "separate, in another",
        "migrations.SeparateDatabaseAndState(database_operations=["
        "migrations.SeparateDatabaseAndState(database_operations=["
        + sql("ALTER TABLE T DROP COLUMN name")
        + "])])",
        "destructive",
        f"drops_column_with_data {BROKEN}",
    ),
    Case(
        "column under a data step",
        field("models.IntegerField(null=True)")
        + ", "
        + sql("UPDATE T SET more = 1 WHERE amount = 1"),
        "high",
        "locks_reads",
    ),
    Case(
        "a released removal",
        "migrations.SeparateDatabaseAndState(state_operations=["
        'migrations.RemoveField("Item", "name")]), ' + sql("ALTER TABLE T DROP COLUMN name"),
        "destructive",
        "drops_column_with_data",
    ),
)

RAW = (
    Case(
        "drop table in SQL",
        sql("DROP TABLE T CASCADE"),
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "drop column in SQL",
        sql("ALTER TABLE T DROP COLUMN name"),
        "destructive",
        f"drops_column_with_data {BROKEN}",
    ),
    Case("truncate", sql("TRUNCATE T"), "destructive", "deletes_all_rows"),
    Case("update all", sql("UPDATE T SET amount = 1"), "high", "updates_all_rows"),
    Case(
        "update some", sql("UPDATE T SET amount = 1 WHERE rank = 2"), "medium", "requires_backfill"
    ),
    Case(
        "update with parameters",
        "migrations.RunSQL([('UPDATE T SET name = %s', ['x'])], '')",
        "high",
        "updates_all_rows",
    ),
    Case("delete all", sql("DELETE FROM T"), "destructive", "deletes_all_rows"),
    Case("delete some", sql("DELETE FROM T WHERE rank = 2"), "high", "deletes_rows"),
    Case(
        "not null in SQL",
        sql("ALTER TABLE T ALTER COLUMN amount SET NOT NULL"),
        "high",
        f"changes_column_nullable_to_not_null locks_reads {BROKEN}",
    ),
    Case(
        "index in SQL",
        sql("CREATE INDEX {app}_x ON T (amount)"),
        "medium",
        "adds_index locks_writes",
    ),
    Case(
        "accepts an invalid index",
        sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS {app}_x ON T (amount)"),
        "medium",
        "accepts_existing",
        atomic=False,
    ),
    Case("vacuum full", sql("VACUUM FULL T"), "high", "rewrites_table locks_reads", atomic=False),
    Case("cluster", sql("CLUSTER T USING {app}_rank"), "high", "rewrites_table locks_reads"),
    Case("lock table", sql("LOCK TABLE T"), "high", "locks_reads"),
    Case("reindex", sql("REINDEX TABLE T"), "high", "reindexes locks_writes"),
    Case(
        "rename and drop in SQL",
        sql("ALTER TABLE T RENAME TO {app}_x; DROP TABLE {app}_x"),
        "destructive",
        f"drops_table_with_data rename_table {BROKEN}",
    ),
    Case(
        "several statements",
        sql("SELECT 1; ALTER TABLE T DROP COLUMN name; SELECT 2"),
        "destructive",
        "drops_column_with_data",
    ),
    Case(
        "a block that drops",
        sql("DO $$ BEGIN IF true THEN DROP TABLE T; END IF; END $$"),
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "a block that builds its SQL",
        sql("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'x'); END $$"),
        "destructive",
        "may_drop raw_sql",
    ),
    Case("no SQL", sql("DROP ALL THE THINGS"), "destructive", "may_drop raw_sql"),
    Case("a function", sql("SELECT clean_up()"), "high", "raw_sql calls_functions"),
    Case(
        "without reverse",
        "migrations.RunSQL('INSERT INTO T (rank) VALUES (1)')",
        "medium",
        "inserts_rows irreversible",
    ),
    Case("commit", sql("COMMIT"), "high", "ends_transaction"),
    Case("revoke", sql("REVOKE SELECT ON T FROM PUBLIC"), "high", f"changes_rights {BROKEN}"),
)


def run_python(name: str, code: str, level: str, reasons: str, never: str = "") -> Case:
    operation = "migrations.RunPython(forwards, migrations.RunPython.noop)"
    body = "\n".join(f"    {line}" for line in code.splitlines())
    model = '    Item = apps.get_model("{app}", "Item")\n'
    return Case(
        name,
        operation,
        level,
        reasons,
        never,
        code=f"def forwards(apps, schema_editor):\n{model}{body}\n",
    )


PYTHON = (
    run_python(
        "a loop over all rows",
        "for item in Item.objects.all():\n    item.amount = 1\n    item.save()",
        "medium",
        "loops_over_rows",
    ),
    run_python(
        "a loop by iterator",
        "for item in Item.objects.iterator():\n    item.save()",
        "medium",
        "loops_over_rows",
    ),
    run_python(
        "a loop over some",
        "for item in Item.objects.filter(rank=1):\n    item.save()",
        "medium",
        "requires_backfill",
        "loops_over_rows",
    ),
    run_python("update of all", "Item.objects.update(amount=1)", "high", "updates_all_rows"),
    run_python(
        "update of some",
        "Item.objects.filter(rank=1).update(amount=1)",
        "medium",
        "requires_backfill",
        "updates_all_rows",
    ),
    run_python(
        "update through a name",
        "items = Item.objects.using('x')\nitems.update(amount=1)",
        "high",
        "updates_all_rows",
    ),
    run_python("delete of all", "Item.objects.all().delete()", "destructive", "deletes_all_rows"),
    run_python(
        "delete of some",
        "Item.objects.filter(rank=1).delete()",
        "high",
        "deletes_rows",
        "deletes_all_rows",
    ),
    run_python(
        "a cursor",
        "with schema_editor.connection.cursor() as cursor:\n"
        "    cursor.execute('DROP TABLE {app}_item')",
        "destructive",
        "drops_table_with_data",
    ),
    run_python(
        "a text built in Python",
        "schema_editor.execute(f'TRUNCATE {{Item._meta.db_table}}')",
        "destructive",
        "deletes_all_rows",
    ),
    run_python("an unknown text", "schema_editor.execute(Item.text)", "high", "raw_sql"),
    run_python("the schema editor", "schema_editor.delete_model(Item)", "destructive", "may_drop"),
    run_python("code of a package", "import json\njson.dumps(Item, apps)", "medium", "python_code"),
    run_python(
        "a model of today",
        "from django.contrib.contenttypes.models import ContentType\n"
        "ContentType.objects.filter(pk=1).delete()",
        "high",
        "imports_models deletes_rows",
    ),
    run_python("rows that are added", "Item.objects.create(rank=1)", "medium", "inserts_rows"),
    Case(
        "a lambda",
        'migrations.RunPython(lambda apps, editor: apps.get_model("{app}.Item")'
        ".objects.all().delete())",
        "destructive",
        "deletes_all_rows irreversible",
    ),
    Case(
        "a helper",
        "migrations.RunPython(forwards, migrations.RunPython.noop)",
        "destructive",
        "deletes_all_rows",
        code="def clean(model):\n    model.objects.all().delete()\n\n\n"
        'def forwards(apps, editor):\n    clean(apps.get_model("{app}", "Item"))\n',
    ),
    Case(
        "an operation of the project",
        "Clean()",
        "destructive",
        "deletes_all_rows",
        code="class Clean(migrations.operations.base.Operation):\n"
        "    def state_forwards(self, app_label, state):\n        pass\n\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        editor.execute('DELETE FROM {app}_item')\n",
    ),
    Case(
        "a derived operation",
        'Remove("Item", "name")',
        "destructive",
        "drops_column_with_data",
        code="class Remove(migrations.RemoveField):\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        super().database_forwards(app_label, editor, old, new)\n",
    ),
)

CASES = (*SAFE, *COLUMNS, *OTHERS, *RAW, *PYTHON)


def write(folder: Path) -> None:
    """Every case as an app under `folder`."""
    for case in CASES:
        migrations = folder / case.app / "migrations"
        migrations.mkdir(parents=True)
        (folder / case.app / "__init__.py").touch()
        (migrations / "__init__.py").touch()
        (migrations / "0001_initial.py").write_text(HEADER + FIRST.replace("{app}", case.app))
        operations = re.sub(r"\bT\b", "{app}_item", f"        {case.operations},")
        text = HEADER + "\n\n" + case.code + SECOND
        filled = text.replace("{operations}", operations).replace("{atomic}", str(case.atomic))
        filled = filled.replace("{app}", case.app).replace("{{", "{").replace("}}", "}")
        (migrations / "0002_case.py").write_text(filled)

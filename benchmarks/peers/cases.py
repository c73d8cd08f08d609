"""Changes on which the tools are compared: dangerous ones with the danger, and harmless ones.

Each is one Django migration after the same first one. A finding counts if it names the danger: one
of the `reasons` of the case, as docs/peers.md has them for the rules of each tool.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.migration_texts import IMPORTS, add_field, alter_field, run_sql

HEADER = (
    IMPORTS
    + """
SILENT = migrations.RunPython.noop


def each_row(apps, schema_editor):
    model = apps.get_model("{app}", "T")
    for row in model.objects.all():
        row.h = 1
        row.save()


def some_rows(apps, schema_editor):
    apps.get_model("{app}", "T").objects.filter(h__gt=3).delete()


def every_row(apps, schema_editor):
    apps.get_model("{app}", "T").objects.update(h=1)


def nothing(apps, schema_editor):
    pass
"""
)

FIRST = """

class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Ref", [
            ("id", models.BigAutoField(primary_key=True)),
            ("n", models.IntegerField(null=True)),
        ]),
        migrations.CreateModel("T", [
            ("id", models.AutoField(primary_key=True)),
            ("a", models.IntegerField(null=True)),
            ("b", models.CharField(max_length=50, null=True)),
            ("h", models.IntegerField(default=1)),
            ("c", models.DecimalField(max_digits=10, decimal_places=2, null=True)),
            ("d", models.TextField(null=True)),
            ("e", models.DateTimeField(null=True)),
            ("f", models.BooleanField(default=True)),
            ("j", models.TextField(default="{}")),
            ("w", models.IntegerField(db_default=1)),
            ("arr", arrays.ArrayField(models.CharField(max_length=10), null=True)),
            ("ref", models.ForeignKey("{app}.Ref", CASCADE, null=True)),
            ("idx", models.IntegerField(null=True, db_index=True)),
            ("word", models.CharField(max_length=20, db_index=True, default="w")),
        ]),
        migrations.AddIndex("T", models.Index(fields=["h"], name="{app}_h")),
        migrations.AddConstraint(
            "T", models.UniqueConstraint(fields=["idx", "h"], name="{app}_idx_h")
        ),
        migrations.AddField("Ref", "many", models.ManyToManyField("{app}.T")),
    ]
"""

SECOND = """

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("{app}", "0001_initial")]
    operations = [
        {operation},
    ]
"""

ROWS = """
INSERT INTO {app}_ref (n) SELECT n FROM generate_series(1, 1000) n;
INSERT INTO {app}_t (a, b, h, c, d, e, f, j, arr, ref_id, idx, word)
SELECT n, 'b' || n, n, n, 'd' || n, now(), true, '{}', ARRAY['x'], n, n, 'w' || n
FROM generate_series(1, 1000) n;
INSERT INTO {app}_ref_many (ref_id, t_id) SELECT id, id FROM {app}_ref;
ANALYZE {app}_ref, {app}_t, {app}_ref_many;
"""


@dataclass(frozen=True)
class Case:
    """`reasons` are those that name the danger; none of a harmless change."""

    name: str
    operation: str
    reasons: str = ""
    atomic: bool = True

    @property
    def app(self) -> str:
        return "case_" + re.sub(r"\W+", "_", self.name.lower())

    @property
    def hazard(self) -> bool:
        return bool(self.reasons)

    def write(self, folder: Path) -> None:
        migrations = folder / self.app / "migrations"
        migrations.mkdir(parents=True)
        (folder / self.app / "__init__.py").touch()
        (migrations / "__init__.py").touch()
        for name, text in (("0001_initial", FIRST), ("0002_case", SECOND)):
            filled = (HEADER + text).replace("{operation}", self.operation)
            filled = filled.replace("{atomic}", str(self.atomic)).replace("{app}", self.app)
            (migrations / f"{name}.py").write_text(filled)


def add(field: str, model: str = "T") -> str:
    return add_field(model, "z", field)


def alter(name: str, field: str) -> str:
    return alter_field("T", name, field)


def sql(text: str, reverse: str = "migrations.RunSQL.noop") -> str:
    return run_sql(text, reverse)


def python(name: str) -> str:
    return f"migrations.RunPython({name}, SILENT)"


BREAKS = "breaks_running_code"
LOCKS = "locks_reads locks_writes rewrites_table"
UNIQUE = f"adds_unique_constraint {LOCKS}"
RETYPE = f"changes_column_type narrows_column_type rebuilds_indexes {LOCKS}"
DROPS = f"drops_column_with_data {BREAKS}"
WRITES = "updates_all_rows loops_over_rows requires_backfill"
CHECK = 'models.CheckConstraint(condition=Q(h__gt=0), name="{app}_ck")'

HAZARDS = (
    Case("index", 'migrations.AddIndex("T", models.Index(fields=["a"], name="{app}_a"))', LOCKS),
    Case("indexed field", alter("a", "models.IntegerField(null=True, db_index=True)"), LOCKS),
    Case("foreign key", add('models.ForeignKey("{app}.Ref", CASCADE, null=True, '
                            'related_name="+")'), f"adds_foreign_key {LOCKS}"),
    Case("one to one", add('models.OneToOneField("{app}.Ref", CASCADE, null=True, '
                           'related_name="+")'), f"adds_foreign_key {UNIQUE}"),
    Case("unique", 'migrations.AddConstraint("T", models.UniqueConstraint(fields=["a"], '
         'name="{app}_uq"))', UNIQUE),
    Case("unique where", 'migrations.AddConstraint("T", models.UniqueConstraint(fields=["a"], '
         'condition=Q(h__gt=1), name="{app}_uq"))', UNIQUE),
    Case("unique field", alter("a", "models.IntegerField(null=True, unique=True)"), UNIQUE),
    Case("unique together", 'migrations.AlterUniqueTogether("T", {("a", "h")})', UNIQUE),
    Case("uuid for all", add("models.UUIDField(default=uuid.uuid4, unique=True)"),
         f"will_fail_on_data requires_backfill {BREAKS} {UNIQUE}"),
    Case("check", f'migrations.AddConstraint("T", {CHECK})', f"adds_check {BREAKS} {LOCKS}"),
    Case("validate in one transaction", f'AddConstraintNotValid("T", {CHECK}), '
         'ValidateConstraint("T", "{app}_ck")', "locks_reads"),
    Case("exclusion", 'migrations.AddConstraint("T", exclusions.ExclusionConstraint('
         'name="{app}_ex", index_type="spgist", expressions=[("word", "=")]))', UNIQUE),
    Case("int to bigint", alter("a", "models.BigIntegerField(null=True)"), RETYPE),
    Case("bigint indexed", alter("idx", "models.BigIntegerField(null=True, db_index=True)"),
         RETYPE),
    Case("key to bigint", alter("id", "models.BigAutoField(primary_key=True)"), RETYPE),
    Case("int to smallint", alter("a", "models.SmallIntegerField(null=True)"), RETYPE),
    Case("text to varchar", alter("d", "models.CharField(max_length=100, null=True)"), RETYPE),
    Case("varchar shorter", alter("b", "models.CharField(max_length=20, null=True)"), RETYPE),
    Case("array of longer", alter("arr", "arrays.ArrayField(models.CharField(max_length=20), "
                                  "null=True)"), RETYPE),
    Case("scale", alter("c", "models.DecimalField(max_digits=10, decimal_places=3, null=True)"),
         RETYPE),
    Case("time to date", alter("e", "models.DateField(null=True)"), RETYPE),
    Case("text to json", alter("j", "models.JSONField(default=dict)"), f"{RETYPE} {BREAKS}"),
    Case("bool to int", alter("f", "models.IntegerField(default=1)"),
         f"{RETYPE} {BREAKS} cannot_be_done_online"),
    Case("not null", alter("a", "models.IntegerField(default=1)"),
         f"changes_column_nullable_to_not_null {BREAKS} locks_reads"),
    Case("required field", add("models.IntegerField(default=1)"),
         f"adds_required_column_without_default {BREAKS}"),
    Case("random default", add("models.FloatField(db_default=Random())"),
         f"requires_backfill {LOCKS}"),
    Case("uuid default", add("models.UUIDField(db_default=RandomUUID())"),
         f"requires_backfill {LOCKS}"),
    Case("stored generated", add('models.GeneratedField(expression=F("h") + 1, '
                                 "output_field=models.IntegerField(), db_persist=True)"), LOCKS),
    Case("default dropped", alter("w", "models.IntegerField()"), BREAKS),
    Case("remove field", 'migrations.RemoveField("T", "d")', DROPS),
    Case("remove foreign key", 'migrations.RemoveField("T", "ref")', DROPS),
    Case("remove many to many", 'migrations.RemoveField("Ref", "many")',
         f"drops_table_with_data {BREAKS}"),
    Case("delete model", 'migrations.RemoveField("Ref", "many"), migrations.DeleteModel("T")',
         f"drops_table_with_data {BREAKS}"),
    Case("rename field", 'migrations.RenameField("T", "a", "z")', f"rename_column {BREAKS}"),
    Case("rename column", alter("a", 'models.IntegerField(null=True, db_column="z")'),
         f"rename_column {BREAKS}"),
    Case("rename model", 'migrations.RenameModel("T", "T2")', f"rename_table {BREAKS}"),
    Case("rename table", 'migrations.AlterModelTable("T", "{app}_other")',
         f"rename_table {BREAKS}"),
    Case("remove index", 'migrations.RemoveIndex("T", "{app}_h")', "drops_index_blocking"),
    Case("remove unique", 'migrations.RemoveConstraint("T", "{app}_idx_h")',
         "drops_unique_constraint"),
    Case("each row in Python", python("each_row"), WRITES),
    Case("every row in Python", python("every_row"), WRITES),
    Case("delete in Python", python("some_rows"), "deletes_rows"),
    Case("data under a lock", 'migrations.AddField("T", "z", models.TextField(null=True)), '
         + python("every_row"), f"locks_reads {WRITES}"),
    Case("every row in SQL", sql("UPDATE {app}_t SET h = 1"), WRITES),
    Case("every row in a block", sql("DO $$ BEGIN UPDATE {app}_t SET h = 1; END $$"), WRITES),
    Case("truncate", sql("TRUNCATE {app}_ref_many"), "deletes_all_rows"),
    Case("delete in SQL", sql("DELETE FROM {app}_ref_many"), "deletes_all_rows"),
    Case("drop table in SQL", sql("DROP TABLE {app}_ref_many"),
         f"drops_table_with_data {BREAKS}"),
    Case("drop column in SQL", sql("ALTER TABLE {app}_t DROP COLUMN d"), DROPS),
    Case("drop hidden", "migrations.SeparateDatabaseAndState(["
         'migrations.AddField("T", "z", models.TextField(null=True)), '
         + sql("ALTER TABLE {app}_t DROP COLUMN d") + "], ["
         'migrations.AddField("T", "z", models.TextField(null=True)), '
         'migrations.RemoveField("T", "d")])', DROPS),
    Case("not null in SQL", sql("ALTER TABLE {app}_t ALTER COLUMN a SET NOT NULL"),
         f"changes_column_nullable_to_not_null {BREAKS} locks_reads"),
    Case("foreign key in SQL", sql("ALTER TABLE {app}_t ADD COLUMN z bigint REFERENCES "
                                   "{app}_ref DEFAULT 1"), f"adds_foreign_key {LOCKS}"),
    Case("serial in SQL", sql("ALTER TABLE {app}_t ADD COLUMN z serial"), LOCKS),
    Case("index in SQL", sql("CREATE INDEX {app}_a ON {app}_t (a)"), LOCKS),
    Case("index that may exist", sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS {app}_a ON "
                                     "{app}_t (a)"), "accepts_existing", atomic=False),
    Case("cluster", sql("CLUSTER {app}_t USING {app}_h"), LOCKS, atomic=False),
    Case("vacuum full", sql("VACUUM FULL {app}_t"), LOCKS, atomic=False),
    Case("lock table", sql("LOCK TABLE {app}_t"), LOCKS),
    Case("reindex", sql("REINDEX TABLE {app}_t"), "reindexes locks_writes"),
    Case("unlogged", sql("ALTER TABLE {app}_ref_many SET UNLOGGED"), f"{LOCKS} raw_sql"),
    Case("trigger", sql("CREATE TRIGGER z BEFORE UPDATE ON {app}_t FOR EACH ROW EXECUTE "
                        "FUNCTION suppress_redundant_updates_trigger()"), "changes_trigger"),
    Case("row security", sql("ALTER TABLE {app}_t ENABLE ROW LEVEL SECURITY"), "rls_change"),
    Case("concurrently in a transaction", 'AddIndexConcurrently("T", models.Index(fields=["a"], '
         'name="{app}_a"))', "fails_in_transaction"),
)  # fmt: skip

HARMLESS = (
    Case("new model", 'migrations.CreateModel("N", [("id", models.BigAutoField(primary_key=True)), '
         '("x", models.IntegerField(db_index=True)), ("y", models.TextField(unique=True)), '
         '("t", models.ForeignKey("{app}.T", CASCADE))])'),
    Case("new model and index", 'migrations.CreateModel("N", ['
         '("id", models.BigAutoField(primary_key=True)), ("x", models.IntegerField())]), '
         'migrations.AddIndex("N", models.Index(fields=["x"], name="{app}_nx")), '
         'migrations.AddConstraint("N", models.UniqueConstraint(fields=["x"], name="{app}_nu"))'),
    Case("nullable field", add("models.TextField(null=True)")),
    Case("default in the database", add("models.IntegerField(db_default=5)")),
    Case("now in the database", add("models.DateTimeField(db_default=Now())")),
    Case("many to many", add('models.ManyToManyField("{app}.Ref", related_name="+")')),
    Case("varchar longer", alter("b", "models.CharField(max_length=100, null=True)")),
    Case("varchar to text", alter("b", "models.TextField(null=True)")),
    Case("precision", alter("c", "models.DecimalField(max_digits=12, decimal_places=2, "
                            "null=True)")),
    Case("help text", alter("a", 'models.IntegerField(null=True, help_text="x", '
                            'choices=[(1, "a")])')),
    Case("drop not null", alter("h", "models.IntegerField(default=1, null=True)")),
    Case("default in Python", alter("h", "models.IntegerField(default=2)")),
    Case("check not valid", f'AddConstraintNotValid("T", {CHECK})'),
    Case("index concurrently", 'AddIndexConcurrently("T", models.Index(fields=["a"], '
         'name="{app}_a"))', atomic=False),
    Case("remove index concurrently", 'RemoveIndexConcurrently("T", "{app}_h")', atomic=False),
    Case("rename index", 'migrations.RenameIndex("T", "{app}_z", old_name="{app}_h")'),
    Case("options", 'migrations.AlterModelOptions("T", {"ordering": ["h"]})'),
    Case("state only", "migrations.SeparateDatabaseAndState(state_operations=["
         'migrations.RemoveField("T", "b")])'),
    Case("comment in SQL", sql("COMMENT ON TABLE {app}_t IS 'x'")),
    Case("statistics in SQL", sql("ALTER TABLE {app}_t ALTER COLUMN a SET STATISTICS 500")),
    Case("fill factor in SQL", sql("ALTER TABLE {app}_t SET (fillfactor = 90)")),
    Case("nothing in Python", python("nothing")),
)  # fmt: skip

CASES = (*HAZARDS, *HARMLESS)

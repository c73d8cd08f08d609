"""Django migrations that are safe, and those that change columns."""

from __future__ import annotations

from tests.plan.cases import BROKEN, CHECK, Case, alter, field, sql

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
        "relation through a new model",
        'migrations.CreateModel("Link", [("id", KEY), ("item", models.ForeignKey('
        '"{app}.Item", CASCADE)), ("parent", models.ForeignKey("{app}.Parent", CASCADE))]), '
        'migrations.AddField("Item", "linked", models.ManyToManyField("{app}.Parent", '
        'through="{app}.Link", related_name="+")), '
        'migrations.RenameField("Item", "linked", "joined"), '
        'migrations.RemoveField("Item", "joined")',
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

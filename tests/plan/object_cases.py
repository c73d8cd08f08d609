"""Django migrations that change indexes, constraints and tables."""

from __future__ import annotations

from tests.plan.cases import BROKEN, CHECK, Case, constraint, field, sql

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
        "locks_reads",
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

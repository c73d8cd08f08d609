"""Reasons of changes to whole tables."""

from __future__ import annotations

from tests.reasons.example import Example, django, shell, sql, zanith

_DRAFT = """\
zanith.Table(
        "shop_draft",
        columns=(
            zanith.Column("id", "bigint", nullable=False, identity="by default"),
            zanith.Column("title", "character varying(200)", nullable=False),
        ),
        primary_key=zanith.PrimaryKey("shop_draft_pkey", ("id",)),
    )"""

EXAMPLES = {
    "drops_table_with_data": Example(
        bad=(
            django('migrations.DeleteModel("Draft")'),
            zanith(f"zanith.DropTable(\n    table={_DRAFT},\n)"),
        ),
        good=(
            django(
                """\
migrations.SeparateDatabaseAndState(
    state_operations=[migrations.DeleteModel("Draft")],
)"""
            ),
        ),
    ),
    "rename_table": Example(
        bad=(
            django('migrations.RenameModel("Draft", "Sketch")'),
            zanith('zanith.RenameTable(old="shop_draft", new="shop_sketch")'),
        ),
        good=(
            django(
                """\
migrations.SeparateDatabaseAndState(
    state_operations=[
        migrations.RenameModel("Draft", "Sketch"),
        migrations.AlterModelTable("Sketch", "shop_draft"),
    ],
)"""
            ),
        ),
    ),
    "sets_aside": Example(
        bad=(shell("manage.py zanith_rollback --steps 1"),),
        where="A rollback gets it if it reverses a step that added a column or table with values.",
        shown_by="tests/plan/test_gates.py",
    ),
    "rebuilds_table": Example(bad=(zanith('zanith.RebuildTable(table="shop_book")'),)),
    "unlogged_table": Example(
        bad=(sql("ALTER TABLE shop_draft SET UNLOGGED", "ALTER TABLE shop_draft SET LOGGED"),)
    ),
    "detaches_partition": Example(
        bad=(sql("ALTER TABLE shop_book DETACH PARTITION shop_book_2019"),)
    ),
    "rls_change": Example(
        bad=(
            sql(
                "ALTER TABLE shop_book ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE shop_book DISABLE ROW LEVEL SECURITY",
            ),
            zanith('zanith.EnableRls(table="shop_book")'),
        )
    ),
}

"""Reasons of changes to columns."""

from __future__ import annotations

from tests.reasons.example import Example, django, sql, zanith

_RENAME = 'migrations.RenameField("Book", "notes", "remarks")'
_REQUIRED = """\
zanith.AddColumn(
    table="shop_book",
    column=zanith.Column("language", "text", nullable=False),
)"""
_DEFAULT = """\
zanith.AddColumn(
    table="shop_book",
    column=zanith.Column("language", "text", nullable=False, default="'en'"),
)"""
_DEFAULT_FIELD = 'migrations.AddField("Book", "language", models.TextField(db_default="en"))'

EXAMPLES = {
    "adds_nullable_column": Example(
        bad=(
            django('migrations.AddField("Book", "language", models.TextField(null=True))'),
            zanith('zanith.AddColumn(table="shop_book", column=zanith.Column("language", "text"))'),
        )
    ),
    "adds_required_column_without_default": Example(
        bad=(
            sql("ALTER TABLE shop_book ADD COLUMN language text NOT NULL"),
            zanith(_REQUIRED),
        ),
        good=(django(_DEFAULT_FIELD), zanith(_DEFAULT)),
    ),
    "drops_column_with_data": Example(
        bad=(
            django('migrations.RemoveField("Book", "notes")'),
            zanith(
                'zanith.DropColumn(table="shop_book", column=zanith.Column("notes", "text"))',
            ),
        ),
        good=(
            django(
                """\
migrations.SeparateDatabaseAndState(
    state_operations=[migrations.RemoveField("Book", "notes")],
)"""
            ),
        ),
    ),
    "rename_column": Example(
        bad=(
            django(_RENAME),
            zanith('zanith.RenameColumn(table="shop_book", old="notes", new="remarks")'),
        ),
        good=(
            django(
                """\
migrations.SeparateDatabaseAndState(
    state_operations=[
        migrations.RenameField("Book", "notes", "remarks"),
        migrations.AlterField(
            "Book", "remarks", models.TextField(null=True, db_column="notes")
        ),
    ],
)"""
            ),
        ),
    ),
    "narrows_column_type": Example(
        bad=(
            django('migrations.AlterField("Book", "pages", models.SmallIntegerField(null=True))'),
            zanith(
                """\
zanith.AlterColumnType(
    table="shop_book",
    old=zanith.Column("pages", "integer"),
    new=zanith.Column("pages", "smallint"),
)"""
            ),
        ),
        good=(
            django(
                """\
AddConstraintNotValid(
    "Book",
    models.CheckConstraint(condition=Q(pages__lte=32767), name="shop_book_short"),
)"""
            ),
            zanith(
                """\
zanith.AddCheck(
    table="shop_book",
    check=zanith.Check("shop_book_short", "(pages <= 32767)", ("pages",), valid=False),
)"""
            ),
        ),
    ),
    "changes_column_type": Example(
        bad=(
            django('migrations.AlterField("Book", "pages", models.BigIntegerField(null=True))'),
            zanith(
                """\
zanith.AlterColumnType(
    table="shop_book",
    old=zanith.Column("pages", "integer"),
    new=zanith.Column("pages", "bigint"),
)"""
            ),
        ),
        good=(
            django('migrations.AddField("Book", "page_count", models.BigIntegerField(null=True))'),
            zanith(
                """\
zanith.AddColumn(
    table="shop_book",
    column=zanith.Column("page_count", "bigint"),
)"""
            ),
        ),
    ),
    "changes_column_nullable_to_not_null": Example(
        bad=(
            django('migrations.AlterField("Book", "pages", models.IntegerField())'),
            zanith('zanith.AlterColumnNullable(table="shop_book", column="pages", nullable=False)'),
        ),
        good=(
            django(
                """\
AddConstraintNotValid(
    "Book",
    models.CheckConstraint(condition=Q(pages__isnull=False), name="shop_book_has_pages"),
)"""
            ),
            zanith(
                """\
zanith.AddCheck(
    table="shop_book",
    check=zanith.Check(
        "shop_book_has_pages", "(pages IS NOT NULL)", ("pages",), valid=False
    ),
)"""
            ),
        ),
    ),
    "breaks_running_code": Example(
        bad=(
            django('migrations.AddField("Book", "language", models.TextField(default="en"))'),
            zanith(_REQUIRED),
        ),
        good=(django(_DEFAULT_FIELD), zanith(_DEFAULT)),
    ),
}

"""Reasons of changes to constraints."""

from __future__ import annotations

from tests.reasons.example import Example, django, zanith

EXAMPLES = {
    "adds_unique_constraint": Example(
        bad=(
            django(
                """\
migrations.AddConstraint(
    "Book", models.UniqueConstraint(fields=["title"], name="shop_book_title")
)"""
            ),
            zanith(
                'zanith.AddUnique(table="shop_book", '
                'unique=zanith.Unique("shop_book_title", ("title",)))'
            ),
        )
    ),
    "adds_foreign_key": Example(
        bad=(
            django(
                """\
migrations.AddField(
    "Book",
    "translator",
    models.ForeignKey("shop.Author", models.CASCADE, null=True, related_name="+"),
)"""
            ),
            zanith(
                """\
zanith.AddForeignKey(
    table="shop_book",
    foreign_key=zanith.ForeignKey(
        "shop_book_editor_fk", ("editor_id",), "shop_author", ("id",)
    ),
)"""
            ),
        ),
        good=(
            django(
                """\
migrations.AddField(
    "Book",
    "translator",
    models.ForeignKey(
        "shop.Author",
        models.CASCADE,
        null=True,
        related_name="+",
        db_constraint=False,
    ),
)"""
            ),
        ),
    ),
    "adds_check": Example(
        bad=(
            django(
                """\
AddConstraintNotValid(
    "Book", models.CheckConstraint(condition=Q(pages__gt=0), name="shop_book_positive")
)"""
            ),
            zanith(
                """\
zanith.AddCheck(
    table="shop_book", check=zanith.Check("shop_book_positive", "(pages > 0)", ("pages",))
)"""
            ),
        )
    ),
    "drops_unique_constraint": Example(
        bad=(
            django('migrations.RemoveConstraint("Book", "shop_book_isbn")'),
            zanith(
                'zanith.DropUnique(table="shop_book", '
                'unique=zanith.Unique("shop_book_isbn", ("isbn",)))'
            ),
            zanith(
                """\
zanith.DropIndex(
    table="shop_book",
    index=zanith.Index("shop_book_title", (zanith.IndexKey(column="title"),), unique=True),
)"""
            ),
        )
    ),
    "drops_foreign_key": Example(
        bad=(
            django(
                """\
migrations.AlterField(
    "Book",
    "author",
    models.ForeignKey("shop.Author", models.CASCADE, null=True, db_constraint=False),
)"""
            ),
            zanith(
                """\
zanith.DropForeignKey(
    table="shop_book",
    foreign_key=zanith.ForeignKey(
        "shop_book_author_fk", ("author_id",), "shop_author", ("id",)
    ),
)"""
            ),
        )
    ),
}

"""Reasons of statements that write rows."""

from __future__ import annotations

from tests.reasons.example import Example, python, sql, zanith

_BACKFILL = zanith('zanith.Backfill(table="shop_book", column="pages", value="0")')

EXAMPLES = {
    "requires_backfill": Example(
        bad=(
            sql("UPDATE shop_book SET pages = 0 WHERE shelf = 'A'"),
            _BACKFILL,
        )
    ),
    "updates_all_rows": Example(
        bad=(
            sql("UPDATE shop_book SET pages = 0"),
            python('apps.get_model("shop", "Book").objects.update(pages=0)'),
        ),
        good=(_BACKFILL,),
    ),
    "loops_over_rows": Example(
        bad=(
            python(
                'for book in apps.get_model("shop", "Book").objects.all():\n'
                "    book.pages = 0\n"
                "    book.save()"
            ),
        ),
        good=(_BACKFILL,),
    ),
    "inserts_rows": Example(
        bad=(
            sql("INSERT INTO shop_author (name) VALUES ('Unknown')"),
            python('apps.get_model("shop", "Author").objects.create(name="Unknown")'),
        )
    ),
    "locks_rows": Example(
        bad=(sql("SELECT id FROM shop_book FOR UPDATE"),),
        good=(sql("SELECT id FROM shop_book"),),
    ),
    "deletes_rows": Example(
        bad=(
            sql("DELETE FROM shop_draft WHERE title = ''"),
            python('apps.get_model("shop", "Draft").objects.filter(title="").delete()', "clean"),
        )
    ),
    "deletes_all_rows": Example(
        bad=(
            sql("TRUNCATE shop_draft"),
            python('apps.get_model("shop", "Draft").objects.all().delete()', "clean"),
        )
    ),
}

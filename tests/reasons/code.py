"""Reasons of SQL and Python that an author wrote."""

from __future__ import annotations

import dataclasses

from tests.reasons.example import Example, django, python, sql, zanith

_CONCURRENT = (
    'AddIndexConcurrently("Book", models.Index(fields=["stock"], name="shop_book_stock_idx"))'
)
_RENAME = 'Author.objects.filter(name="").update(name="Unknown")'

_DELETE = """\
migrations.RunSQL(
    "DELETE FROM shop_author WHERE name = 'nobody'",
    migrations.RunSQL.noop,
)"""
_ADD = 'migrations.AddField("Author", "born", models.DateField(null=True))'

EXAMPLES = {
    "raw_sql": Example(
        bad=(
            python('schema_editor.execute(apps.get_app_config("shop").cleanup_sql)', "clean"),
            sql("DO $$ BEGIN EXECUTE format('ANALYZE %I', 'shop_book'); END $$"),
        ),
        good=(sql("ANALYZE shop_book"),),
    ),
    "may_drop": Example(
        bad=(sql("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'shop_draft'); END $$"),),
        good=(sql("DROP TABLE shop_draft"),),
    ),
    "calls_functions": Example(
        bad=(sql("SELECT shop_clean_up()"),),
        good=(sql("DELETE FROM shop_draft WHERE title = ''"),),
    ),
    "python_code": Example(
        bad=(
            python(
                "from shop_tools import rename_authors\n\n"
                'rename_authors(apps.get_model("shop", "Author"))'
            ),
        ),
        good=(python(f'Author = apps.get_model("shop", "Author")\n{_RENAME}'),),
    ),
    "imports_models": Example(
        bad=(python(f"from shop.models import Author\n\n{_RENAME}"),),
        good=(python(f'Author = apps.get_model("shop", "Author")\n{_RENAME}'),),
    ),
    "ends_transaction": Example(
        bad=(sql("BEGIN; UPDATE shop_book SET pages = 0 WHERE shelf = 'A'; COMMIT"),),
        good=(sql("UPDATE shop_book SET pages = 0 WHERE shelf = 'A'", atomic=False),),
    ),
    "alters_after_writes": Example(
        bad=(django(f"{_DELETE},\n{_ADD}"),),
        good=(django(_ADD),),
        where="The second operation gets it.",
    ),
    "fails_in_transaction": Example(
        bad=(django(_CONCURRENT),),
        good=(
            django(_CONCURRENT, atomic=False),
            zanith(
                """\
zanith.AddIndex(
    table="shop_book", index=zanith.Index("shop_book_stock_idx", keys=("stock",))
)"""
            ),
        ),
    ),
    "needs_transaction": Example(
        bad=(sql("LOCK TABLE shop_book IN SHARE MODE", atomic=False),),
        good=(sql("UPDATE shop_book SET pages = 0 WHERE shelf = 'A'", atomic=False),),
    ),
    "irreversible": Example(
        bad=(
            dataclasses.replace(
                sql("CREATE VIEW shop_titles AS SELECT title FROM shop_book"),
                text='migrations.RunSQL("CREATE VIEW shop_titles AS SELECT title FROM shop_book")',
            ),
            zanith(
                'zanith.DropColumn(table="shop_book", column=zanith.Column("notes", "text"))',
            ),
        ),
        good=(
            sql("CREATE VIEW shop_titles AS SELECT title FROM shop_book", "DROP VIEW shop_titles"),
            zanith(
                'zanith.SoftDropColumn(table="shop_book", column=zanith.Column("notes", "text"))',
            ),
        ),
    ),
}

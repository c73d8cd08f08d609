"""Reasons of certain failures, and of objects in the way: most depend on the database."""

from __future__ import annotations

from tests.reasons.example import Example, django, sql, zanith

_NOT_NULL = zanith('zanith.AlterColumnNullable(table="shop_book", column="pages", nullable=False)')
_REMOVE = zanith('zanith.DropColumn(table="shop_book", column=zanith.Column("notes", "text"))')
_RENAME = zanith('zanith.RenameColumn(table="shop_book", old="notes", new="remarks")')
_NOT_ONLINE = """\
zanith.AlterColumnType(
    table="shop_book",
    old=zanith.Column("pages", "integer"),
    new=zanith.Column("pages", "bigint"),
)"""

EXAMPLES = {
    "missing_table": Example(
        bad=(
            zanith('zanith.AddColumn(table="shop_bok", column=zanith.Column("language", "text"))'),
        ),
        good=(
            zanith('zanith.AddColumn(table="shop_book", column=zanith.Column("language", "text"))'),
        ),
        where="A plan with a database gives it.",
        shown_by="tests/plan/test_missing_tables.py",
    ),
    "missing_object": Example(
        bad=(sql("ALTER TABLE shop_book ALTER COLUMN titel SET DEFAULT ''"),),
        good=(sql("ALTER TABLE shop_book ALTER COLUMN title SET DEFAULT ''"),),
        where="A plan with a database gives it.",
        shown_by="tests/plan/test_missing_names.py",
    ),
    "will_fail_on_data": Example(
        bad=(
            django('migrations.AlterField("Book", "pages", models.IntegerField())'),
            _NOT_NULL,
        ),
        good=(
            zanith(
                'zanith.AlterColumnNullable(table="shop_book", column="pages", '
                'nullable=False, fill="0")'
            ),
        ),
        where="A step gets it if preflight finds such rows; here, if a book has no pages.",
        shown_by="tests/plan/test_preflight.py",
    ),
    "no_room": Example(
        bad=(
            zanith(
                'zanith.AddIndex(\n    table="shop_book", '
                'index=zanith.Index("book_pages", (zanith.IndexKey(column="pages"),))\n)'
            ),
        ),
        where="Preflight gives it if the index is larger than the setting DISK_ROOM.",
        shown_by="tests/plan/test_room.py",
    ),
    "exists_already": Example(
        bad=(zanith('zanith.AddColumn(table="shop_book", column=zanith.Column("notes", "text"))'),),
        where="Preflight gives it if the table has a column of that name.",
        shown_by="tests/plan/test_preflight.py",
    ),
    "missing_right": Example(
        bad=(django('CreateExtension("citext")'),),
        where="Preflight gives it if the role may not create the extension.",
        shown_by="tests/plan/test_preflight.py",
    ),
    "cannot_be_done_online": Example(
        bad=(zanith(_NOT_ONLINE),),
        good=(zanith(_NOT_ONLINE.replace("\n)", "\n    in_place=True,\n)")),),
        where="A step gets it if the table is partitioned, or has rules or triggers that prevent "
        "a copy.",
        shown_by="tests/operations/test_retyping.py",
    ),
    "dependent_objects": Example(
        bad=(_REMOVE,),
        where="A step gets it if, for example, a view reads the column.",
        shown_by="tests/plan/test_reasons.py",
    ),
    "functions_name_it": Example(
        bad=(_RENAME,),
        where="A step gets it if the text of a function contains the name.",
        shown_by="tests/plan/test_dependent_objects.py",
    ),
    "stops_subscribers": Example(
        bad=(_RENAME,),
        where="A step gets it if a publication with subscribers contains the table.",
        shown_by="tests/plan/test_reasons.py",
    ),
    "replicated_table": Example(
        bad=(_REMOVE,),
        where="A step gets it if a logical replication slot sends the table.",
        shown_by="tests/apply/test_replication.py",
    ),
}

"""Reasons of indexes, and of the work that a lock is held for."""

from __future__ import annotations

from tests.reasons.example import Example, django, sql, zanith

_INDEX = 'migrations.AddIndex("Book", models.Index(fields=["stock"], name="shop_book_stock_idx"))'
_CONCURRENT = django(_INDEX.replace("migrations.AddIndex", "AddIndexConcurrently"), atomic=False)
_ADD_INDEX = zanith(
    """\
zanith.AddIndex(
    table="shop_book", index=zanith.Index("shop_book_stock_idx", keys=("stock",))
)"""
)
_DROP_INDEX = zanith(
    'zanith.DropIndex(table="shop_book", index=zanith.Index("shop_book_pages", keys=("pages",)))'
)
_REMOVE_CONCURRENTLY = django('RemoveIndexConcurrently("Book", "shop_book_pages")', atomic=False)
_BIGINT = django('migrations.AlterField("Book", "pages", models.BigIntegerField(null=True))')
_CHECK = """\
migrations.AddConstraint(
    "Book", models.CheckConstraint(condition=Q(pages__gt=0), name="shop_book_positive")
)"""
_BIGINT_ONLINE = zanith(
    """\
zanith.AlterColumnType(
    table="shop_book",
    old=zanith.Column("pages", "integer"),
    new=zanith.Column("pages", "bigint"),
)"""
)

EXAMPLES = {
    "adds_index": Example(bad=(_CONCURRENT, _ADD_INDEX)),
    "drops_index": Example(bad=(_REMOVE_CONCURRENTLY, _DROP_INDEX)),
    "drops_index_blocking": Example(
        bad=(django('migrations.RemoveIndex("Book", "shop_book_pages")'),),
        good=(_REMOVE_CONCURRENTLY, _DROP_INDEX),
    ),
    "rebuilds_indexes": Example(
        bad=(
            django(
                """\
migrations.AlterField(
    "Book",
    "shelf",
    models.CharField(max_length=20, db_index=True, db_collation="C"),
)"""
            ),
        ),
        good=(
            zanith(
                """\
zanith.AlterColumnType(
    table="shop_book",
    old=zanith.Column("shelf", "character varying(20)", nullable=False),
    new=zanith.Column("shelf", "character varying(20)", nullable=False, collation="C"),
)"""
            ),
        ),
    ),
    "reindexes": Example(
        bad=(sql("REINDEX TABLE shop_book"),),
        good=(sql("REINDEX TABLE CONCURRENTLY shop_book", atomic=False),),
    ),
    "accepts_existing": Example(
        bad=(
            sql(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS shop_book_x ON shop_book (stock)",
                atomic=False,
            ),
        ),
        good=(_CONCURRENT, _ADD_INDEX),
    ),
    "invalid_leftover": Example(
        bad=(_ADD_INDEX,),
        where="A step gets it if an invalid index of that name exists.",
        shown_by="tests/plan/test_preflight.py",
    ),
    "locks_writes": Example(bad=(django(_INDEX),), good=(_CONCURRENT, _ADD_INDEX)),
    "locks_reads": Example(
        bad=(django(_CHECK),),
        good=(
            django(
                _CHECK.replace("migrations.AddConstraint", "AddConstraintNotValid")
                + ',\nValidateConstraint("Book", "shop_book_positive")',
                atomic=False,
            ),
            zanith(
                """\
zanith.AddCheck(
    table="shop_book", check=zanith.Check("shop_book_positive", "(pages > 0)", ("pages",))
)"""
            ),
        ),
    ),
    "rewrites_table": Example(bad=(_BIGINT,), good=(_BIGINT_ONLINE,)),
    "scans_table": Example(
        bad=(
            django('ValidateConstraint("Book", "shop_book_stock")'),
            zanith('zanith.ValidateConstraint(table="shop_book", name="shop_book_stock")'),
        )
    ),
    "large_table": Example(
        bad=(_BIGINT,),
        good=(_BIGINT_ONLINE,),
        where="The table has five million rows here.",
        rows=5_000_000,
    ),
}

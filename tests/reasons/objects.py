"""Reasons of changes to views, functions, triggers, extensions and rights."""

from __future__ import annotations

from tests.reasons.example import Example, django, sql, zanith

EXAMPLES = {
    "adds_extension": Example(
        bad=(
            django('CreateExtension("citext")'),
            zanith('zanith.CreateExtension(extension=zanith.Extension("citext"))'),
        )
    ),
    "drops_extension": Example(
        bad=(
            sql("DROP EXTENSION citext", "CREATE EXTENSION citext"),
            zanith('zanith.DropExtension(extension=zanith.Extension("citext"))'),
        )
    ),
    "adds_view": Example(
        bad=(
            sql("CREATE VIEW shop_titles AS SELECT title FROM shop_book", "DROP VIEW shop_titles"),
        )
    ),
    "drops_view": Example(
        bad=(
            sql("DROP VIEW shop_titles", "CREATE VIEW shop_titles AS SELECT title FROM shop_book"),
        ),
        good=(
            sql(
                "CREATE OR REPLACE VIEW shop_titles AS SELECT title, isbn FROM shop_book",
            ),
        ),
    ),
    "changes_object": Example(bad=(sql("ALTER EXTENSION citext UPDATE"),)),
    "changes_used_function": Example(
        bad=(
            sql(
                "CREATE OR REPLACE FUNCTION shop_key(text) RETURNS text IMMUTABLE LANGUAGE sql"
                " AS 'SELECT upper($1)'",
            ),
        ),
        good=(
            sql(
                "CREATE FUNCTION shop_key_2(text) RETURNS text IMMUTABLE LANGUAGE sql"
                " AS 'SELECT upper($1)'",
            ),
        ),
        where="An index or constraint of the database calls the function.",
        shown_by="tests/plan/statements.py",
    ),
    "resets_sequence": Example(
        bad=(
            sql("ALTER SEQUENCE shop_book_id_seq RESTART WITH 1"),
            sql("SELECT setval('shop_book_id_seq', 1)"),
        ),
        good=(sql("SELECT setval('shop_book_id_seq', (SELECT max(id) FROM shop_book))"),),
    ),
    "renames_object": Example(
        bad=(
            sql(
                "ALTER TYPE shop_mood RENAME VALUE 'ok' TO 'fine'",
                "ALTER TYPE shop_mood RENAME VALUE 'fine' TO 'ok'",
            ),
        ),
        good=(sql("ALTER TYPE shop_mood ADD VALUE 'fine' AFTER 'ok'"),),
    ),
    "drops_object": Example(
        bad=(sql("DROP TYPE shop_mood"),),
    ),
    "drops_with_cascade": Example(
        bad=(sql("DROP TYPE shop_mood CASCADE"),),
        good=(sql("DROP TYPE shop_mood"),),
    ),
    "changes_trigger": Example(
        bad=(
            sql(
                "CREATE TRIGGER shop_log AFTER UPDATE ON shop_book"
                " FOR EACH ROW EXECUTE FUNCTION shop_log()",
                "DROP TRIGGER shop_log ON shop_book",
            ),
        )
    ),
    "changes_rights": Example(
        bad=(
            sql(
                "ALTER TABLE shop_book OWNER TO librarian",
                "ALTER TABLE shop_book OWNER TO shop",
            ),
        )
    ),
}

"""Names of columns in texts that PostgreSQL printed: found, and renamed."""

from __future__ import annotations

import pytest

from zanith_django.operations.dependents import mentions, rename_in_text

# (text, the same with the column a of the table t renamed to b)
RENAMED = [
    ("(a > 0)", "(b > 0)"),
    ("(aa > a)", "(aa > b)"),
    ("((a)::text = 'a'::text)", "((b)::text = 'a'::text)"),
    ("(a = 'it''s a'::text)", "(b = 'it''s a'::text)"),
    (r"(a ~ E'a\\d')", r"(b ~ E'a\\d')"),
    ('("A" > a)', '("A" > b)'),
    ("(a COLLATE a)", "(b COLLATE a)"),
    ("(a COLLATE pg_catalog.a)", "(b COLLATE pg_catalog.a)"),
    ("a(a)", "a(b)"),
    ("public.a(a)", "public.a(b)"),
    ("(a)::a", "(b)::a"),
    ("(a)::public.a", "(b)::public.a"),
    ("(EXISTS ( SELECT FROM u WHERE (u.a = t.a)))", "(EXISTS ( SELECT FROM u WHERE (u.a = t.b)))"),
    ("EXCLUDE USING gist (r WITH =) WHERE (a > 0)", "EXCLUDE USING gist (r WITH =) WHERE (b > 0)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "renamed"), RENAMED)
def test_a_column_is_renamed_where_it_is_a_column(text: str, renamed: str) -> None:
    assert rename_in_text(text, "a", "b", "t") == renamed
    assert mentions(text, "a", "t")
    assert not mentions(renamed.replace("u.a", ""), "a", "t")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("(d > '2020-01-01'::timestamp with time zone)", "zone"),
        ("(d > '2020-01-01'::timestamp(3) without time zone)", "time"),
        ("(s = 'x'::character varying(10))", "varying"),
        ("(n > (1)::double precision)", "precision"),
        ("((n IS NOT NULL) AND (n > 1))", "and"),
        ("((n IS NOT NULL) AND (n > 1))", "AND"),
        ("lower(s)", "lower"),
    ],
)
def test_words_of_types_and_of_sql_are_no_columns(text: str, column: str) -> None:
    assert not mentions(text, column)


@pytest.mark.parametrize(
    ("new", "spelled"),
    [("b", "b"), ("order", '"order"'), ("B", '"B"'), ('b"', '"b"""'), ("größe", '"größe"')],
)
def test_a_new_name_is_spelled_as_postgresql_prints_it(new: str, spelled: str) -> None:
    assert rename_in_text("(a > 0)", "a", new) == f"({spelled} > 0)"

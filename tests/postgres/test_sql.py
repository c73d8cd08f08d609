"""How SQL is composed."""

from __future__ import annotations

from zanith_django.postgres import sql


def test_a_block_is_quoted_with_a_tag_that_no_value_contains() -> None:
    text = sql.compose("DO $zanith$ BEGIN {it} END $zanith$", it=sql.literal("$zanith$ $zanith1$"))
    assert text == "DO $zanith2$ BEGIN '$zanith$ $zanith1$' END $zanith2$"

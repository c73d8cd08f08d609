"""The queries that read a schema run in a database of any encoding."""

from __future__ import annotations

from importlib import resources

import pytest

QUERIES = [
    path
    for path in (resources.files("zanith_django.schema") / "queries").iterdir()
    if path.name.endswith(".sql")
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.name)
def test_a_query_is_ascii(query: resources.abc.Traversable) -> None:
    assert query.read_bytes().isascii()

"""The pages of docs/operations/: one for each kind, and what they show is what runs."""

from __future__ import annotations

import re

import pytest

from tests import pages
from tests.examples import PAGES
from tests.place import Place
from zanith_django.operations import KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_shows_what_its_example_runs(empty_place: Place, kind: str) -> None:
    operation, graph = pages.operation_on(empty_place, PAGES[kind])
    assert operation.kind == kind
    stale = pages.page(kind).read_text() != pages.written(kind, operation, graph)
    assert not stale, f"{kind}.md is stale: run python -m tests.pages {kind}"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_has_every_section(kind: str) -> None:
    text = pages.page(kind).read_text()
    assert text.startswith(f"# {kind}\n\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE))[:5] == pages.SECTIONS
    assert tuple(re.findall(r"<!-- begin: (\w+) -->", text)) == pages.BLOCKS


def test_every_page_belongs_to_a_kind_and_is_in_the_index_once() -> None:
    found = {path.stem for path in pages.FOLDER.glob("*.md")} - {"README"}
    assert found == set(KINDS)
    assert sorted(pages.listed_kinds()) == sorted(KINDS)
    assert pages.INDEX.read_text() == pages.written_index(), "run python -m tests.pages"

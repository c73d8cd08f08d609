"""The pages of docs/reasons/: one for each reason, and what they show is what a plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import reason_pages
from tests.project import REPOSITORY
from tests.reasons import EXAMPLES
from zanith_django.plan.reasons import REASONS


@pytest.fixture(scope="module")
def written() -> dict[Path, str]:
    return reason_pages.written()


@pytest.mark.parametrize("code", REASONS)
def test_a_page_shows_what_a_plan_says(code: str, written: dict[Path, str]) -> None:
    path = reason_pages.page(code)
    assert path.exists(), "run python -m tests.reason_pages"
    assert path.read_text() == written[path], "run python -m tests.reason_pages"


def test_the_index_lists_every_reason_and_no_page_is_left_over(written: dict[Path, str]) -> None:
    index = reason_pages.FOLDER / "README.md"
    assert index.read_text() == written[index], "run python -m tests.reason_pages"
    assert set(reason_pages.FOLDER.glob("*.md")) == set(written)
    assert all(f"[`{code}`]({code}.md)" in written[index] for code in REASONS)


def test_a_reason_that_needs_a_database_is_given_by_the_test_that_its_example_names() -> None:
    for code, example in EXAMPLES.items():
        if example.shown_by:
            assert code in (REPOSITORY / example.shown_by).read_text(), code

"""The tests that docs name, as `folder/test_module.py` or `test_module.py::test_name`, exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project import REPOSITORY

TESTS = REPOSITORY / "tests"
NAMED = re.compile(r"((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?")
PAGES = [
    page
    for page in (REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md"))
    if NAMED.search(page.read_text())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for path, name in NAMED.findall(page.read_text()):
        found = list(TESTS.rglob(path.removeprefix("tests/")))
        assert found, path
        assert not name or f"def {name}(" in found[0].read_text(), f"{path}::{name}"

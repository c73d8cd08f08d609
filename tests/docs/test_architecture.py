"""The page about the architecture names files that exist, and steps by the names of the code."""

from __future__ import annotations

import re

from tests.project import REPOSITORY

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
PACKAGE = REPOSITORY / "zanith_django"


def test_every_file_and_folder_exists() -> None:
    named = re.findall(r"`([\w/]+(?:/|\.py(?:i)?))`", PAGE)
    roots = (PACKAGE, REPOSITORY, PACKAGE / "operations")
    missing = [name for name in named if not any((root / name).exists() for root in roots)]
    assert len(named) > 50
    assert missing == []


def test_every_value_of_a_step_is_in_the_module_that_the_page_names() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `([\w/.]+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for value, module in rows:
        assert f"class {value}" in (PACKAGE / module).read_text(), value


def test_contributing_names_every_folder_of_tests() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    folders = {path.parent.name for path in (REPOSITORY / "tests").glob("*/__init__.py")}
    assert len(folders) > 20
    assert [name for name in sorted(folders) if f"`tests/{name}`" not in text] == []

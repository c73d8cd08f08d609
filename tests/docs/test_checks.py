"""docs/checks.md: every id of a system check, each with one meaning."""

from __future__ import annotations

import re

from tests.project import REPOSITORY

ID = re.compile(r"zanith_django\.[EWI]\d{3}")
# Two checks of settings report invalid ones, and so does what they share.
SHARED = {"zanith_django.E001"}


def test_the_page_lists_every_check_and_an_id_has_one_meaning() -> None:
    package = REPOSITORY / "zanith_django"
    given = [found for path in package.rglob("*.py") for found in ID.findall(path.read_text())]
    alone = [found for found in given if found not in SHARED]
    assert len(alone) == len(set(alone))
    listed = re.findall(
        r"^\| `(\S+)` \|", (REPOSITORY / "docs/checks.md").read_text(), re.MULTILINE
    )
    assert listed == [
        *sorted(SHARED),
        *sorted(set(alone) - {"zanith_django.I001"}),
        "zanith_django.I001",
    ]

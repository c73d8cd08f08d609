"""docs/peers.md: what each rule of another tool is here."""

from __future__ import annotations

import re

import pytest

from tests.project import REPOSITORY
from zanith_django.operations import KINDS
from zanith_django.plan.reasons import REASONS

PAGE = (REPOSITORY / "docs/peers.md").read_text()
SECTIONS = re.findall(
    r"^## (.+?) \((\d+) [\w ]+\)\n\n(.+?)(?=\n## |\Z)", PAGE, re.DOTALL | re.MULTILINE
)
OTHER = {"impossible", "out of scope"}


def rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(("tool", "count", "section"), SECTIONS, ids=[s[0] for s in SECTIONS])
def test_every_rule_of_a_tool_is_a_reason_or_says_why_not(
    tool: str, count: str, section: str
) -> None:
    found = rows(section)
    assert len(found) == int(count) == len({rule for rule, *_ in found})
    for rule, here, *how in found:
        codes = re.findall(r"`(\w+)`", here)
        assert set(codes) <= REASONS.keys(), rule
        assert codes or (here in OTHER and "".join(how).strip()), rule


def test_the_page_has_a_section_for_each_heading_and_names_operations_that_exist() -> None:
    assert len(SECTIONS) == PAGE.count("\n## ")
    named = set(re.findall(r"`((?:add|alter|drop|rebuild)[A-Z]\w+)`", PAGE))
    assert named <= set(KINDS)

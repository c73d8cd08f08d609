"""docs/limits.md: every line names the tests that prove it, and every case stands in a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plan.test_true_drift import CASES

TESTS = Path(__file__).parent.parent
LINES = [
    line.split(" | ")
    for line in (TESTS.parent / "docs" / "limits.md").read_text().splitlines()
    if line.startswith("| ") and not line.endswith("| test |")
]
NAMES = {case.name for case in CASES}

# Cases of equality, not of a difference: docs/equality.md has them.
EQUAL = {
    "a default of nothing, which is none",
    "the pair of a many-to-many turned round, which is the same",
    "the pair of a many-to-many turned round and deferrable",
}


def named_cases(proof: str) -> list[str]:
    return re.findall(r"\[([^\]]+)\]", proof)


def named_tests(proof: str) -> list[tuple[str, str]]:
    return re.findall(r"(test_\w+\.py)::(test_\w+)", proof)


@pytest.mark.parametrize("line", LINES, ids=[line[0].strip("| ") for line in LINES])
def test_a_line_names_tests_that_exist(line: list[str]) -> None:
    proof = line[-1]
    assert len(line) == 3
    assert named_cases(proof) or named_tests(proof)
    assert set(named_cases(proof)) <= NAMES
    for file, test in named_tests(proof):
        (found,) = TESTS.rglob(file)
        assert f"def {test}(" in found.read_text()


def test_every_case_is_in_a_line() -> None:
    told = {case for line in LINES for case in named_cases(line[-1])}
    assert told == NAMES - EQUAL


def test_no_two_cases_have_the_same_name() -> None:
    assert len(NAMES) == len(CASES)


@pytest.mark.parametrize("line", LINES, ids=[line[0].strip("| ") for line in LINES])
def test_what_a_line_says_is_what_its_cases_expect(line: list[str]) -> None:
    """`extra` lines have cases that tell extras alone, and so on."""
    told = {case.name: case.told for case in CASES}
    for name in named_cases(line[-1]):
        extras = [text for text in told[name] if text.startswith("extra: ")]
        differences = len(told[name]) - len(extras)
        if line[1] == "extra":
            assert extras
        elif line[1] == "difference":
            assert differences
            assert not extras
        elif line[1] == "difference and extra":
            assert differences
            assert extras

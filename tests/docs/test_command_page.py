"""The page of the commands shows the options that they have."""

from __future__ import annotations

from tests import command_page


def test_the_page_is_what_the_parsers_print() -> None:
    assert command_page.PAGE.read_text() == command_page.text(), "run python -m tests.command_page"

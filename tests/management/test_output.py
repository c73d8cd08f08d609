"""Control characters of what is printed are spelled out; colours and ends of lines stay."""

from __future__ import annotations

import io

import pytest
from django.core.management.color import make_style

from zanith_django.management.output import Output, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b[8mhidden\x1b[0m", "\\x1b[8mhidden\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("real\rfake", "real\\rfake"),
        ("tab\tline\r\nend\n", "tab\tline\r\nend\n"),
        ("\r  a bar", "\r  a bar"),
        ("Zürich → 東京", "Zürich → 東京"),
    ],
)
def test_the_terminal_obeys_only_colours(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_every_style_of_django_passes(palette: str) -> None:
    style = make_style(palette)
    for name, paint in vars(style).items():
        if callable(paint):
            assert visible(paint(name)) == paint(name)


def test_exact_text_is_written_as_it_is() -> None:
    stream = io.StringIO()
    Output(stream).write("SELECT '\x01'", exact=True)
    assert stream.getvalue() == "SELECT '\x01'\n"

"""The real parsers accept every command line in messages, the README and docs."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import load_command_class

import zanith_django
from tests.project import REPOSITORY

PACKAGE = Path(zanith_django.__file__).parent
NAMES = sorted(file.stem for file in (PACKAGE / "management" / "commands").glob("zanith_*.py"))
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]

# Options of other programs.
OTHERS = {"--randomly-seed"}

COMMAND = re.compile(rf"\b({'|'.join(NAMES)})\b([^\n]*)")
# `code`, and the lines of a fenced block.
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
PLACEHOLDER = re.compile(r"<[^>]*>|\{[^}]*\}|…|\.\.\.")
END = re.compile(r"\s(?:#|&&|\|\|?|;|>)(?:\s|$)|[;)]")


@cache
def parser(name: str) -> ArgumentParser:
    return load_command_class("zanith_django", name).create_parser("manage.py", name)


def options(of: ArgumentParser) -> dict[str, Action]:
    """{option: its action}, with those of subcommands."""
    found: dict[str, Action] = {}
    for action in of._actions:
        found.update(dict.fromkeys(action.option_strings, action))
        if isinstance(action, _SubParsersAction):
            for below in action.choices.values():
                found.update(options(below))
    return found


def in_page(path: Path) -> Iterator[tuple[str, str]]:
    """(command, its arguments) in the code of a page."""
    for block, span in CODE.findall(path.read_text()):
        text = re.sub(r"\\\n\s*", " ", block or span)
        yield from COMMAND.findall(text)


def in_module(path: Path) -> Iterator[tuple[str, str]]:
    """(command, its arguments) in the texts of a module, placeholders in place of values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "<x>" for p in node.values)
            yield from COMMAND.findall("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from COMMAND.findall(node.value)


def unknown(name: str, arguments: str) -> list[str]:
    """Options after the name of a command that the command does not have."""
    text = END.split(PLACEHOLDER.sub("x", arguments))[0]
    try:
        words = shlex.split(text)
    except ValueError:  # an apostrophe of prose
        words = text.split()
    known, found = options(parser(name)), []
    for word in words:
        option = word.split("=")[0].strip("[].,:'\"`")
        if option in NAMES:
            break
        if option.startswith("--") and len(option) > 2 and option not in known:
            found.append(option)
    return found


def bare(page: Path) -> list[str]:
    """Options of code that begins with one: the text around it names the command."""
    return re.findall(r"`(--[a-z][\w-]*)", page.read_text())


def of(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(REPOSITORY)) for path in paths]


@pytest.mark.parametrize("page", of(PAGES))
def test_options_in_a_page_exist(page: str) -> None:
    lines = [(name, rest, unknown(name, rest)) for name, rest in in_page(REPOSITORY / page)]
    assert not [line for line in lines if line[-1]]


@pytest.mark.parametrize("page", of(PAGES))
def test_options_without_a_command_exist(page: str) -> None:
    known = OTHERS.union(*(options(parser(name)) for name in NAMES))
    assert set(bare(REPOSITORY / page)) <= known


def test_options_in_messages_exist() -> None:
    lines = [
        (str(path.relative_to(PACKAGE)), name, rest, unknown(name, rest))
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, rest in in_module(path)
    ]
    assert len(lines) > 100
    assert not [line for line in lines if line[-1]]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("zanith_apply", " --max-risk 5 --bogus", ["--bogus"]),
        ("zanith_recover", " purge <id> --yes", []),
        ("zanith_plan", " && rm --force", []),
    ],
)
def test_an_option_that_a_command_lacks_is_found(
    name: str, arguments: str, expected: list[str]
) -> None:
    assert unknown(name, arguments) == expected

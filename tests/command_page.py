"""`python -m tests.command_page`: writes docs/commands.md, a section for each command.

The words are those of `--help`. A test fails when the page is stale.
"""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, _SubParsersAction, _VersionAction
from collections.abc import Iterator
from pathlib import Path

import django
from django.core.management import load_command_class

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
COMMANDS = PAGE.parent.parent / "zanith_django" / "management" / "commands"

_INTRODUCTION = """\
# Commands

Every command and its options, as `--help` prints them. Each command also takes `--database ALIAS`
(by default `default`) and Django's own options, such as `--settings` and `--verbosity`.
`python -m tests.command_page` writes this page; a test fails if it is stale.

Exit codes: 0 success · 1 negative result (over budget, drift, a failed step, a lock that could not
be acquired) · 2 usage error · 3 environment error · 130 interrupted."""

# In the order of the life of a migration.
_ORDER = (
    *("generate", "plan", "verify", "apply", "rollback", "status", "history", "diff", "ask"),
    *("baseline", "recover"),
)

# Of Django, or in the introduction.
_COMMON = "help version verbosity settings pythonpath traceback no_color force_color skip_checks"


def text() -> str:
    known = {path.stem.removeprefix("zanith_") for path in COMMANDS.glob("zanith_*.py")}
    assert known == set(_ORDER)
    return (
        "\n\n".join([_INTRODUCTION, *(part for name in _ORDER for part in _section(name))]) + "\n"
    )


def _section(name: str) -> Iterator[str]:
    command = load_command_class("zanith_django", f"zanith_{name}")
    parser = command.create_parser("manage.py", f"zanith_{name}")
    yield f"## zanith_{name}"
    yield command.help
    if rows := [_row(action) for action in _own(parser)]:
        yield _table(rows)
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for verb, below in action.choices.items():
                yield f"### zanith_{name} {verb}"
                yield str(below.description)
                yield _table([_row(action) for action in _own(below)])


def _own(parser: ArgumentParser) -> Iterator[Action]:
    hidden = {*_COMMON.split(), "database"}
    for action in parser._actions:
        if not isinstance(action, _SubParsersAction | _VersionAction) and action.dest not in hidden:
            yield action


def _row(action: Action) -> tuple[str, str]:
    return _spelled(action), _words(action)


def _spelled(action: Action) -> str:
    option = action.option_strings[0] if action.option_strings else ""
    choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
    value = "" if action.nargs == 0 else choices or str(action.metavar or action.dest)
    many = " …" if action.nargs in ("+", "*") else ""
    return f"`{f'{option} {value}{many}'.strip()}`"


def _words(action: Action) -> str:
    default = f"By default `{action.default}`." if action.choices and action.default else ""
    return " ".join(filter(None, (action.help, "" if "default" in str(action.help) else default)))


def _table(rows: list[tuple[str, str]]) -> str:
    lines = [
        f"| {' | '.join(cells)} |" for cells in (("argument", "meaning"), ("---", "---"), *rows)
    ]
    return "\n".join(lines)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    PAGE.write_text(text())


if __name__ == "__main__":
    main()

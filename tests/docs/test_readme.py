"""The README names every setting and every command."""

from __future__ import annotations

from pathlib import Path

import pytest

import zanith_django
from zanith_django.conf import KINDS

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
COMMANDS = Path(zanith_django.__file__).parent / "management" / "commands"


@pytest.mark.parametrize("key", sorted(KINDS))
def test_every_setting_is_documented(key: str) -> None:
    assert f"`{key}`" in README


@pytest.mark.parametrize("name", sorted(file.stem for file in COMMANDS.glob("zanith_*.py")))
def test_every_command_is_documented(name: str) -> None:
    assert f"`{name}" in README

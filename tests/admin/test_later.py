"""Views that the admin names by text: no type checker sees that they exist."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from zanith_django import admin

FOLDER = Path(admin.__file__).parent
NAMED = sorted(
    (node.args[0].value, node.args[1].value)
    for file in FOLDER.glob("*.py")
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Name)
    and node.func.id == "later"
    and isinstance(node.args[0], ast.Constant)
    and isinstance(node.args[1], ast.Constant)
)


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_view_that_is_imported_later_exists(module: str, name: str) -> None:
    assert callable(getattr(import_module(f"zanith_django.admin.{module}"), name))

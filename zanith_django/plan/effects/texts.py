"""SQL texts in Python code: their constant parts, and placeholders for values."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

UNKNOWN_NAME = "_zanith_unknown"
"""The placeholder of a part that is known only when the code runs."""

_PARAMETER = re.compile(r"%(?:\(\w+\))?s")
_SLOT = re.compile(r"\{[^{}]*\}")


def without_parameters(text: str) -> str:
    """A text for `cursor.execute()` with NULL for each parameter."""
    return _PARAMETER.sub("NULL", text).replace("%%", "%")


def constant_text(
    node: ast.expr,
    known: Mapping[str, str],
    other: Callable[[str], Any] = lambda name: None,
) -> str | None:
    """The text of an expression, with `UNKNOWN_NAME` in unknown places; None if all is unknown.

    `known` are the texts of local names, `other` looks up the rest.
    """

    def text(each: ast.expr) -> str | None:
        return constant_text(each, known, other)

    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        found = known.get(node.id, other(node.id))
        return found if isinstance(found, str) else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found = other(f"{node.value.id}.{node.attr}")
        return found if isinstance(found, str) else None
    if isinstance(node, ast.FormattedValue):
        return text(node.value) if node.conversion == -1 and not node.format_spec else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text(each) or UNKNOWN_NAME for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text(node.left), text(node.right)
        if left is None and right is None:
            return None
        return (left or UNKNOWN_NAME) + (right or UNKNOWN_NAME)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = text(node.left)
        return left and _PARAMETER.sub(UNKNOWN_NAME, left)
    if isinstance(node, ast.Call):
        return _called(node, text)
    return None


def _called(node: ast.Call, text: Callable[[ast.expr], str | None]) -> str | None:
    """`"…".format(…)`, `dedent("…")`, `sql.SQL("…")` and the like."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "strip"):
        inner = text(node.func.value)
        return inner and _SLOT.sub(UNKNOWN_NAME, inner)
    return text(node.args[0]) if len(node.args) == 1 else None

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
    table: Callable[[ast.expr], str | None] = lambda model: None,
) -> str | None:
    """The text of an expression, with `UNKNOWN_NAME` in unknown places; None if all is unknown.

    `known` are the texts of local names, `other` looks up the rest. `table` is the table of an
    expression that gives a model.
    """

    def text(each: ast.expr) -> str | None:
        return constant_text(each, known, other, table)

    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        found = known.get(node.id, other(node.id))
        return found if isinstance(found, str) else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found = other(f"{node.value.id}.{node.attr}")
        return found if isinstance(found, str) else None
    if isinstance(node, ast.Attribute) and node.attr == "db_table":
        meta = node.value
        return table(meta.value) if isinstance(meta, ast.Attribute) else None
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
        return left and _filled(_PARAMETER, left, [text(node.right)])
    if isinstance(node, ast.Call):
        return _called(node, text)
    return None


def _called(node: ast.Call, text: Callable[[ast.expr], str | None]) -> str | None:
    """`"…".format(…)`, `dedent("…")`, `sql.SQL("…")` and the like."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "strip"):
        inner = text(node.func.value)
        return inner and _filled(_SLOT, inner, [text(each) for each in node.args])
    return text(node.args[0]) if len(node.args) == 1 else None


def _filled(slot: re.Pattern[str], text: str, values: list[str | None]) -> str:
    """The text with its only value in its only slot; with `UNKNOWN_NAME` in several slots."""
    given = values[0] if len(values) == 1 and len(slot.findall(text)) == 1 else None
    return slot.sub(lambda found: given or UNKNOWN_NAME, text)


def choices_of(tree: ast.AST, text: Callable[[ast.expr], str | None]) -> dict[str, list[str]]:
    """The texts of each name that a branch assigns: which of them it has is not known."""
    found: dict[str, list[str]] = {}
    branches = (node for node in ast.walk(tree) if isinstance(node, ast.If | ast.Try | ast.Match))
    inner = {id(each) for branch in branches for each in ast.walk(branch)}
    branching = set[str]()
    for node in (each for each in ast.walk(tree) if isinstance(each, ast.Assign)):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if names and (given := text(node.value)) is not None:
            branching.update(names if id(node) in inner else ())
            for name in names:
                found.setdefault(name, []).append(given)
    return {name: texts for name, texts in found.items() if name in branching and len(texts) > 1}

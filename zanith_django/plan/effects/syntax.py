"""Questions about the syntax tree of Python code that works with models."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from zanith_django.plan.effects.values import ALL


def in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, in the order of the text."""
    for child in ast.iter_child_nodes(tree):
        yield child
        yield from in_order(child)


def called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def assigned_columns(tree: ast.AST) -> Iterator[str]:
    """The columns of the attributes that are set: a relation has the name of its column without
    `_id`. With NULL, a row refers to no other."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and not _is_none(node.value):
            named = (each.attr for each in node.targets if isinstance(each, ast.Attribute))
            for name in named:
                yield from (name, f"{name}_id")


def given_columns(node: ast.Call) -> Iterator[str]:
    """The columns that `update()` sets."""
    for each in node.keywords:
        if each.arg is None:
            yield ALL
        elif not _is_none(each.value):
            yield from (each.arg, f"{each.arg}_id")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def is_plain_dict(receiver: ast.expr, node: ast.Call) -> bool:
    """`data.update(other)` of a dict takes a value, that of a queryset only keywords."""
    return bool(node.args or isinstance(receiver, ast.Dict))

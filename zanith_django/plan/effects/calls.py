"""Calls and assignments in a syntax tree: their names, and what their texts say."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zanith_django.plan.effects.functions import MAY_DROP
from zanith_django.plan.effects.orm_names import ASYNC, LIMITS
from zanith_django.plan.effects.sources import is_library
from zanith_django.plan.effects.values import ALL

Text = Callable[[ast.expr], str | None]
"""The text of an expression, if it is known."""

_REMOVES = re.compile(r"drop|delete|truncate|flush|purge|clear|reset|remove", re.IGNORECASE)
_MIGRATES = "migrate"
"""Back to an earlier migration, too."""


def in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, in the order of the text."""
    for child in ast.iter_child_nodes(tree):
        yield child
        yield from in_order(child)


def called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def meant(name: str, node: ast.Call) -> str:
    """The method that a call amounts to: `bulk_create()` that updates rows is `bulk_update()`."""
    name = ASYNC.get(name, name)
    updates = any(each.arg == "update_conflicts" for each in node.keywords)
    return "bulk_update" if name == "bulk_create" and updates else name


def is_whole(receiver: ast.expr) -> bool:
    """Is it `….objects.all()` of a model that is not known, without a condition?"""
    names = [called_name(each) for each in ast.walk(receiver) if isinstance(each, ast.Call)]
    return "all" in names and LIMITS.isdisjoint(names)


def is_deferred(receiver: ast.expr | None) -> bool:
    """Is it the list of what Django's schema editor executes at the end of the migration?"""
    return isinstance(receiver, ast.Attribute) and receiver.attr == "deferred_sql"


def deferred_by(node: ast.AST) -> Iterator[ast.expr]:
    """The statements that `deferred_sql += […]` adds to that list, or an assignment."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AugAssign) and any(map(is_deferred, targets)):
        value = node.value
        yield from value.elts if isinstance(value, ast.List | ast.Tuple) else [value]


def attribute_of(receiver: ast.expr, known: Mapping[str, str], text: Text) -> str:
    """The attribute that an expression reads: `row.tags`, a name that was bound to it, or
    `getattr(row, "tags")`; "" for anything else."""
    if isinstance(receiver, ast.Attribute):
        return receiver.attr
    if isinstance(receiver, ast.Name):
        return known.get(receiver.id, "")
    return looked_up(receiver, text) if isinstance(receiver, ast.Call) else ""


def looked_up(node: ast.Call, text: Text) -> str:
    """The name that getattr() looks up, if it is a constant."""
    known = called_name(node) == "getattr" and len(node.args) > 1
    return (text(node.args[1]) or "") if known else ""


def names_drop(tree: ast.AST) -> bool:
    """Does a text of a function, but for its docstring, name DROP, DELETE or TRUNCATE? Templates of
    Django's schema editor are such texts: `sql_delete_table`."""
    own = ast.get_docstring(tree, clean=False) if isinstance(tree, ast.FunctionDef) else None
    nodes = list(ast.walk(tree))
    if any(isinstance(each, ast.Attribute) and "sql_delete" in each.attr for each in nodes):
        return True
    texts = (each.value for each in nodes if isinstance(each, ast.Constant))
    return any(text != own and MAY_DROP.search(text) for text in texts if isinstance(text, str))


def may_remove(node: ast.Call) -> bool:
    """Does a command that is not read remove something, by its words?"""
    texts = [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return _MIGRATES in texts or any(map(_REMOVES.search, texts))


def is_plain_dict(receiver: ast.expr, node: ast.Call) -> bool:
    """`data.update(other)` of a dict takes a value, that of a queryset only keywords."""
    return bool(node.args or isinstance(receiver, ast.Dict))


def is_known(found: Any, name: str) -> bool:
    """A builtin, or a class of a library that only computes."""
    if found is None:
        return hasattr(builtins, name)
    return isinstance(found, type) and is_library(found)


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

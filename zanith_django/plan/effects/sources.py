"""Functions and classes in Python: whose they are, and their syntax trees."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

from django.db.models import Model

UNSEEN = object()
"""What a package has that is not loaded, so that it cannot be read."""


def imported(module: str, name: str = "") -> Any:
    """What an import gives, without loading anything; None for what only computes."""
    loaded = sys.modules.get(module)
    found = getattr(loaded, name, None) if name else loaded
    if found is None and name:
        found = sys.modules.get(f"{module}.{name}")
    return (None if _is_shipped(module) else UNSEEN) if found is None else found


def is_management(found: Any) -> bool:
    """Is it of Django's code that fills tables after a migration, such as permissions?"""
    return isinstance(found, FunctionType) and ".management" in found.__module__


def is_library(found: FunctionType | type) -> bool:
    return _is_shipped(found.__module__)


def _is_shipped(module: str) -> bool:
    """With Python or Django."""
    package = module.partition(".")[0]
    return package == "django" or package in sys.stdlib_module_names


def methods_of(found: type) -> Iterator[FunctionType]:
    """What the author of a class wrote in it, not what a decorator made."""
    for each in vars(found).values():
        method = function_of(each)
        if method and not method.__code__.co_filename.startswith("<"):
            yield method


def overridden(method: FunctionType, kind: type, name: str) -> Any:
    """What `super().name` is in a method that `kind` has or inherits."""
    order = kind.__mro__
    place = next((n for n, each in enumerate(order) if method in vars(each).values()), 0)
    found = (vars(each)[name] for each in order[place + 1 :] if name in vars(each))
    return next(found, None)


def function_of(code: Any) -> FunctionType | None:
    if isinstance(code, functools.partial):
        return function_of(code.func)
    code = inspect.unwrap(code) if callable(code) else code
    if isinstance(code, MethodType | staticmethod | classmethod):
        return function_of(code.__func__)
    return code if isinstance(code, FunctionType) else None


def tree_of(function: FunctionType) -> ast.AST | None:
    """The syntax tree of the function alone, found in its file by its first line."""
    try:
        lines, _ = inspect.findsource(function)
        file = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError):
        return None
    first = function.__code__.co_firstlineno
    found = [node for node in ast.walk(file) if _begins(node) == first]
    named = [node for node in found if getattr(node, "name", "<lambda>") == function.__name__]
    return named[0] if len(named) == 1 else None


def _begins(node: ast.AST) -> int:
    """The line on which a function begins, its decorators included; 0 of anything else."""
    if not isinstance(node, ast.FunctionDef | ast.Lambda):
        return 0
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(int(each.lineno) for each in decorators)])


def title_of(code: Any) -> str:
    return str(getattr(code, "__qualname__", type(code).__name__))


def calls_super(method: Any) -> bool:
    """Does a method run the one that it overrides? It may, if it cannot be read."""
    function = function_of(method)
    tree = tree_of(function) if function else None
    if function is None or tree is None:
        return True
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return "super" in names or function.__name__ in called


def is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Model) and found is not Model

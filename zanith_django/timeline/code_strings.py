"""The strings in the code of a Python function and of those of its module that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType
from typing import Any


def strings_in(function: Callable[..., Any]) -> Iterator[str]:
    """The constants of the code, and of the module where the code names them. Nothing runs."""
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if isinstance(function, FunctionType):
        yield from _strings(function, set())


def _strings(function: FunctionType, seen: set[CodeType]) -> Iterator[str]:
    if function.__code__ in seen:
        return
    seen.add(function.__code__)
    for code in _codes(function.__code__):
        yield from (each for each in code.co_consts if isinstance(each, str))
        for name in code.co_names:
            found = function.__globals__.get(name)
            if isinstance(found, str):
                yield found
            elif isinstance(found, FunctionType) and found.__module__ == function.__module__:
                yield from _strings(found, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code, and that of the functions and comprehensions in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)

"""Views that are imported at the first request: every process of a project imports the admin."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def later(module: str, name: str) -> Callable[..., Any]:
    """The function `name` of `zanith_django.admin.<module>`, which the first call imports.

    As an attribute of a class it is a method: the function takes the instance first.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(f"zanith_django.admin.{module}"), name)(*args, **kwargs)

    call.__name__ = name
    return call

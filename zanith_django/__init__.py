"""Audited, risk-scored, recoverable PostgreSQL migrations for Django.

Migration files say `import zanith_django as zanith` and find their whole language here. It is
imported with its first name: a process of the project that reads no file does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zanith_django.migration import Migration
    from zanith_django.operations import *  # noqa: F403  # the language, listed in its __all__
    from zanith_django.schema.graph import (
        Check,
        Collation,
        Column,
        Exclusion,
        Extension,
        ForeignKey,
        Index,
        IndexKey,
        Policy,
        PrimaryKey,
        Table,
        TableName,
        Unique,
    )

__version__ = "0.1.0"

__all__ = [
    "Check",
    "Collation",
    "Column",
    "Exclusion",
    "Extension",
    "ForeignKey",
    "Index",
    "IndexKey",
    "Migration",
    "Policy",
    "PrimaryKey",
    "Table",
    "TableName",
    "Unique",
]


def __getattr__(name: str) -> Any:
    for module in map(import_module, _modules_with(name)):
        if name in __all__ or name in module.__all__:
            globals()[name] = found = getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _modules_with(name: str) -> tuple[str, ...]:
    """The module that may have it. Python asks for the names of modules too, which are small."""
    if name == "Migration":
        return ("zanith_django.migration",)
    if name in __all__:
        return ("zanith_django.schema.graph",)
    return ("zanith_django.operations",) if name[:1].isupper() else ()

"""Audited, risk-scored, recoverable PostgreSQL migrations for Django.

Migration files say `import zanith_django as zanith` and find their whole language here. It is
imported with its first name: a process of the project that reads no file does without. Type
checkers read it in `__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_OPERATIONS = "zanith_django.operations"
_OF_GRAPH = (
    "Check",
    "Collation",
    "Column",
    "Exclusion",
    "Extension",
    "ForeignKey",
    "Index",
    "IndexKey",
    "Policy",
    "PrimaryKey",
    "Table",
    "TableName",
    "Unique",
)


def __getattr__(name: str) -> Any:
    if name == "Migration":
        found = import_module("zanith_django.migration").Migration
    elif name in _OF_GRAPH:
        found = getattr(import_module("zanith_django.schema.graph"), name)
    elif name[:1].isupper() and name in (module := import_module(_OPERATIONS)).__all__:
        found = getattr(module, name)
    else:  # Python asks for modules too, whose names are in small letters
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found

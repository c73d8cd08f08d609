"""Audited, risk-scored, recoverable PostgreSQL migrations for Django.

Migration files `import zanith_django as zanith` and find all operations and their values here. They
are imported at the first use of a name, so that processes which read no file do not load them. Type
checkers read them in `__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_OPERATIONS = "zanith_django.operations"
_GRAPH = "zanith_django.schema.graph"
_MODULES = {
    "Migration": "zanith_django.files.migration",
    "TableName": "zanith_django.postgres.names",
    "Collation": _GRAPH,
    "Extension": _GRAPH,
    "IndexKey": _GRAPH,
    "Table": _GRAPH,
}
_PARTS = "zanith_django.schema.parts"


def __getattr__(name: str) -> Any:
    if module_name := _MODULES.get(name):
        found = getattr(import_module(module_name), name)
    elif part := _part(name):
        found = part.item
    elif name[:1].isupper() and name in (module := import_module(_OPERATIONS)).__all__:
        found = getattr(module, name)
    else:  # Python asks for modules too, whose names are in small letters
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def _part(name: str) -> Any:
    """The part whose items have the class of this name."""
    parts = import_module(_PARTS).WRITTEN if name[:1].isupper() else ()
    return next((part for part in parts if part.item.__name__ == name), None)

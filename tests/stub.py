"""`python -m tests.stub`: writes zanith_django/__init__.pyi, the language as type checkers see it.

A migration file spells the name of a table, and the key of an index, as a text: the constructors
make values of them, which no type of a field can say. A test fails when the stub is stale.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.project import REPOSITORY
from zanith_django import operations
from zanith_django.schema import dependents, graph, parts

STUB = REPOSITORY / "zanith_django" / "__init__.pyi"

GRAPH = ("Collation", "Extension", "IndexKey", "Table")
PARTS = tuple(part.item.__name__ for part in parts.WRITTEN)

# {type of a field: what its argument may be}
LENIENT = {
    "TableName": "TableName | str",
    "tuple[IndexKey, ...]": "tuple[_parts.IndexKey | str, ...]",
}

HEAD = '''\
"""Written by `python -m tests.stub`: the language of migration files, for type checkers."""

from zanith_django import operations as _operations
from zanith_django.files.migration import Migration as Migration
from zanith_django.postgres.names import TableName as TableName
'''


def written() -> str:
    """The text that the stub should have."""
    plain, lenient = [], []
    for module, names in ((operations, operations.__all__), (graph, GRAPH), (parts, PARTS)):
        for name in names:
            found = getattr(module, name)
            if _is_lenient(found):
                lenient.append(_class(module.__name__.rpartition(".")[2], name, found))
            else:
                plain.append(f"from {module.__name__} import {name} as {name}")
    text = "\n".join(
        [
            HEAD.rstrip("\n"),
            *plain,
            "from zanith_django.operations.policies import PolicyPairs as _PolicyPairs",
            "from zanith_django.schema import dependents as _dependents",
            "from zanith_django.schema import graph as _graph",
            "from zanith_django.schema import parts as _parts",
            "",
            "__version__: str",
            "",
            *lenient,
        ]
    )
    return _formatted(text)


def _is_lenient(found: Any) -> bool:
    """Its constructor takes more than its fields hold."""
    if not dataclasses.is_dataclass(found) or found in (operations.Context, operations.Statement):
        return False
    return any(field.type in LENIENT for field in dataclasses.fields(found))


def _class(module: str, name: str, found: Any) -> str:
    final = "  # type: ignore[misc]  # final" if getattr(found, "__final__", False) else ""
    arguments = ", ".join(_arguments(found))
    head = f"class {name}(_{module}.{name}):{final}"
    return f"{head}\n    def __init__(self, {arguments}) -> None: ...\n"


def _arguments(found: Any) -> Iterator[str]:
    fields = [
        field
        for field in dataclasses.fields(found)
        if field.init and field.metadata.get("stored", True)
    ]
    if any(field.kw_only for field in fields):
        yield "*"
    for field in fields:
        missing = dataclasses.MISSING
        optional = field.default is not missing or field.default_factory is not missing
        default = " = ..." if optional else ""
        yield f"{field.name}: {_spelled(str(field.type))}{default}"


def _spelled(kind: str) -> str:
    if kind in LENIENT:
        return LENIENT[kind]
    return re.sub(r"\b[A-Z]\w+\b", _qualified, kind)


def _qualified(name: re.Match[str]) -> str:
    if name[0] in ("None", "PolicyPairs", "TableName"):
        return name[0].replace("Policy", "_Policy")
    homes = {"_dependents": dependents, "_parts": parts, "_graph": graph}
    home = next((home for home, module in homes.items() if hasattr(module, name[0])), "_operations")
    return f"{home}.{name[0]}"


def _formatted(text: str) -> str:
    for command in (["check", "--fix", "--select", "I"], ["format"]):
        line = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(STUB), "-"]
        done = subprocess.run(line, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


if __name__ == "__main__":
    STUB.write_text(written())

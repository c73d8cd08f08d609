"""Names of tables, as PostgreSQL has them: a schema and a name."""

from __future__ import annotations

import re
from typing import NamedTuple

from zanith_django.exceptions import InvalidName

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


class TableName(NamedTuple):
    """The name of a table: its schema and its own name.

    The empty schema is the default schema of the connection (`current_schema()`), so that one
    migration file runs on any database whatever its `search_path` says. (A tuple, because every
    graph looks up its tables by this name and the hash of a tuple is fast.)
    """

    schema: str
    name: str

    @classmethod
    def of(cls, name: str | TableName) -> TableName:
        """`users`, `audit.users` or `"audit"."my.table"`; raises `InvalidName`."""
        if isinstance(name, TableName):
            return name
        if '"' not in name and name.count(".") < 2 and all(plain := name.split(".")):
            return cls(*plain) if len(plain) == 2 else cls("", name)
        parts: list[str] = []
        position = 0
        while match := _PART.match(name, position):
            parts.append(match[1].replace('""', '"') if match[1] else match[2])
            position = match.end()
            if position == len(name) or name[position] != ".":
                break
            position += 1
        if position != len(name) or name.endswith(".") or len(parts) not in (1, 2):
            raise InvalidName(name)
        return cls("", parts[0]) if len(parts) == 1 else cls(parts[0], parts[1])

    def __str__(self) -> str:
        parts = (self.schema, self.name) if self.schema else (self.name,)
        return ".".join(_spell(part) for part in parts)


def _spell(part: str) -> str:
    if "." in part or '"' in part:
        return '"' + part.replace('"', '""') + '"'
    return part

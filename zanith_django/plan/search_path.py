"""Tables that an unqualified name finds in a later schema of the search path.

A file of ours and the models name tables without a schema. A new table goes to the current schema;
one that exists is wherever the server finds it first: tenants have a schema of their own, and
`"$user"` comes to exist when an administrator makes a schema for a role. What runs, and the facts
that a verdict uses, are in the names of the server; what is compared is in the names of the files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations import Operation
from zanith_django.operations.moves import TableMove
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph

ELSEWHERE = """\
SELECT c.relname, n.nspname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (current_schemas(false))
  AND n.nspname <> current_schema() AND pg_catalog.pg_table_is_visible(c.oid)"""

_T = TypeVar("_T")


def found_elsewhere(connection: BaseDatabaseWrapper) -> dict[str, TableName]:
    """{unqualified name: the table that it finds outside the current schema}."""
    with connection.cursor() as cursor:
        cursor.execute(ELSEWHERE)
        return elsewhere_of(cursor.fetchall())


def elsewhere_of(rows: Iterable[tuple[str, str]]) -> dict[str, TableName]:
    """The rows of `ELSEWHERE` as `found_elsewhere` gives them."""
    return {name: TableName(schema, name) for name, schema in rows}


def unqualified(graph: SchemaGraph, elsewhere: Mapping[str, TableName]) -> SchemaGraph:
    """The graph in the names that find its tables, for a comparison with the models."""
    if not elsewhere:
        return graph
    return _renamed(
        graph, lambda name: TableName("", name.name) if elsewhere.get(name.name) == name else name
    )


class SearchPath:
    """Gives operations the names of the server, in the order in which they run: it follows tables
    that are renamed."""

    def __init__(self, elsewhere: Mapping[str, TableName]) -> None:
        self.elsewhere = dict(elsewhere)

    def resolved(self, operation: Operation, graph: SchemaGraph) -> Operation:
        """The operation with the tables of `graph` under the names of the server. It creates a
        table in the current schema, and renames one within its own."""
        known: dict[TableName, TableName] = {}
        for move in operation.moves:
            known |= self._moved(move, graph)
        if not self.elsewhere:
            return operation

        def found(name: TableName) -> TableName:
            return known.get(name) or self._found(name, graph)

        return _renamed(operation, found)

    def _found(self, name: TableName, graph: SchemaGraph) -> TableName:
        known = bool(name.schema) or name in graph
        return name if known else self.elsewhere.get(name.name, name)

    def _moved(self, move: TableMove, graph: SchemaGraph) -> dict[TableName, TableName]:
        """The names of a table that is created or renamed. Of a rename that ran already only the
        new name finds it."""
        old, new = move.old, move.new
        if new is None:
            return {}
        if old is None or old.schema or new.schema:
            return {name: name for name in (old, new) if name}
        places = (self._found(name, graph).schema for name in (old, new) if old not in graph)
        schema = next(filter(None, places), "")
        if not schema:
            return {}
        there = {name: TableName(schema, name.name) for name in (old, new)}
        self.elsewhere |= {name.name: found for name, found in there.items()}
        return there


def _renamed(value: _T, change: Callable[[TableName], TableName]) -> _T:
    """The frozen value with every table's name in it changed; itself where none is."""
    found: Any = value
    if isinstance(value, TableName):
        found = change(value)
    elif isinstance(value, tuple):
        items = tuple(_renamed(item, change) for item in value)
        same = all(new is old for new, old in zip(items, value, strict=True))
        found = value if same else items
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        changes = {name: _renamed(getattr(value, name), change) for name in fields}
        changes = {name: new for name, new in changes.items() if new is not getattr(value, name)}
        found = dataclasses.replace(value, **changes) if changes else value
    return found  # type: ignore[no-any-return]  # of the type of `value`

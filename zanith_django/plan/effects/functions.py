"""Functions: what their bodies may do when they are called, and the tables whose indexes and
constraints call them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, qualified, strings, walk
from zanith_django.schema.graph import Table

MAY_DROP = re.compile(r"\b(?:DROP|TRUNCATE|DELETE)\b", re.IGNORECASE)
_REMOVE = frozenset(("DeleteStmt", "TruncateStmt", "DropStmt"))


def create_function(node: Node, notes: Notes) -> None:
    _, name = qualified(node["funcname"])
    if _may_drop(node):
        notes.danger = name
    if node.get("replace"):
        _changed(name, notes)


def alter_function(node: Node, notes: Notes) -> None:
    _changed(qualified(node["func"]["objname"])[1], notes)


def _may_drop(node: Node) -> bool:
    options = (each["DefElem"] for each in node.get("options", ()))
    texts = [text for each in options if each["defname"] == "as" for text in strings(each["arg"])]
    written = any(kind in _REMOVE for kind, _ in walk(node.get("sql_body")))
    return written or any(map(MAY_DROP.search, texts))


def _changed(name: str, notes: Notes) -> None:
    """Stored results of the old body stay: entries of indexes, and rows that a check accepted."""
    notes.find("changes_object")
    called = re.compile(rf'(?<!\w){re.escape(name)}"?\(')
    for table in notes.graph.tables:
        if any(map(called.search, _stored(table))):
            notes.find("changes_used_function", table.name)
        if any(called.search(trigger.definition) for trigger in table.triggers):
            notes.find("changes_trigger", table.name)


def _stored(table: Table) -> Iterator[str]:
    """The expressions whose results the table keeps."""
    for index in table.indexes:
        yield from (key.expression for key in index.keys)
        yield index.predicate
    yield from (check.expression for check in table.checks)
    yield from (exclusion.definition for exclusion in table.exclusions)
    yield from (column.generated for column in table.columns)
    yield table.partition_key

"""The dependents of a column: found, removed with it and renamed with it, as values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Trigger
from zanith_django.schema.graph import Column, ForeignKey, SchemaGraph, Table
from zanith_django.schema.parts import CARRIED, CHANGED, PARTS, PRIMARY_KEY, Part


def what_contains(table: Table, column: str) -> dict[str, Any]:
    """Everything on `table` that contains or reads `column` and that a drop of the column which
    keeps its values remembers, by part; not the primary key."""
    return {part.field: containing(part, table, column) for part in CARRIED}


def containing(part: Part, table: Table, column: str) -> tuple[Any, ...]:
    """The items of a part of `table` that contain or read `column`."""
    return tuple(item for item in part.of(table) if _contains(part, item, column, table))


def _contains(part: Part, item: Any, column: str, table: Table) -> bool:
    """By its columns; an item without a list of them is read."""
    columns = getattr(item, "columns", None)
    if columns is None:
        return any(mentions(getattr(item, t), column, table.name.name) for t in part.texts)
    return column in columns or column in getattr(item, "include", ())


def in_primary_key(table: Table, column: str) -> bool:
    return bool(containing(PRIMARY_KEY, table, column))


def generated_from(table: Table, column: str) -> tuple[Column, ...]:
    """The generated columns of `table` that are computed from `column`."""
    return tuple(item for item in table.columns if mentions(item.generated, column))


def without_column(table: Table, column: str) -> Table:
    """`table` as DROP COLUMN leaves it: without all that contained the column."""
    for part in CHANGED:
        for item in containing(part, table, column):
            table = table.without_item(part.field, item.name)
    if in_primary_key(table, column):
        table = dataclasses.replace(table, primary_key=None)
    return table.without_item("columns", column)


def with_column(table: Table, column: Column, parts: dict[str, tuple[Any, ...]]) -> Table:
    """`table` with the column and its dependents."""
    table = table.with_item("columns", column)
    for part, items in parts.items():
        for item in items:
            table = table.with_item(part, item)
    return table


# --- names of columns in texts that PostgreSQL printed -------------------------------------------

# Strings, casts and collations are tokens of their own: what they name is no column.
_TOKENS = re.compile(
    r"""
      E?'(?:[^']|'')*'
    | ::(?:"(?:[^"]|"")+"|[\w$.])+
        (?:\(\d[\d,]*\)|\ (?:varying|precision|with(?:out)?\ time\ zone))*
    | \bCOLLATE\ (?:"(?:[^"]|"")+"|[\w$.])+
    | "(?:[^"]|"")+"
    | [^\W\d][\w$]*
    """,
    re.VERBOSE,
)

# Keywords that PostgreSQL quotes when a column has their name (those not "unreserved").
# https://www.postgresql.org/docs/current/sql-keywords-appendix.html
_KEYWORDS = (
    "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit "
    "boolean both case cast char character check coalesce collate collation column concurrently "
    "constraint create cross current_catalog current_date current_role current_schema "
    "current_time current_timestamp current_user dec decimal default deferrable desc distinct do "
    "else end except exists extract false fetch float for foreign freeze from full grant greatest "
    "group grouping having ilike in initially inner inout int integer intersect interval into is "
    "isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query "
    "json_scalar json_serialize json_table json_value lateral leading least left like limit "
    "localtime localtimestamp merge_action national natural nchar none normalize not notnull null "
    "nullif numeric offset on only or order out outer overlaps overlay placing position precision "
    "primary real references returning right row select session_user setof similar smallint some "
    "substring symmetric system_user table tablesample then time timestamp to trailing treat trim "
    "true union unique user using values varchar variadic verbose when where window with "
    "xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot "
    "xmlserialize xmltable"
)
_QUOTED = frozenset(_KEYWORDS.split())


def mentions(expression: str, column: str, table: str = "") -> bool:
    """Does a text of the catalog read this column?

    Inside a subquery PostgreSQL writes columns as `table.column`; `table` is the name to look for.
    """
    return any(_named(match[0]) == column for match in _columns_in(expression, table))


def rename_in_text(text: str, old: str, new: str, table: str = "") -> str:
    """`text` with the column `old` spelled `new`, as PostgreSQL would print it."""
    spelled = _spelled(new)
    for match in reversed(list(_columns_in(text, table))):
        if _named(match[0]) == old:
            text = text[: match.start()] + spelled + text[match.end() :]
    return text


# A trigger may be called as a column is.
_TRIGGER = re.compile(r'CREATE (?:CONSTRAINT )?TRIGGER (?:"(?:[^"]|"")+"|\S+) ')
_ROWS = ("old", "new")


def rename_in_trigger(definition: str, old: str, new: str) -> str:
    """The definition of a trigger with the column `old` spelled `new`."""
    head = _TRIGGER.match(definition)
    start = head.end() if head else 0
    body = definition[start:]
    for row in _ROWS:
        body = rename_in_text(body, old, new, row)
    return definition[:start] + body


def move_trigger(definition: str, old: TableName, new: TableName) -> str:
    """The definition of a trigger of the table `old` for its name `new`, both with a schema."""
    before, after = (f" ON {_spelled(name.schema)}.{_spelled(name.name)} " for name in (old, new))
    return definition.replace(before, after, 1)


def _spelled(name: str) -> str:
    """The name as PostgreSQL prints it."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _QUOTED
    return name if plain else str(sql.ident(name))


def _columns_in(text: str, table: str) -> Iterator[re.Match[str]]:
    """The tokens of `text` that can be columns: neither called nor qualified by another name."""
    qualifier: re.Match[str] | None = None
    for match in _TOKENS.finditer(text):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        foreign = before == "." and (qualifier is None or _named(qualifier[0]) != table)
        if after not in ("(", ".") and not foreign and _named(match[0]):
            yield match
        qualifier = match if after == "." else None


def _named(token: str) -> str:
    """The name that a token spells; "" for strings, casts and keywords in capitals."""
    if token.startswith('"'):
        return token[1:-1].replace('""', '"')
    is_name = token[-1] != "'" and not token.startswith("::") and not re.search("[A-Z]", token)
    return token if is_name else ""


# --- renaming a column wherever it is mentioned --------------------------------------------------


def rename_column(graph: SchemaGraph, name: TableName, old: str, new: str) -> SchemaGraph:
    """`graph` with a column renamed wherever it is mentioned."""
    graph = graph.changed(name, lambda table: _Renaming(name.name, old, new).table(table))
    return dataclasses.replace(
        graph, tables=tuple(_renamed_target(table, name, old, new) for table in graph.tables)
    )


def _renamed_target(table: Table, name: TableName, old: str, new: str) -> Table:
    """Foreign keys of any table that point at the column follow it."""
    keys = tuple(
        dataclasses.replace(
            key, referenced_columns=tuple(new if c == old else c for c in key.referenced_columns)
        )
        if key.references == name
        else key
        for key in table.foreign_keys
    )
    return table if keys == table.foreign_keys else dataclasses.replace(table, foreign_keys=keys)


def renamed_in(item: Any, table: str, old: str, new: str) -> Any:
    """An index, constraint or policy of `table` with the column `old` spelled `new` in it."""
    return _Renaming(table, old, new).item(item)


def referrers_to(graph: SchemaGraph, name: TableName) -> list[tuple[TableName, ForeignKey]]:
    """(table, foreign key) of all foreign keys that point at this table, its own ones too."""
    return [
        (table.name, key)
        for table in graph.tables
        for key in table.foreign_keys
        if key.references == name
    ]


def referrers_of(
    graph: SchemaGraph, name: TableName, column: str
) -> list[tuple[TableName, ForeignKey]]:
    """(table, foreign key) of all foreign keys that point at this column."""
    found = referrers_to(graph, name)
    return [(table, key) for table, key in found if column in key.referenced_columns]


_READERS = {part.item for part in CHANGED if part.texts}  # `columns` are those that they read
_TEXTS = frozenset(name for part in PARTS for name in part.texts)


class _Renaming:
    """One column of one table gets another name."""

    def __init__(self, table: str, old: str, new: str) -> None:
        self.name, self.old, self.new = table, old, new

    def table(self, table: Table) -> Table:
        parts = (*(part.field for part in CHANGED), "columns", "dependents")
        changes: dict[str, Any] = {
            part: tuple(map(self.item, getattr(table, part))) for part in parts
        }
        if table.primary_key:
            changes["primary_key"] = self.item(table.primary_key)
        changes["partition_key"] = self.text(table.partition_key)
        changes["triggers"] = tuple(map(self.trigger, table.triggers))
        return dataclasses.replace(table, **changes)

    def trigger(self, trigger: Trigger) -> Trigger:
        definition = rename_in_trigger(trigger.definition, self.old, self.new)
        return dataclasses.replace(trigger, definition=definition)

    def item(self, item: Any) -> Any:
        changes = {
            field.name: self._field(item, field.name)
            for field in dataclasses.fields(item)
            if field.init
        }
        if isinstance(item, Column) and item.name == self.old:
            changes["name"] = self.new
        return dataclasses.replace(item, **changes)

    def _field(self, item: Any, field: str) -> Any:
        value = getattr(item, field)
        if field in _TEXTS:
            return self.text(value)
        if field == "keys":
            return tuple(map(self.item, value))
        if field == "column":
            return self.new if value == self.old else value
        if field == "on_delete":
            return self._action(value)
        if field in ("columns", "include"):
            names = tuple(self.new if name == self.old else name for name in value)
            reads = field == "columns" and item.__class__ in _READERS
            return tuple(sorted(names)) if reads else names
        return value

    def text(self, text: str) -> str:
        return rename_in_text(text, self.old, self.new, self.name) if text else text

    def _action(self, action: str) -> str:
        """`SET NULL ("a", "b")`, whose names are always quoted."""
        old, new = (str(sql.ident(name)) for name in (self.old, self.new))
        return action.replace(old, new)

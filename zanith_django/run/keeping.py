"""The place of a kept object in the database, and the note there that describes its restore.

The note is the comment on the kept column, or on the first column of a kept table. Only the owner
can write it, and it follows its table through renames, moves, later drops and a dump. Everything
that is executed comes from the note: the rows of the ledger are data, and a role that may write
them cannot make the runner execute anything. The note also keeps the comment that it replaces, and
that of the table.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import ArtifactForged, CannotRestore
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations.artifact_ids import OF_COLUMNS, SOFT_DROP_COLUMN, ArtifactId
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    NOTE,
    Artifact,
    dropped_name,
    from_data,
    own_name,
    with_fields,
)
from zanith_django.operations.dependents import renamed_in
from zanith_django.operations.keep.kept import Restore, archive_name, note_column
from zanith_django.operations.keep.restored import restored_comment
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey, SchemaGraph
from zanith_django.schema.parts import CARRIED

T = TypeVar("T")

# Finds a kept object by its note, in any schema and under any name, or else by the name that
# follows from its id.
_FIND = """\
SELECT n.nspname, c.relname, coalesce(a.attname, ''), c.oid, d.description,
       c.relowner::regrole::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a
       ON {column} AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = c.oid
      AND CASE WHEN {column} THEN d.objsubid = a.attnum
               ELSE starts_with(d.description, {note}) END
WHERE c.relkind IN ('r', 'p') AND coalesce(a.attinhcount, 0) = 0
  AND (starts_with(d.description, {note})
       OR CASE WHEN {column} THEN a.attname ELSE c.relname END = {name})
ORDER BY starts_with(d.description, {note}) DESC NULLS LAST"""

_TABLES = """\
SELECT name, to_regclass(name)::oid,
       (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
FROM unnest({names}::text[]) AS name"""

_COMMENTS = """\
SELECT a.attname, col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = {column}
WHERE c.oid = {table}::regclass"""

_NUMBER = """\
(SELECT attnum FROM pg_catalog.pg_attribute
 WHERE attrelid = {table}::regclass AND attname = {name})"""

_NOTED = """\
SELECT a.attname, d.description FROM pg_catalog.pg_description d
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = {table}::regclass
  AND starts_with(d.description, {note})"""

_COLUMNS = """\
SELECT attnum, attname FROM pg_catalog.pg_attribute
WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped
  AND NOT starts_with(attname, '_zanith_')
  AND (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) = {database}"""

_RENAMED = """\
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = {oid} AND (SELECT oid FROM pg_catalog.pg_database
                         WHERE datname = current_database()) = {database}"""

_INDEXES = """\
SELECT c.relname FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {oid}"""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a kept object: a table, and the column in it ("" for a table). It is `hidden` as
    long as it has its hidden name, until a restore begins."""

    table: TableName
    column: str
    oid: int
    hidden: bool
    note: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else str(self.table)

    @property
    def aside(self) -> bool:
        """Is its whole table hidden?"""
        return self.table.schema == KEPT_SCHEMA


def locate(connection: BaseDatabaseWrapper, artifact: ArtifactRow) -> Place | None:
    """The current place of the artifact's object; None if the database no longer has it.

    Raises `ArtifactForged` if the row of the ledger does not match its own id, or if several
    objects have the name.
    """
    name = _kept_name(artifact)
    in_table = artifact.source_column is not None and not artifact.archived
    found = _rows(
        connection,
        sql.compose(
            _FIND,
            column=sql.literal(in_table),
            note=sql.literal(_opening(artifact.id)),
            name=sql.literal(name),
        ),
    )
    noted = [row for row in found if (row[4] or "").startswith(_opening(artifact.id))]
    for rows in (noted, found):
        if len(rows) > 1:
            places = ", ".join(f"{row[0]}.{row[1]} of {row[5]}" for row in rows)
            raise ArtifactForged(artifact.id, f"several tables claim to hold it: {places}")
        for schema, table, column, oid, text, _ in rows:
            place = column if in_table else artifact.source_column or ""
            hidden = name == (column if in_table else table)
            return Place(TableName(schema, table), place, oid, hidden, _read(text or ""))
    return None


def count_of(connection: BaseDatabaseWrapper, place: Place) -> int:
    """The number of rows, or of values in the column."""
    counted = sql.ident(place.column) if place.column else sql.clause("*")
    table = sql.table(place.table, place.table.schema)
    text = sql.compose("SELECT count({it}) FROM {table}", it=counted, table=table)
    return int(_rows(connection, text)[0][0])


def _kept_name(artifact: ArtifactRow) -> str:
    """The hidden name, which follows from the id alone. Raises `ArtifactForged`."""
    known = ArtifactId.parse(artifact.id)
    kind = known.type if known else ""
    table = archive_name(artifact.id) if artifact.archived else None
    name = table.name if table else dropped_name(artifact.id)
    in_table = kind == SOFT_DROP_COLUMN
    checks = {
        "artifact_type": artifact.artifact_type == kind,
        "migration_id": known is not None and known.is_of(artifact.migration_id),
        "physical_name": artifact.physical_name
        == (name if in_table else str(TableName(KEPT_SCHEMA, name))),
        "source_column": (kind in OF_COLUMNS) is (artifact.source_column is not None),
        "source_table": artifact.target in _targets(artifact),
    }
    for column, right in checks.items():
        if not right:
            raise ArtifactForged(artifact.id, f"its {column} does not match its id")
    return name


def _targets(artifact: ArtifactRow) -> tuple[str, str]:
    parts = [artifact.source_table, *filter(None, [artifact.source_column])]
    return ".".join(parts), ".".join((artifact.source_schema, *parts))


# --- the note ------------------------------------------------------------------------------------


def write_note(connection: BaseDatabaseWrapper, artifact: Artifact, schema: str) -> None:
    """Writes the definition of a kept object as a comment on it, in the transaction of the drop."""
    restore = artifact.metadata["restore"]
    operation = from_data(restore)
    names = {str(name): str(sql.table(name, schema)) for name in operation.tables}
    rows = _rows(connection, sql.compose(_TABLES, names=sql.literal([*names.values()])))
    oids = {spelled: oid for spelled, oid, _ in rows if oid}
    here = rows[0][2]
    note = {
        "artifact": artifact.id,
        "restore": restore,
        "database": here,
        "tables": {name: oids[spelled] for name, spelled in names.items() if spelled in oids},
        "columns": {
            name: {column: number for number, column in _columns(connection, oids[spelled], here)}
            for name, spelled in names.items()
            if spelled in oids
        },
    }
    in_table = artifact.type == SOFT_DROP_COLUMN
    table = artifact.table if in_table else TableName.of(artifact.physical_name)
    regclass = sql.regclass(table, schema)
    column = note_column(regclass)
    if in_table:
        name = sql.literal(artifact.physical_name)
        column = sql.clause(_NUMBER, table=regclass, name=name)
    text = sql.compose(_COMMENTS, table=regclass, column=column)
    holder, own, of_table = _rows(connection, text)[0]
    comments = {"column": own} if in_table else {"column": own, "table": of_table}
    note |= _read(own or "") or {
        "comments": comments
    }  # an archive got its note when it was created
    if of_table and not in_table:
        _comment(connection, table, "", None, schema)
    _comment(connection, table, holder, f"{NOTE}{json.dumps(note)}", schema)


def write_restored(connection: BaseDatabaseWrapper, operation: Restore, schema: str) -> None:
    """Gives a restored table its earlier comment. A restored column gets a note: no model may know
    it yet, and the step that adds it adopts it. Runs in the transaction that ends the restore."""
    if column := operation.one_column:
        text = restored_comment(required=not column.nullable)
        _comment(connection, operation.home, column.name, text, schema)
    else:
        clear_note(connection, operation, schema)


def clear_note(connection: BaseDatabaseWrapper, operation: Restore, schema: str) -> None:
    """Restores the earlier comments, in the transaction that ends the restore. A recreated object
    has them already, and no note."""
    name = operation.home
    noted = sql.compose(
        _NOTED,
        table=sql.regclass(name, schema),
        note=sql.literal(_opening(operation.artifact_id)),
    )
    for column, text in _rows(connection, noted):
        comments = _read(text).get("comments", {})
        _comment(connection, name, column, comments.get("column"), schema)
        if "table" in comments:
            _comment(connection, name, "", comments["table"], schema)


def _comment(
    connection: BaseDatabaseWrapper,
    table: TableName,
    column: str | None,
    text: str | None,
    schema: str,
) -> None:
    """Comments on the column; without one, on the table."""
    spelled = sql.table(table, schema)
    place = sql.clause("TABLE {table}", table=spelled)
    if column:
        named = sql.ident(column)
        place = sql.clause("COLUMN {table}.{column}", table=spelled, column=named)
    comment = sql.literal(text or None)
    _execute(connection, sql.compose("COMMENT ON {place} IS {it}", place=place, it=comment))


def without_demand(operation: Restore) -> Restore:
    """The restore of a column that code which does not know it may omit: it allows NULL unless a
    default or a sequence supplies a value."""
    column = operation.one_column
    if column is None or column.nullable or column.default is not None:
        return operation
    if column.identity or column.generated:
        return operation
    return operation.with_parts(columns=(dataclasses.replace(column, nullable=True),))


def _opening(artifact_id: str) -> str:
    """The beginning of the note of this artifact, which no other note has."""
    return f'{NOTE}{{"artifact": {json.dumps(artifact_id)},'


def _read(text: str) -> dict[str, Any]:
    try:
        noted = json.loads(text.removeprefix(NOTE)) if text.startswith(NOTE) else {}
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


# --- the operation that restores it --------------------------------------------------------------


def definition(
    connection: BaseDatabaseWrapper, artifact: ArtifactRow, place: Place, graph: SchemaGraph
) -> Restore:
    """The operation that the drop recorded; tables that were renamed since have their names in
    `graph`. Raises `CannotRestore` if the note is missing."""
    data = place.note.get("restore")
    operation = from_data(data) if isinstance(data, dict) else None
    if not isinstance(operation, Restore):
        raise CannotRestore(
            artifact.id,
            f"the comment on {place} that describes its restore is missing",
            f"Its values exist: zanith_recover export {artifact.target} saves them.",
        )
    names = {
        name: now
        for name in operation.tables
        if name not in graph and (now := _renamed(connection, place, name, graph))
    }
    own = operation.home if operation.one_column else None
    if own and own not in graph and not artifact.archived and not place.aside:
        names[own] = _named(place.table, graph)
    renamed = _with_columns(connection, operation, place, names, graph)
    renamed = _with_tables(renamed, names)
    if renamed.one_column and not artifact.archived:
        return with_fields(renamed, lost=_lost_indexes(connection, renamed, place))
    return renamed


def _renamed(
    connection: BaseDatabaseWrapper, place: Place, name: TableName, graph: SchemaGraph
) -> TableName | None:
    """The current name of a renamed table. The oid of another database, from which this one was
    loaded, proves nothing."""
    oid, database = place.note.get("tables", {}).get(str(name)), place.note.get("database")
    if not isinstance(oid, int) or not isinstance(database, int):
        return None
    text = sql.compose(_RENAMED, oid=sql.literal(oid), database=sql.literal(database))
    for schema, table in _rows(connection, text):
        return _named(TableName(schema, table), graph)
    return None


def _with_columns(
    connection: BaseDatabaseWrapper,
    operation: Restore,
    place: Place,
    names: Mapping[TableName, TableName],
    graph: SchemaGraph,
) -> Restore:
    """The same, with current names of renamed columns in the parts that depend on them. `names` are
    those of renamed tables."""
    for name in operation.tables:
        live = graph.table(names.get(name, name))
        known = place.note.get("columns", {}).get(str(name), {})
        oid, database = place.note.get("tables", {}).get(str(name)), place.note.get("database")
        if live is None or not isinstance(oid, int) or not isinstance(database, int):
            continue
        there = {column.name for column in live.columns}
        found = dict(_columns(connection, oid, database))
        # In a rollback, the graph is that after the steps which are undone first.
        exact = there == set(found.values())
        moved = {
            old: found[number]
            for old, number in known.items()
            if found.get(number, old) != old and (exact or old not in there)
        }
        for old, new in _one_by_one(moved):
            operation = _with_column(operation, name, old, new)
    return operation


def _columns(connection: BaseDatabaseWrapper, oid: int, database: int) -> list[tuple[Any, ...]]:
    """(number, name) of each column; empty for a table of another database."""
    text = sql.compose(_COLUMNS, oid=sql.literal(oid), database=sql.literal(database))
    return _rows(connection, text)


def _one_by_one(moved: Mapping[str, str]) -> list[tuple[str, str]]:
    """Renames in two steps, by names that no column has: two columns may have swapped theirs."""
    aside = {old: own_name("renamed", old) for old in moved}
    return [*aside.items(), *((aside[old], new) for old, new in moved.items())]


def _with_column(operation: Restore, table: TableName, old: str, new: str) -> Restore:
    """The same with `new` as the name of a column of `table` in the parts that depend on it."""

    def key(item: ForeignKey) -> ForeignKey:
        if item.references != table:
            return item
        columns = tuple(new if name == old else name for name in item.referenced_columns)
        return dataclasses.replace(item, referenced_columns=columns)

    restored, parts = operation.restored, dict[str, tuple[Any, ...]]()
    if operation.one_column and operation.home == table:
        parts = {
            part.field: tuple(renamed_in(item, table.name, old, new) for item in part.of(restored))
            for part in CARRIED
        }
    parts["foreign_keys"] = tuple(map(key, parts.get("foreign_keys", restored.foreign_keys)))
    return operation.with_parts(**parts)


def _named(table: TableName, graph: SchemaGraph) -> TableName:
    """The name that the graph has for it."""
    return TableName("", table.name) if table.schema == graph.default_schema else table


def _with_tables(value: T, names: Mapping[TableName, TableName]) -> T:
    """The same value with other names of tables in it."""
    found: Any = value
    if isinstance(value, TableName):
        found = names.get(value, value)
    elif isinstance(value, tuple):
        found = tuple(_with_tables(item, names) for item in value)
    elif names and dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        changes = {name: _with_tables(item, names) for name, item in fields.items()}
        found = dataclasses.replace(value, **changes)
    return found  # type: ignore[no-any-return]  # of the type of `value`


def _lost_indexes(
    connection: BaseDatabaseWrapper, operation: Restore, place: Place
) -> tuple[str, ...]:
    """Indexes that the table lost when it was archived and created again."""
    there = {
        name for (name,) in _rows(connection, sql.compose(_INDEXES, oid=sql.literal(place.oid)))
    }
    return tuple(
        index.name
        for index in operation.restored.indexes
        if not index.unique
        and there.isdisjoint((index.name, dropped_name(operation.artifact_id, index.name)))
    )


def _rows(connection: BaseDatabaseWrapper, text: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def _execute(connection: BaseDatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)

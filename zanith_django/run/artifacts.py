"""The object of an artifact, and the obstacles to its restore."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import UnknownArtifact
from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE
from zanith_django.operations.base import KEPT_SCHEMA, OWN_PREFIX
from zanith_django.operations.keep.archive import content, pinned_spelling
from zanith_django.operations.keep.kept import Restore
from zanith_django.operations.online.journal import same_key
from zanith_django.plan.obstacles import Obstacle, Rows
from zanith_django.plan.present_names import AS_NOW, PresentNames
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.rows import one_value
from zanith_django.run.keeping import Place
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import ADDED, COLUMNS, CONSTRAINTS, constraint_names, index_names

PURGE = "purge"
"""The kind of the step that purges an artifact."""


def find(ledger: Ledger, name: str, *, column: bool | None = None) -> ArtifactRow:
    """The artifact of that id, or the newest of that target: live ones first.

    `column` narrows a target to columns or to tables. Raises `UnknownArtifact`.
    """
    rows = ledger.artifacts()
    for row in rows:
        if row.id == name:
            return row
    named = [row for row in rows if name in (row.target, f"{row.source_schema}.{row.target}")]
    if column is not None:
        named = [row for row in named if bool(row.source_column) is column] or named
    live = [row for row in named if row.expires_at is None]
    for row in (*live, *named):
        return row
    raise UnknownArtifact(name)


def older_than(ledger: Ledger, age: timedelta) -> list[ArtifactRow]:
    """Live artifacts that were made longer ago than `age`, oldest first."""
    oldest = datetime.now(UTC) - age
    rows = [row for row in ledger.artifacts() if row.expires_at is None]
    return [row for row in reversed(rows) if row.created_at < oldest]


def was_purged(ledger: Ledger, artifact: ArtifactRow) -> bool:
    """Did the last zanith_recover of this artifact purge it?"""
    latest = ledger.latest(f"{RECOVER_PREFIX}{artifact.id}")
    last = latest[max(latest)] if latest else None
    return last is not None and last.operation_kind == PURGE and last.status == DONE


# --- obstacles -----------------------------------------------------------------------------------


def blocked(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    place: Place,
    operation: Restore,
    graph: SchemaGraph,
    *,
    begun: bool = False,
    strict: bool = True,
    names: PresentNames = AS_NOW,
) -> str:
    """Why the restore would fail or restore something else; "" if nothing blocks it.

    `graph` is the schema before the restore. With `begun`, an earlier run did a part of it, so only
    rows can block it. Without `strict`, rows never block it. `names` maps names in `graph` to those
    in the database.
    """
    if not begun:
        changed = (
            archive_changed(connection, artifact, place, operation, graph)
            if artifact.archived
            else _changed(connection, artifact, place, operation)
        )
        taken = _taken(operation, graph)
        if changed or taken:
            return changed or taken
    rows = rows_in_the_way(connection, artifact, place, operation, graph, names) if strict else []
    if not rows:
        return ""
    intro = f"rows are in its way (its values are in {place}); nothing was changed"
    return "\n  ".join((intro, *map(str, rows)))


def as_rows_allow(operation: Restore, obstacles: Iterable[Obstacle]) -> Restore:
    """The restore without the parts that these rows violate: it omits NOT NULL, unique and
    exclusion constraints, and adds checks and foreign keys for new rows only."""
    for obstacle in obstacles:
        operation = _without(operation, obstacle)
    return operation


def _without(operation: Restore, obstacle: Obstacle) -> Restore:
    column, part = operation.one_column, obstacle.part
    assert part
    if part is COLUMNS and column:
        return operation.with_parts(columns=(dataclasses.replace(column, nullable=True),))
    every = part.of(operation.restored)
    items = [item for item in every if item.name != obstacle.name]
    if part.validated and not obstacle.missing:
        items = [i if i in items else dataclasses.replace(i, valid=False) for i in every]
    return operation.with_parts(**{part.field: tuple(items)})


def _changed(
    connection: BaseDatabaseWrapper, artifact: ArtifactRow, place: Place, operation: Restore
) -> str:
    """How the hidden object differs from what the drop left."""
    table = place.table
    found = columns_of(connection, table)
    if column := operation.one_column:
        was, now = column.type, found[place.column]
        # A kept column has the base type of its domain, because a domain may forbid NULL.
        if was != now and "." not in was:
            return f"its type changed since it was dropped: it was {was} and is {now}"
        return ""
    # Columns that were soft-dropped before their table return with it, and stay hidden.
    shown = {name: kind for name, kind in found.items() if not name.startswith(OWN_PREFIX)}
    if shown != {item.name: item.type for item in operation.restored.columns}:
        return f"the columns of the hidden table {table} changed since it was dropped"
    rows = _count(connection, table)
    if artifact.row_count is not None and rows != artifact.row_count:
        return (
            f"the hidden table {table} changed since it was dropped: "
            f"it had {artifact.row_count:,} rows and has {rows:,}"
        )
    return ""


def archive_changed(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    place: Place,
    operation: Restore,
    graph: SchemaGraph,
) -> str:
    """How an archive differs from the row of its artifact."""
    table = place.table
    found = columns_of(connection, table)
    if why := _key_changed(operation, found, graph):
        return why
    wanted = {item.name: item.type for item in operation.restored.columns}
    if any(found.get(name) != kind for name, kind in wanted.items()):
        return f"the columns of the archive {table} changed since it was made"
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(pinned_spelling())
        cursor.execute(content(table))
        rows, checksum = cursor.fetchone()
    if artifact.row_count is not None and rows != artifact.row_count:
        return (
            f"the archive {table} changed since it was made: "
            f"it had {artifact.row_count:,} rows and has {rows:,}"
        )
    if checksum != artifact.checksum:
        return f"the archive {table} changed since it was made: its checksum is another"
    return ""


def _key_changed(operation: Restore, kept: Mapping[str, str], graph: SchemaGraph) -> str:
    """Why archived values would not find their rows by the key; "" if they would."""
    live = graph.table(operation.home)
    for name in operation.key if live else ():
        column = live.column(name) if live else None
        if column is None or not _alike(column.type, kept.get(name, "")):
            now = f"is {column.type} now" if column else "is gone"
            return (
                f"{operation.home}.{name}, by which its values find their rows, "
                f"was {kept.get(name, 'another')} and {now}"
            )
    return ""


def _alike(one: str, other: str) -> bool:
    integers = {"smallint", "integer", "bigint"}
    return one == other or {one, other} <= integers


def _taken(operation: Restore, graph: SchemaGraph) -> str:
    """A name of the restore that another object has by now."""
    restored, live = operation.restored, graph.table(operation.home)
    if operation.one_column is None:
        again = f"there is a table {operation.target} again"
        return again if live else _index_taken(restored, graph)
    if live is None:
        return f"the table {operation.home} is gone"
    if operation.is_back(graph):
        return (
            f"there is a column {operation.target} again "
            f"(zanith_recover reseed {operation.target} fills it with the old values)"
        )
    known = constraint_names(live)
    for item in (item for part in ADDED if part.validated for item in part.of(restored)):
        if item.name in known:
            return f"{operation.home} has a constraint {item.name} again"
    return _index_taken(restored, graph)


def _index_taken(wanted: Table, graph: SchemaGraph) -> str:
    """An index lives in the schema of its table."""
    schema = wanted.name.schema
    known = {
        name for table in graph.tables if table.name.schema == schema for name in index_names(table)
    }
    again = sorted(known.intersection(index_names(wanted)))
    return f"there is an index {again[0]} again" if again else ""


def rows_in_the_way(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    place: Place,
    operation: Restore,
    graph: SchemaGraph,
    names: PresentNames = AS_NOW,
) -> list[Obstacle]:
    """The constraints that the current rows would violate."""
    archived = artifact.archived and operation.one_column is not None
    source = _schema_spelled(names.table(operation.home), graph) if archived else place.table
    wanted = holder = operation.restored
    if operation.one_column:
        holder = graph.table(operation.home) or wanted
    else:
        wanted = Table(operation.home, foreign_keys=wanted.foreign_keys)
    key = holder.primary_key.columns if holder.primary_key else ()
    needed = {name for part in _constraints(wanted) for name in part.columns} | set(key)
    here = names.planned(wanted.name, columns_of(connection, source))
    if not needed - {artifact.source_column} <= set(here):
        return []  # in a rollback, other steps restore these columns first
    if archived:
        begun = operation.is_back(graph)
        query = _refilled(_planned(source, here), place, operation, here, begun=begun)
    else:
        hidden = place.column if place.hidden else ""
        query = _as_it_was(source, hidden, artifact, here)
    rows = Rows(connection, query, graph.default_schema, key, names)
    moved = source.name != names.table(wanted.name).name
    return rows.against(_keys_to_itself(wanted, source) if moved else wanted)


def rows_against(
    connection: BaseDatabaseWrapper, demanded: Table, graph: SchemaGraph, names: PresentNames
) -> list[Obstacle]:
    """The rows of a table that violate the `demanded` parts of it."""
    place = _schema_spelled(names.table(demanded.name), graph)
    live = graph.table(demanded.name)
    key = live.primary_key.columns if live and live.primary_key else ()
    here = names.planned(demanded.name, columns_of(connection, place))
    rows = Rows(connection, _planned(place, here), graph.default_schema, key, names)
    return rows.against(demanded)


def _schema_spelled(table: TableName, graph: SchemaGraph) -> TableName:
    return TableName(table.schema or graph.default_schema, table.name)


def _constraints(table: Table) -> list[Any]:
    constraints = [item for part in CONSTRAINTS for item in part.of(table)]
    return [*constraints, *(index for index in table.indexes if index.unique)]


def _keys_to_itself(table: Table, place: TableName) -> Table:
    """The table with foreign keys to itself redirected to the hidden table."""
    keys = tuple(
        dataclasses.replace(key, references=place) if key.references == table.name else key
        for key in table.foreign_keys
    )
    return dataclasses.replace(table, foreign_keys=keys)


def _as_it_was(
    table: TableName, hidden: str, artifact: ArtifactRow, here: Mapping[str, str]
) -> sql.Fragment:
    """A query of the rows with the hidden column under its own name, without a column that has this
    name now."""
    if not hidden:
        return _planned(table, here)
    others = {name: now for name, now in here.items() if name != artifact.source_column}
    return _planned(table, {**others, artifact.source_column or "": hidden})


def _planned(table: TableName, columns: Mapping[str, str]) -> sql.Fragment:
    """The table, or a query that renames its columns: `columns` is {planned name: current name}."""
    spelled = sql.table(table, table.schema)
    if all(name == now for name, now in columns.items()):
        return spelled
    shown = (
        sql.clause("{now} AS {name}", now=sql.ident(now), name=sql.ident(name))
        for name, now in columns.items()
    )
    return sql.clause("(SELECT {shown} FROM {table})", shown=sql.join(shown), table=spelled)


def _refilled(
    live: sql.Fragment,
    place: Place,
    operation: Restore,
    here: Iterable[str],
    *,
    begun: bool,
) -> sql.Fragment:
    """A query of the rows with their archived values. With `begun`, the column of an earlier run
    has some of these values."""
    (restored,) = operation.restored.columns
    name = sql.ident(restored.name)
    value = sql.clause("kept.{name}", name=name)
    if begun:
        value = sql.clause("coalesce(live.{name}, kept.{name})", name=name)
    others = [sql.ident(column) for column in here if column != restored.name]
    return sql.clause(
        "(SELECT {others}, {value} AS {name} FROM {live} AS live LEFT JOIN {archive} AS kept "
        "ON {same})",
        others=sql.join(sql.clause("live.{column}", column=column) for column in others),
        value=value,
        name=name,
        live=live,
        archive=sql.table(place.table, KEPT_SCHEMA),
        same=same_key("live", "kept", operation.key),
    )


_COLUMNS = """\
SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod)
FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass({table}) AND attnum > 0 AND NOT attisdropped"""


def columns_of(
    connection: BaseDatabaseWrapper, table: TableName, schema: str = ""
) -> dict[str, str]:
    """{column: its type as the graph spells it}; empty if there is no such table. `schema`
    completes a name without a schema."""
    text = sql.compose(_COLUMNS, table=sql.regclass(table, schema or table.schema))
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute("SET LOCAL quote_all_identifiers = off")
        cursor.execute(text)
        found = dict(cursor.fetchall())
        transaction.set_rollback(True, using=connection.alias)
    return found


def _count(connection: BaseDatabaseWrapper, table: TableName) -> int:
    text = sql.compose("SELECT count(*) FROM {table}", table=sql.table(table, table.schema))
    return int(one_value(connection, text))

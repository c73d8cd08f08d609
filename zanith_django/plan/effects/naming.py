"""Names in a statement that do not exist, and names that it creates and that exist already.

Only a plan that knows the database asks: without one, any object may exist that no model declares.
"""

from __future__ import annotations

from zanith_django.plan.effects.texts import UNKNOWN_NAME
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table
from zanith_django.schema.parts import NAMED, index_names

# From here on a NOT NULL has a name, which no graph has.
_NAMED_NOT_NULL = 180000


def _misses(notes: Notes, code: str, what: str) -> None:
    """Records a missing or taken name, unless Python computes it."""
    if UNKNOWN_NAME not in what:
        notes.missing(code, what)


def wants_table(name: TableName, notes: Notes) -> None:
    """The statement fails if the table does not exist."""
    if notes.scene.is_absent(name) and name not in notes.graph and not is_system(name):
        _misses(notes, "missing_table", f"table {name} does not exist")


def reads_table(name: TableName, notes: Notes) -> None:
    """A query reads sequences by their names too, which are not known."""
    if notes.scene.is_absent(name) and not is_system(name):
        _misses(notes, "", f"table {name} does not exist, unless it is a sequence")


def is_system(name: TableName) -> bool:
    """Is it a table of PostgreSQL's own schemas, which no graph has?"""
    return name.schema in ("pg_catalog", "information_schema") or name.name.startswith("pg_")


def wants_column(name: str, table: Table, notes: Notes) -> None:
    if _is_known(table, notes) and table.column(name) is None:
        _misses(notes, "missing_object", f"column {table.name}.{name} does not exist")


def wants_constraint(name: str, table: Table, notes: Notes) -> None:
    if _is_known(table, notes) and name not in constraints(table):
        what = f"constraint {name} of {table.name} does not exist"
        if notes.scene.version < _NAMED_NOT_NULL:
            _misses(notes, "missing_object", what)
        else:
            _misses(notes, "", f"{what}, unless it is a NOT NULL")


def wants_index(name: TableName, notes: Notes) -> None:
    """An index of a table of the graph; one of a materialized view is in none."""
    tables = [t for t in notes.graph.tables if t.name.schema == name.schema]
    views = (notes.scene.relations or frozenset()) - {table.name for table in notes.graph.tables}
    if notes.scene.is_known and not views and all(name.name not in index_names(t) for t in tables):
        _misses(notes, "missing_object", f"index {name} does not exist")


def makes_column(name: str, table: Table, notes: Notes) -> None:
    if _is_known(table, notes) and table.column(name):
        _misses(notes, "exists_already", f"column {table.name}.{name} exists already")


def makes_constraint(name: str, table: Table, notes: Notes) -> None:
    if name and _is_known(table, notes) and name in constraints(table):
        _misses(notes, "exists_already", f"constraint {name} of {table.name} exists already")


def makes_relation(name: TableName, notes: Notes, *, resumes: bool = False) -> None:
    """A table, view, sequence or index: they share their names. A concurrent build that an earlier
    run left `resumes`: the run finishes that of Django's operations, whatever state it is in."""
    if not notes.scene.is_known:
        return
    tables = [t for t in notes.graph.tables if t.name.schema == name.schema]
    taken = name in notes.graph or any(name.name in index_names(t) for t in tables)
    gone = name in (notes.scene.relations or ())
    if taken or gone:
        _misses(notes, "" if resumes else "exists_already", f"relation {name} exists already")


def _is_known(table: Table, notes: Notes) -> bool:
    """Does the graph have the table, with all of its columns and constraints?"""
    return (
        notes.scene.is_known and notes.graph.table(table.name) is not None and bool(table.columns)
    )


def constraints(table: Table) -> set[str]:
    """The names of the constraints of a table."""
    parts = (part for part in NAMED if part.is_constraint)
    names = {str(item.name) for part in parts for item in part.of(table)}
    return names | ({table.primary_key.name} if table.primary_key else set())

"""Objects that no model declares, and that a statement removes by CASCADE or fails on without it.

The graph of a plan with a database has them (`schema/unmodelled.py`); without one there are none.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator

from zanith_django.operations.dependents import generated_from
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Dependent
from zanith_django.schema.graph import Table

_READERS = frozenset(
    ("view", "materialized view", "rule", "function", "procedure", "policy", "trigger")
)
"""What PostgreSQL refuses to drop or change a column under."""


def drops_column(table: Table, column: str, notes: Notes, *, cascade: bool) -> None:
    _goes(table, notes, lambda found: column in found.columns, cascade=cascade)
    if not cascade:
        _refuse_referrers(table, lambda columns: column in columns, notes)


def drops_key(table: Table, columns: tuple[str, ...], notes: Notes) -> None:
    """A foreign key needs a key of the columns that it references."""
    key = table.primary_key
    keys = [*(unique.columns for unique in table.uniques), *([key.columns] if key else [])]
    if [sorted(each) for each in keys].count(sorted(columns)) < 2:
        _refuse_referrers(table, lambda given: sorted(given) == sorted(columns), notes)


def _refuse_referrers(
    table: Table, wanted: Callable[[tuple[str, ...]], bool], notes: Notes
) -> None:
    for other in notes.scene.referrers(table.name):
        keys = (key for key in other.foreign_keys if key.references == table.name)
        if other.name != table.name and any(wanted(key.referenced_columns) for key in keys):
            refused(f"a foreign key of {other.name} references {table.name}", notes)


def drops_table(
    table: Table, notes: Notes, *, cascade: bool, beside: Collection[TableName] = ()
) -> None:
    """`beside` are tables that the same statement drops."""
    _goes(table, notes, lambda found: not found.own, cascade=cascade)
    for other in () if cascade else notes.scene.referrers(table.name):
        if other.name not in (table.name, *beside):
            refused(f"a foreign key of {other.name} references {table.name}", notes)


def unlogs(name: TableName, notes: Notes) -> None:
    """A logged table cannot reference an unlogged one."""
    for other in notes.scene.referrers(name):
        if other.name != name:
            refused(f"a foreign key of {other.name} references {name}", notes)


def retypes(table: Table, column: str, notes: Notes) -> None:
    """Refuses a change of type if objects read the column: ALTER TYPE has no CASCADE."""
    for found in _of(table, lambda found: column in found.columns):
        refused(f"{found.kind} {found.name} reads {table.name}.{column}", notes)
    for made in generated_from(table, column):
        refused(f"generated column {table.name}.{made.name} reads {column}", notes)


def forget(names: Collection[str], notes: Notes) -> None:
    """Objects of these names were dropped."""
    _keep(notes, lambda found: _bare(found) not in names)


def _bare(found: Dependent) -> str:
    return re.split(r"\(| on ", found.name)[0].split(".")[-1].strip('"')


def _of(table: Table, wanted: Callable[[Dependent], bool]) -> Iterator[Dependent]:
    for found in table.dependents:
        if found.via in ("", "row") and found.kind in _READERS and wanted(found):
            yield found


def _goes(
    table: Table, notes: Notes, wanted: Callable[[Dependent], bool], *, cascade: bool
) -> None:
    gone = {_bare(found): found for found in _of(table, wanted)}
    for found in gone.values():
        more = f" (and {', '.join(found.more)} on it)" if found.more else ""
        if cascade:
            notes.find("drops_with_cascade")
            notes.missing("", f"CASCADE drops {found.kind} {found.name}{more}")
        else:
            refused(f"{found.kind} {found.name}{more} depends on {table.name}", notes)
    if gone:
        forget(gone, notes)


def _keep(notes: Notes, kept: Callable[[Dependent], bool]) -> None:
    def left(table: Table) -> Table:
        rest = tuple(found for found in table.dependents if kept(found))
        return dataclasses.replace(table, dependents=rest)

    for table in notes.graph.tables:
        if not all(map(kept, table.dependents)):
            notes.graph = notes.graph.changed(table.name, left)


def refused(what: str, notes: Notes) -> None:
    if notes.scene.is_known:
        notes.missing("dependent_objects", what)

"""Types and domains: their values, their constraints, and the columns that have them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from zanith_django.operations.dependents import without_column
from zanith_django.plan.effects import columns as cols, dependents
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, qualified
from zanith_django.postgres.locks import Lock
from zanith_django.schema.graph import Column, Table


def alter_enum(node: Node, notes: Notes) -> None:
    """ADD VALUE adds to what code may write; RENAME VALUE takes from what it writes."""
    if "oldVal" in node:
        notes.find_all(("renames_object", "breaks_running_code"))


def create_domain(node: Node, notes: Notes) -> None:
    """A column of a domain with a constraint is checked, and so written, in each row."""
    if cols.constraints(node, "CHECK", "NOTNULL"):
        _, notes.domain = qualified(node["domainname"])


def alter_domain(node: Node, notes: Notes) -> None:
    """Constraints of a domain are checked in every table that uses it."""
    change, added = node.get("subtype"), node.get("def", {}).get("Constraint", {})
    if added or change == "O":
        _, notes.domain = qualified(node["typeName"])
    checks = change in ("C", "O") and not added.get("skip_validation")
    if not checks and change != "V":
        notes.find("changes_object")
        return
    notes.find("locks_writes")
    if checks:
        notes.find("breaks_running_code")
    for table, _ in _users(node["typeName"], notes):
        notes.lock(table.name, Lock.SHARE)
        notes.works(table.name)


def drop(named: Node, cascade: bool, notes: Notes) -> None:
    """CASCADE drops the columns of a type; without it PostgreSQL refuses."""
    for table, column in _users(named, notes):
        if not cascade:
            what = f"column {table.name}.{column.name} has the type"
            dependents.refused(what, notes)
            continue
        notes.lock(table.name, Lock.ACCESS_EXCLUSIVE)
        notes.find_all(("drops_column_with_data", "irreversible"), table.name)
        notes.change(table.name, partial(without_column, column=column.name))


def _users(named: Node, notes: Notes) -> Iterator[tuple[Table, Column]]:
    """The columns of a type that a statement names, with their tables."""
    schema, name = qualified(named)
    place = notes.scene.place(schema)
    wanted = {f"{place or notes.scene.schema}.{each}" for each in (name, f'"{name}"')}
    if not place:
        wanted |= {name, f'"{name}"'}
    for table in notes.graph.tables:
        for column in table.columns:
            if column.type.replace("[]", "").partition("(")[0] in wanted:
                yield table, column

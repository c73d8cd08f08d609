"""ALTER COLUMN, but for its type: NOT NULL, default, identity and generated columns."""

from __future__ import annotations

import dataclasses

from zanith_django.plan.effects import columns as cols, sequences
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node
from zanith_django.schema.graph import Table


def set_not_null(command: Node, table: Table, notes: Notes) -> None:
    name = command["name"]
    column = table.column(name)
    if column is not None and not column.nullable:
        return
    notes.find("changes_column_nullable_to_not_null", table.name)
    if not cols.proves_not_null(table, name):
        notes.works(table.name)
    _alter_column(notes, table, name, nullable=False)


def drop_not_null(command: Node, table: Table, notes: Notes) -> None:
    _alter_column(notes, table, command["name"], nullable=True)


def default(command: Node, table: Table, notes: Notes) -> None:
    given = command.get("def")
    known = table.column(command["name"])
    if known and known.identity in ("always", "by default"):
        notes.missing("missing_object", f"column {table.name}.{known.name} has an identity")
    null = bool(given and given.get("A_Const", {}).get("isnull"))
    _alter_column(notes, table, command["name"], default=cols.GIVEN if given and not null else None)


def add_identity(command: Node, table: Table, notes: Notes) -> None:
    """A new sequence starts at 1, whatever keys the rows have."""
    given = command.get("def", {}).get("Constraint", {})
    if not any(each["DefElem"]["defname"] == "start" for each in given.get("options", ())):
        notes.find("resets_sequence", table.name)
    kind = "always" if given.get("generated_when") == "a" else "by default"
    _alter_column(notes, table, command["name"], identity=kind, nullable=False)


def set_identity(command: Node, table: Table, notes: Notes) -> None:
    options = [each["DefElem"] for each in command["def"]["List"]["items"]]
    if sequences.repeats(options):
        notes.find("resets_sequence", table.name)
    given = {each["defname"]: each.get("arg") for each in options}
    if kind := given.get("generated"):
        always = kind["Integer"]["ival"] == ord("a")
        identity = "always" if always else "by default"
        _alter_column(notes, table, command["name"], identity=identity)


def drop_identity(command: Node, table: Table, notes: Notes) -> None:
    _alter_column(notes, table, command["name"], identity="")


def set_expression(command: Node, table: Table, notes: Notes) -> None:
    column = table.column(command["name"])
    if column is None or not column.virtual:
        notes.find("changes_column_type", table.name)
        notes.rewritten(table.name)


def drop_expression(command: Node, table: Table, notes: Notes) -> None:
    _alter_column(notes, table, command["name"], generated="")


def _alter_column(notes: Notes, table: Table, name: str, **fields: object) -> None:
    column = table.column(name)
    if column is not None:
        changed = dataclasses.replace(column, **fields)  # type: ignore[arg-type]  # its own fields
        notes.change(table.name, lambda t: t.with_item("columns", changed))

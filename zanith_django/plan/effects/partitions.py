"""ATTACH and DETACH PARTITION, and whether a check proves the bound of a partition."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator

from zanith_django.plan.effects import columns as cols
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, kind, parse, strings, type_name
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Table


def attach(command: Node, parent: Table, notes: Notes) -> None:
    """PostgreSQL reads the rows unless a valid check proves them, and those of a DEFAULT
    partition."""
    name, bound = _partition(command, notes), command.get("bound", {})
    table = notes.graph.table(name)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    if table is None or not _is_proved(table, parent, bound):
        notes.works(name)
    if table is not None and not _has_indexes(table, parent):
        notes.find("adds_index", name)
        notes.works(name)
    notes.graph = notes.graph.changed(
        name,
        lambda t: dataclasses.replace(t, partition_of=parent.name, partition_bound=cols.GIVEN),
    )
    for other in () if bound.get("is_default") else notes.scene.default_partitions(parent.name):
        notes.lock(other, Lock.ACCESS_EXCLUSIVE)
        notes.works(other)


def _has_indexes(table: Table, parent: Table) -> bool:
    """Does it have the indexes of its parent? PostgreSQL builds those that it lacks."""
    own = {(index.keys, index.unique, index.predicate) for index in table.indexes}
    wanted = {(index.keys, index.unique, index.predicate) for index in parent.indexes}
    return wanted <= own and _unique(parent) <= _unique(table)


def _unique(table: Table) -> set[tuple[str, ...]]:
    keys = {table.primary_key.columns} if table.primary_key else set()
    return keys | {unique.columns for unique in table.uniques}


def detach(command: Node, table: Table, notes: Notes) -> None:
    given = command["def"]["PartitionCmd"]
    name = _partition(given, notes)
    if command["subtype"] == "AT_DetachPartitionFinalize":
        notes.locks[table.name] = Lock.SHARE_UPDATE_EXCLUSIVE
    elif given.get("concurrent"):
        notes.transactional = False
        notes.locks[table.name] = Lock.SHARE_UPDATE_EXCLUSIVE
    else:
        for other in notes.scene.default_partitions(table.name):
            notes.lock(other, Lock.ACCESS_EXCLUSIVE)
    notes.find("detaches_partition", table.name)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.graph = notes.graph.changed(name, lambda t: dataclasses.replace(t, partition_of=None))


def join(command: Node, table: Table, notes: Notes) -> None:
    """INHERIT: queries of the parent find the rows of the table."""
    given = command["def"]["RangeVar"]
    parent = notes.scene.name(given.get("schemaname", ""), given["relname"])
    notes.lock(parent, Lock.SHARE_UPDATE_EXCLUSIVE, heirs=False)
    notes.change(
        table.name, lambda t: dataclasses.replace(t, inherits=tuple({*t.inherits, parent}))
    )


def leave(command: Node, table: Table, notes: Notes) -> None:
    """NO INHERIT: queries of the parent no longer find the rows of the table."""
    given = command["def"]["RangeVar"]
    parent = notes.scene.name(given.get("schemaname", ""), given["relname"])
    notes.lock(parent, Lock.ACCESS_SHARE, heirs=False)
    notes.find("detaches_partition", parent)
    notes.graph = notes.graph.changed(
        table.name,
        lambda t: dataclasses.replace(t, inherits=tuple(n for n in t.inherits if n != parent)),
    )


def _partition(command: Node, notes: Notes) -> TableName:
    part = command["name"]
    return notes.scene.name(part.get("schemaname", ""), part["relname"])


# --- proofs --------------------------------------------------------------------------------------

_ONE_COLUMN = re.compile(r"RANGE \((\w+)\)")
_SIDES = (("lowerdatums", ">="), ("upperdatums", "<"))

Condition = tuple[str, str, str]
"""A column, an operator, and a constant."""


def _is_proved(table: Table, parent: Table, bound: Node) -> bool:
    """Do valid checks say that one NOT NULL column is in the range, in the words of the bound?
    PostgreSQL may prove more."""
    key = _ONE_COLUMN.fullmatch(parent.partition_key or "")
    column = table.column(key[1]) if key else None
    if column is None or (column.nullable and not cols.proves_not_null(table, column.name)):
        return False
    wanted = {
        (column.name, operator, constant)
        for side, operator in _SIDES
        for datum in bound.get(side, ())
        if (constant := _constant(datum, column))
    }
    proved = {
        found
        for check in table.checks
        if check.valid
        for _, statement in parse(f"SELECT {check.expression}") or ()
        for found in _conditions(
            statement["SelectStmt"]["targetList"][0]["ResTarget"]["val"], column
        )
    }
    return len(wanted) == len(_SIDES) and wanted <= proved


def _conditions(expression: Node, column: Column) -> Iterator[Condition]:
    """Those that hold if the expression does."""
    name, node = kind(expression)
    if name == "BoolExpr" and node["boolop"] == "AND_EXPR":
        for each in node["args"]:
            yield from _conditions(each, column)
    elif name == "A_Expr" and node["kind"] == "AEXPR_OP" and "ColumnRef" in node["lexpr"]:
        fields = strings(node["lexpr"]["ColumnRef"]["fields"])
        yield fields[-1], strings(node["name"])[-1], _constant(node["rexpr"], column)


def _constant(expression: Node, column: Column) -> str:
    """A constant of the type of the column; "" for anything else."""
    name, node = kind(expression)
    if name == "TypeCast" and type_name(node["typeName"]) == column.type:
        name, node = kind(node["arg"])
    if name != "A_Const":
        return ""
    return json.dumps({key: value for key, value in node.items() if key != "location"})

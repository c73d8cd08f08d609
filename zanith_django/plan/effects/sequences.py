"""Sequences, and statements after which one may give keys that rows have already."""

from __future__ import annotations

from typing import Any

from zanith_django.operations.sequences import usual_name
from zanith_django.plan.effects import naming
from zanith_django.plan.effects.tables import new_name
from zanith_django.plan.effects.values import Notes, Scene
from zanith_django.postgres.grammar import (
    Node,
    columns,
    functions,
    parse,
    strings,
    walk,
)
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

_CONTINUES = frozenset(("max", "nextval", "currval", "lastval"))
"""Functions that give a key from which a sequence continues."""


def create_sequence(node: Node, notes: Notes) -> None:
    name = new_name(node["sequence"], notes.scene)
    if not node.get("if_not_exists"):
        naming.makes_relation(name, notes)
    notes.adds.append(name)
    _owned(node, notes)


def _owned(node: Node, notes: Notes) -> None:
    """With OWNED BY it looks at the table of its column."""
    for owner in (each["arg"] for each in _options(node) if each["defname"] == "owned_by"):
        parts = strings(owner)[:-1]
        if parts:
            schema = parts[-2] if len(parts) > 1 else ""
            notes.lock(notes.scene.name(schema, parts[-1]), Lock.ACCESS_SHARE, heirs=False)


def alter_sequence(node: Node, notes: Notes) -> None:
    """Its lock is on the sequence, for which inserts wait."""
    _owned(node, notes)
    named = node["sequence"]
    owner = _owner(named.get("schemaname", ""), named["relname"], notes.scene)
    if owner:
        notes.lock(owner, Lock.SHARE_ROW_EXCLUSIVE, heirs=False)
    if repeats(_options(node)):
        notes.find("resets_sequence", owner)
    else:
        notes.find("changes_object")


def _options(node: Node) -> list[Node]:
    return [each["DefElem"] for each in node.get("options", ())]


def repeats(options: list[Node]) -> bool:
    """May a sequence with these new options give a key again, or soon none?"""
    given = {each["defname"]: each.get("arg") for each in options}
    backwards = _integer(given.get("increment")) < 0
    return "restart" in given or backwards or given.get("maxvalue") is not None


def _integer(argument: Any) -> int:
    node = argument or {}
    if "Float" in node:
        return int(node["Float"]["fval"])
    return int(node.get("Integer", {}).get("ival", 0))


def set_values(node: Node, notes: Notes) -> None:
    """The calls of setval() in a statement, unless it takes the value from keys that exist."""
    if _CONTINUES & functions(node) or "last_value" in columns(node):
        return
    for name, inner in walk(node):
        if name == "FuncCall" and strings(inner.get("funcname"))[-1:] == ["setval"]:
            notes.find("resets_sequence", _named(inner["args"][0], notes.scene))


def _named(argument: Node, scene: Scene) -> TableName | None:
    """The table of a sequence, as the first argument of setval() names it."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"]["arg"]
    call = argument.get("FuncCall", {})
    owned = strings(call.get("funcname"))[-1:] == ["pg_get_serial_sequence"]
    text = (call["args"][0] if owned else argument).get("A_Const", {}).get("sval", {})
    found = parse(f"TABLE {text['sval']}") if "sval" in text else None
    if not found:
        return None
    named = next(inner for name, inner in walk(found[0][1]) if name == "RangeVar")
    place = named.get("schemaname", ""), named["relname"]
    return scene.name(*place) if owned else _owner(*place, scene)


def _owner(schema: str, sequence: str, scene: Scene) -> TableName | None:
    """The table that has a sequence of this name for a column, if it has the usual name."""
    place = scene.place(schema)
    for table in scene.graph.tables:
        names = (usual_name(table.name, each.name) for each in table.columns if each.identity)
        if table.name.schema == place and sequence in names:
            return table.name
    return None

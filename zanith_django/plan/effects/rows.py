"""Statements that read and write rows, and the functions that they call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zanith_django.operations.moves import TableMove
from zanith_django.plan.effects import naming, sequences, settings
from zanith_django.plan.effects.known_functions import WAITS, is_harmless
from zanith_django.plan.effects.tables import (
    TEMPORARY,
    filled,
    is_hidden,
    is_temporary,
    new_name,
    relation,
)
from zanith_django.plan.effects.values import DELETE, INSERT, UPDATE, Notes
from zanith_django.postgres.grammar import Node, functions, kind, walk
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table


def select(node: Node, notes: Notes) -> None:
    """A query: the tables that it reads, and what its functions may do."""
    rows(node, notes)
    if "intoClause" in node:
        _made(node["intoClause"]["rel"], notes)
    if "lockingClause" in node:
        _lock_rows(node, notes)


def _lock_rows(node: Node, notes: Notes) -> None:
    """FOR UPDATE and the like; without a condition no other session can write any row."""
    clauses = [each["LockingClause"] for each in node["lockingClause"]]
    weak = all(each["strength"] == "LCS_FORKEYSHARE" for each in clauses)
    every = not (weak or _limits(node) or "limitCount" in node)
    for name in _read(node, notes):
        notes.lock(name, Lock.ROW_SHARE)
        notes.find("locks_rows", name)
        if every:
            notes.find("locks_writes", name)


def create_table_as(node: Node, notes: Notes) -> None:
    """CREATE TABLE AS, and CREATE MATERIALIZED VIEW."""
    rows(node["query"], notes)
    target = node["into"]["rel"]
    if not node.get("if_not_exists") and not is_temporary(target):
        naming.makes_relation(new_name(target, notes.scene), notes)
    if node.get("objtype") == "OBJECT_MATVIEW":
        notes.moves.append(TableMove(new=new_name(target, notes.scene)))
        notes.find("adds_view")
    elif not is_hidden(target, notes):
        _made(target, notes)


def _made(target: Node, notes: Notes) -> None:
    """A table with the rows of a query."""
    name = new_name(target, notes.scene)
    options = (TEMPORARY,) if is_temporary(target) else ()
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.graph = notes.graph.with_table(Table(name, options=options))
    notes.moves.append(TableMove(new=name))
    filled(name, notes)


def rows(node: Node, notes: Notes) -> None:
    """Everything below a statement that reads or writes rows."""
    for name in _read(node, notes):
        naming.reads_table(name, notes)
        notes.lock(name, Lock.ACCESS_SHARE)
    called = functions(node)
    unknown = {name for name in called if not is_harmless(name)}
    if unknown:
        notes.unknown()
        notes.find("calls_functions")
        if unknown & notes.scene.dangers:
            notes.find("may_drop")
    notes.waits = notes.waits or not WAITS.isdisjoint(called)
    sequences.set_values(node, notes)
    settings.set_configs(node, notes)
    for kind_, inner in walk(node):
        if writer := _WRITERS.get(kind_):
            writer(inner, notes)


def _read(node: Any, notes: Notes) -> list[TableName]:
    """The tables that it names, not the names of its own WITH queries."""
    found = list(walk(node))
    own = {inner.get("ctename") for name, inner in found if name == "CommonTableExpr"}
    named = [inner for name, inner in found if name == "RangeVar"]
    named = [each for each in named if each.get("schemaname") or each["relname"] not in own]
    return [relation(each, notes.scene) for each in named]


# --- writing -------------------------------------------------------------------------------------


def _written(node: Node, notes: Notes) -> TableName:
    """The table that a statement writes. A write to the catalog may change any object."""
    name = relation(node["relation"], notes.scene)
    naming.wants_table(name, notes)
    notes.lock(name, Lock.ROW_EXCLUSIVE)
    if naming.is_system(name):
        notes.unknown()
    return name


def insert(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    filled(name, notes)
    source = node.get("selectStmt", {}).get("SelectStmt", {})
    copies = "fromClause" in source or source.get("op", "SETOP_NONE") != "SETOP_NONE"
    conflict = node.get("onConflictClause", {})
    changes = conflict.get("action") == "ONCONFLICT_UPDATE"
    notes.writes_rows(name, INSERT)
    if changes:
        notes.writes_rows(name, UPDATE, _set_columns(conflict))
    if copies or changes:
        notes.find("requires_backfill", name)
        notes.works(name)
    else:
        notes.find("inserts_rows", name)


def update(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    notes.writes_rows(name, UPDATE, _set_columns(node))
    notes.find("requires_backfill" if _limits(node) else "updates_all_rows", name)


def _set_columns(node: Node) -> Iterator[str]:
    """The columns that SET gives another value than NULL."""
    for each in (target["ResTarget"] for target in node.get("targetList", ())):
        if not each["val"].get("A_Const", {}).get("isnull"):
            yield each["name"]


def delete(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    notes.writes_rows(name, DELETE)
    codes = ("deletes_rows",) if _limits(node) else ("deletes_all_rows",)
    notes.find_all((*codes, "irreversible"), name)
    _follow(name, notes, {name})


def _follow(name: TableName, notes: Notes, seen: set[TableName]) -> None:
    """The rows that foreign keys delete or update together with rows of this table."""
    for other in notes.scene.referrers(name):
        actions = {key.on_delete for key in other.foreign_keys if key.references == name}
        if "CASCADE" in actions and other.name not in seen:
            seen.add(other.name)
            _changes("deletes_rows", other.name, notes)
            notes.writes_rows(other.name, DELETE)
            _follow(other.name, notes, seen)
        elif any(action.startswith("SET ") for action in actions):
            _changes("requires_backfill", other.name, notes)


def _changes(code: str, name: TableName, notes: Notes) -> None:
    notes.lock(name, Lock.ROW_EXCLUSIVE)
    notes.works(name)
    notes.find(code, name)


def _limits(node: Node) -> bool:
    """Does its WHERE leave rows out? `WHERE true` and `WHERE 1 = 1` do not."""
    condition = node.get("whereClause")
    if condition is None:
        return False
    return any(name in ("ColumnRef", "CurrentOfExpr", "SubLink") for name, _ in walk(condition))


_COMMANDS = {"CMD_INSERT": INSERT, "CMD_UPDATE": UPDATE, "CMD_DELETE": DELETE}


def merge(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    filled(name, notes)
    clauses = [each["MergeWhenClause"] for each in node.get("mergeWhenClauses", ())]
    for each in clauses:
        if how := _COMMANDS.get(each.get("commandType", "")):
            notes.writes_rows(name, how, _set_columns(each) if how == UPDATE else ())
    if any(each.get("commandType") == "CMD_DELETE" for each in clauses):
        notes.find_all(("deletes_rows", "irreversible"), name)
    notes.find("requires_backfill", name)


def copy(node: Node, notes: Notes) -> None:
    if node.get("is_program") or (node.get("filename") and not node.get("is_from")):
        notes.unknown()
    if "relation" not in node:
        rows(node["query"], notes)
    elif node.get("is_from"):
        name = _written(node, notes)
        filled(name, notes)
        notes.writes_rows(name, INSERT)
        notes.find("inserts_rows", name)
    else:
        notes.lock(relation(node["relation"], notes.scene), Lock.ACCESS_SHARE)


_WRITERS = {"InsertStmt": insert, "UpdateStmt": update, "DeleteStmt": delete, "MergeStmt": merge}


def write(node: Node, notes: Notes) -> None:
    """INSERT, UPDATE, DELETE and MERGE, given as the node that holds them."""
    name, inner = kind(node)
    rows(inner, notes)
    _WRITERS[name](inner, notes)


def lock_table(node: Node, notes: Notes) -> None:
    notes.within = True
    lock = Lock(node.get("mode", Lock.ACCESS_EXCLUSIVE))
    for each in node["relations"]:
        name = relation(each["RangeVar"], notes.scene)
        notes.lock(name, lock)
        if lock.blocks_writes:
            notes.find("locks_reads" if lock.blocks_reads else "locks_writes", name)


def call(node: Node, notes: Notes) -> None:
    """CALL: the body of a procedure is unknown."""
    rows({"FuncCall": node["funccall"]}, notes)

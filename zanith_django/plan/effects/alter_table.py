"""ALTER TABLE: the lock of each subcommand, the rows that it works through, the table after it.

https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from zanith_django.operations.dependents import without_column
from zanith_django.operations.index_options import WITHOUT_LOCKING_OUT
from zanith_django.plan.effects import (
    alter_column,
    columns as cols,
    dependents,
    naming,
    replication,
)
from zanith_django.plan.effects.partitions import attach, detach, join, leave
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, strings, walk
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Exclusion, Table
from zanith_django.schema.parts import NAMED

_LIGHT = frozenset(
    (
        "SetStatistics",
        "SetOptions",
        "ResetOptions",
        "ClusterOn",
        "DropCluster",
        "SetRelOptions",
        "ResetRelOptions",
        "ReplaceRelOptions",
        "ValidateConstraint",
        "AttachPartition",
    )
)
_TRIGGERS = frozenset(
    (
        "EnableTrig",
        "EnableAlwaysTrig",
        "EnableReplicaTrig",
        "EnableTrigAll",
        "EnableTrigUser",
        "DisableTrig",
        "DisableTrigAll",
        "DisableTrigUser",
    )
)
_RULES = frozenset(("EnableRule", "EnableAlwaysRule", "EnableReplicaRule", "DisableRule"))
_ROW_SECURITY = frozenset(
    ["EnableRowSecurity", "DisableRowSecurity", "ForceRowSecurity", "NoForceRowSecurity"]
)
_OF_COLUMNS = frozenset(
    (
        "AlterColumnType",
        "ColumnDefault",
        "DropColumn",
        "DropExpression",
        "DropIdentity",
        "DropNotNull",
        "AddIdentity",
        "SetExpression",
        "SetNotNull",
    )
)
_REWRITES = frozenset(["SetLogged", "SetUnLogged", "SetTableSpace", "SetAccessMethod"])


def alter_table(node: Node, notes: Notes) -> None:
    """All subcommands of one statement, in the order of the text."""
    relation = node["relation"]
    schema, given = relation.get("schemaname", ""), relation["relname"]
    kind = node.get("objtype", "OBJECT_TABLE")
    if kind == "OBJECT_INDEX":
        _alter_index(schema, given, node, notes)
        return
    name = notes.scene.name(schema, given)
    if kind == "OBJECT_TYPE" and "AT_DropColumn" in _subtypes(node):
        notes.find_all(("drops_column_with_data", "irreversible"))
        return
    if kind not in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
        _alter_view(name, _subtypes(node), notes)
        return
    if node.get("missing_ok") and notes.scene.is_absent(name):
        return
    if not node.get("missing_ok"):
        naming.wants_table(name, notes)
    notes.alters.append(name)
    for each in node["cmds"]:
        _command(each["AlterTableCmd"], name, relation.get("inh", False), notes)


def _alter_view(name: TableName, subtypes: set[str], notes: Notes) -> None:
    """Another kind of relation. PostgreSQL rewrites a materialized view like a table."""
    if not subtypes.isdisjoint(f"AT_{each}" for each in _REWRITES):
        notes.lock(name, Lock.ACCESS_EXCLUSIVE)
        notes.find("locks_reads", name)
    notes.find("changes_rights" if "AT_ChangeOwner" in subtypes else "changes_object")


def _subtypes(node: Node) -> set[str]:
    return {each["AlterTableCmd"]["subtype"] for each in node["cmds"]}


def _alter_index(schema: str, index: str, node: Node, notes: Notes) -> None:
    """Storage options and attachments concern the index, which its readers lock as well."""
    owner = notes.scene.owner(schema, index)
    subtypes = _subtypes(node)
    if "AT_SetTableSpace" in subtypes and owner:
        notes.lock(owner.name, Lock.ACCESS_EXCLUSIVE)
        notes.works(owner.name)
    elif "AT_AttachPartition" in subtypes:
        part = node["cmds"][0]["AlterTableCmd"]["def"]["PartitionCmd"]["name"]
        owner = notes.scene.owner(part.get("schemaname", ""), part["relname"])
        if owner:
            notes.lock(owner.name, Lock.ACCESS_EXCLUSIVE)
    elif owner and not _options(node) <= WITHOUT_LOCKING_OUT:
        notes.lock(owner.name, Lock.ACCESS_EXCLUSIVE)


def _options(node: Node) -> set[str]:
    """The storage options that a statement sets or resets."""
    found = (inner for name, inner in walk(node["cmds"]) if name == "DefElem")
    return {each["defname"] for each in found}


def _command(command: Node, name: TableName, heirs: bool, notes: Notes) -> None:
    subtype = command["subtype"].removeprefix("AT_")
    table = notes.graph.table(name) or Table(name)
    handler = _HANDLERS.get(subtype)
    if subtype in _OF_COLUMNS and not command.get("missing_ok"):
        naming.wants_column(command["name"], table, notes)
    if _adds_foreign_key(command, subtype):
        _add_foreign_key(command, table, notes)
    elif handler:
        heirs = heirs and not subtype.startswith("DetachPartition")
        notes.lock(name, Lock.ACCESS_EXCLUSIVE, heirs=heirs)
        handler(command, table, notes)
    elif subtype in _LIGHT:
        notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE, heirs=False)
        _light(subtype, command, table, notes)
    elif subtype in _TRIGGERS:
        notes.lock(name, Lock.SHARE_ROW_EXCLUSIVE)
        notes.find("changes_trigger", name)
    else:
        notes.lock(name, Lock.ACCESS_EXCLUSIVE, heirs=heirs)
        _plain(subtype, name, notes)


def _adds_foreign_key(command: Node, subtype: str) -> bool:
    added = command.get("def", {}).get("Constraint", {})
    return subtype == "AddConstraint" and added.get("contype") == "CONSTR_FOREIGN"


def _plain(subtype: str, name: TableName, notes: Notes) -> None:
    """Subcommands that change a word in the catalog, or rewrite the whole table."""
    if subtype in _REWRITES:
        notes.rewritten(name)
        if subtype == "SetUnLogged":
            notes.find("unlogged_table", name)
            dependents.unlogs(name, notes)
    elif subtype in _RULES:
        notes.find("changes_trigger", name)
    elif subtype in _ROW_SECURITY:
        notes.find("rls_change", name)
    elif subtype == "ChangeOwner":
        notes.find("changes_rights", name)


# --- subcommands without ACCESS EXCLUSIVE on the table -------------------------------------------


def _light(subtype: str, command: Node, table: Table, notes: Notes) -> None:
    if subtype == "ValidateConstraint":
        _validate(command["name"], table, notes)
    elif subtype == "AttachPartition":
        attach(command["def"]["PartitionCmd"], table, notes)


def _validate(constraint: str, table: Table, notes: Notes) -> None:
    naming.wants_constraint(constraint, table, notes)
    notes.lock(table.name, Lock.SHARE_UPDATE_EXCLUSIVE)
    notes.works(table.name)
    notes.find("scans_table", table.name)
    for key in table.foreign_keys:
        if key.name == constraint:
            notes.lock(key.references, Lock.ROW_SHARE)
    notes.change(table.name, partial(_validated, constraint=constraint))


def _validated(table: Table, constraint: str) -> Table:
    for part in (part for part in NAMED if part.validated):
        for item in part.of(table):
            if item.name == constraint:
                table = table.with_item(part.field, dataclasses.replace(item, valid=True))
    return table


# --- columns -------------------------------------------------------------------------------------


def _add_column(command: Node, table: Table, notes: Notes) -> None:
    definition = command["def"]["ColumnDef"]
    column = cols.column_of(definition)
    if command.get("missing_ok") and table.column(column.name):
        return
    if not command.get("missing_ok"):
        naming.makes_column(column.name, table, notes)
    notes.find("adds_nullable_column", table.name)
    if cols.writes_rows(column, definition, notes.scene):
        notes.rewritten(table.name)
    if cols.constraints(definition, "CHECK"):
        notes.works(table.name)
    repeats = bool(cols.constraints(definition, "UNIQUE", "PRIMARY"))
    if repeats:
        notes.find("adds_unique_constraint", table.name)
        notes.works(table.name)
    filled = column.default is not None
    if value := cols.constant(column, definition):
        notes.given.setdefault(table.name, {})[column.name] = value
    if filled and repeats and not cols.writes_rows(column, definition, notes.scene):
        notes.find("will_fail_on_data", table.name)
    for key in cols.constraints(definition, "FOREIGN"):
        _lock_referenced(key, table.name, notes, scans=filled)
    if not (column.nullable or filled or column.identity or column.generated):
        notes.find("adds_required_column_without_default", table.name)
        notes.find("will_fail_on_data", table.name)

    def added(found: Table) -> Table:
        found = found.with_item("columns", column)
        kinds = ("CHECK", "UNIQUE", "PRIMARY", "FOREIGN")
        for constraint in cols.constraints(definition, *kinds):
            found = cols.with_constraint(found, constraint, notes.scene, (column.name,))
        return found

    notes.change(table.name, added)


def _lock_referenced(key: Node, table: TableName, notes: Notes, *, scans: bool) -> None:
    target = key["pktable"]
    name = notes.scene.name(target.get("schemaname", ""), target["relname"])
    notes.lock(table, Lock.SHARE_ROW_EXCLUSIVE)
    notes.lock(name, Lock.SHARE_ROW_EXCLUSIVE)
    notes.find("adds_foreign_key", table)
    if scans:
        notes.works(table)


def _drop_column(command: Node, table: Table, notes: Notes) -> None:
    name = command["name"]
    known = notes.scene.is_known and table.columns
    if command.get("missing_ok") and known and not table.column(name):
        return
    notes.find("drops_column_with_data", table.name)
    column = table.column(name)
    if column is None or not column.generated:
        notes.find("irreversible", table.name)
    for key in table.foreign_keys:
        if name in key.columns:
            notes.lock(key.references, Lock.ACCESS_EXCLUSIVE)
    cascade = command.get("behavior") == "DROP_CASCADE"
    if cascade:
        _release_referrers(table, notes, name)
    dependents.drops_column(table, name, notes, cascade=cascade)
    notes.change(table.name, lambda t: without_column(t, name))


def _release_referrers(table: Table, notes: Notes, column: str = "") -> None:
    """The foreign keys of other tables that go with a key by CASCADE."""
    for other in notes.scene.referrers(table.name):
        keys = [k for k in other.foreign_keys if k.references == table.name]
        keys = [k for k in keys if not column or column in k.referenced_columns]
        for key in keys:
            if other.name != table.name:
                notes.lock(other.name, Lock.ACCESS_EXCLUSIVE)
                notes.find("drops_foreign_key", other.name)
            gone = partial(Table.without_item, part="foreign_keys", name=key.name)
            notes.change(other.name, gone)


def _alter_type(command: Node, table: Table, notes: Notes) -> None:
    name = command["name"]
    dependents.retypes(table, name, notes)
    new = cols.retype(notes, table, name, command["def"]["ColumnDef"])
    for key in table.foreign_keys:
        if name in key.columns:
            notes.lock(key.references, Lock.ACCESS_EXCLUSIVE)
    for other in notes.scene.referrers(table.name):
        if any(name in key.referenced_columns for key in other.foreign_keys):
            notes.lock(other.name, Lock.ACCESS_EXCLUSIVE)
    if new is not None:
        changed = new
        notes.change(table.name, lambda t: t.with_item("columns", changed))


# --- constraints ---------------------------------------------------------------------------------


def _add_constraint(command: Node, table: Table, notes: Notes) -> None:
    node = command["def"]["Constraint"]
    kind = node["contype"].removeprefix("CONSTR_")
    naming.makes_constraint(node.get("conname", ""), table, notes)
    later = bool(node.get("skip_validation"))
    if kind == "CHECK":
        notes.find("adds_check", table.name)
        for key in cols.check(node, table.name).columns:
            naming.wants_column(key, table, notes)
        if not later:
            notes.works(table.name)
    elif kind in ("UNIQUE", "PRIMARY"):
        _add_key(node, kind, table, notes)
        return
    elif kind == "EXCLUSION":
        notes.find("adds_unique_constraint", table.name)
        notes.works(table.name)
        name = node.get("conname") or f"{table.name}_excl"
        item = Exclusion(name, cols.exclusion(node), cols.key_columns(node.get("exclusions")))
        notes.change(table.name, lambda t: t.with_item("exclusions", item))
    notes.change(table.name, lambda t: cols.with_constraint(t, node, notes.scene))


def _add_key(node: Node, kind: str, table: Table, notes: Notes) -> None:
    """UNIQUE and PRIMARY KEY: the index is built here, or exists."""
    notes.find("adds_unique_constraint", table.name)
    index = next((i for i in table.indexes if i.name == node.get("indexname")), None)
    own = index.columns if index else ()
    keys = own or cols.unique(node, table.name).columns
    for key in keys:
        naming.wants_column(key, table, notes)
    nullable = [c for c in table.columns if c.name in keys and c.nullable]
    unproven = [c for c in nullable if not cols.proves_not_null(table, c.name)]
    if not node.get("indexname") or (kind == "PRIMARY" and unproven):
        notes.works(table.name)

    def added(found: Table) -> Table:
        if index:
            found = found.without_item("indexes", index.name)
        for column in nullable if kind == "PRIMARY" else ():
            found = found.with_item("columns", dataclasses.replace(column, nullable=False))
        return cols.with_constraint(found, node, notes.scene, own)

    notes.change(table.name, added)


def _add_foreign_key(command: Node, table: Table, notes: Notes) -> None:
    node = command["def"]["Constraint"]
    naming.makes_constraint(node.get("conname", ""), table, notes)
    for key in strings(node.get("fk_attrs")):
        naming.wants_column(key, table, notes)
    _lock_referenced(node, table.name, notes, scans=not node.get("skip_validation"))
    notes.change(table.name, lambda t: cols.with_constraint(t, node, notes.scene))


def _drop_constraint(command: Node, table: Table, notes: Notes) -> None:
    name = command["name"]
    if not command.get("missing_ok"):
        naming.wants_constraint(name, table, notes)
    if not notes.scene.is_known and name not in naming.constraints(table):
        notes.find("drops_unique_constraint", table.name)  # what else it may be is less
    for key in table.foreign_keys:
        if key.name == name:
            notes.lock(key.references, Lock.ACCESS_EXCLUSIVE)
            notes.find("drops_foreign_key", table.name)
    own = table.primary_key
    keyed = own is not None and own.name == name
    if keyed:
        replication.without_key(table, notes)
    keys = [unique.columns for unique in table.uniques if unique.name == name]
    for columns in [own.columns] if own and keyed else keys:
        notes.find("drops_unique_constraint", table.name)
        if command.get("behavior") == "DROP_CASCADE":
            _release_referrers(table, notes)
        else:
            dependents.drops_key(table, columns, notes)

    def dropped(found: Table) -> Table:
        if keyed:
            return dataclasses.replace(found, primary_key=None)
        for part in (part for part in NAMED if part.is_constraint):
            found = found.without_item(part.field, name)
        return found

    notes.change(table.name, dropped)


_HANDLERS: dict[str, Callable[[Node, Table, Notes], None]] = {
    "AddColumn": _add_column,
    "DropColumn": _drop_column,
    "AlterColumnType": _alter_type,
    "SetNotNull": alter_column.set_not_null,
    "DropNotNull": alter_column.drop_not_null,
    "ColumnDefault": alter_column.default,
    "AddIdentity": alter_column.add_identity,
    "DropIdentity": alter_column.drop_identity,
    "SetIdentity": alter_column.set_identity,
    "SetExpression": alter_column.set_expression,
    "DropExpression": alter_column.drop_expression,
    "AddConstraint": _add_constraint,
    "DropConstraint": _drop_constraint,
    "DetachPartition": detach,
    "DetachPartitionFinalize": detach,
    "AddInherit": join,
    "DropInherit": leave,
    "ReplicaIdentity": replication.replica_identity,
}

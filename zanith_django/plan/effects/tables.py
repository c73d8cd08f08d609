"""Statements that create, rename, move, empty or drop tables and other relations."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from functools import partial

from zanith_django.operations import RenameTable
from zanith_django.operations.dependents import rename_column
from zanith_django.operations.moves import TableMove
from zanith_django.plan.effects import columns as cols, dependents, naming, types
from zanith_django.plan.effects.values import Notes, Scene
from zanith_django.postgres.grammar import Node, qualified, strings
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table
from zanith_django.schema.parts import NAMED, STATISTICS

TEMPORARY = "temporary"
"""Marks a table of the graph that ends with the session."""


def relation(node: Node, scene: Scene) -> TableName:
    return scene.name(node.get("schemaname", ""), node["relname"])


def new_name(node: Node, scene: Scene) -> TableName:
    """A new table is made in the current schema, whatever an unqualified name finds elsewhere."""
    return TableName(scene.place(node.get("schemaname", "")), node["relname"])


def create_table(node: Node, notes: Notes) -> None:
    name = new_name(node["relation"], notes.scene)
    if node.get("if_not_exists"):
        if name in notes.scene.graph:
            return
        notes.find("accepts_existing", name)
        notes.fills.append(name)
    elif not is_temporary(node["relation"]):
        naming.makes_relation(name, notes)
    table = Table(name)
    for element in node.get("tableElts", ()):
        if "ColumnDef" in element:
            table = _with_column(table, element["ColumnDef"], notes)
        elif "Constraint" in element:
            table = cols.with_constraint(table, element["Constraint"], notes.scene)
        elif "TableLikeClause" in element:
            like = notes.scene.table(relation(element["TableLikeClause"]["relation"], notes.scene))
            for column in like.columns if like else ():
                table = table.with_item("columns", column)
    for key in table.foreign_keys:
        if key.references != name:
            notes.lock(key.references, Lock.SHARE_ROW_EXCLUSIVE)
    table = _placed(table, node, notes)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    if is_hidden(node["relation"], notes):
        return
    if is_temporary(node["relation"]):
        table = dataclasses.replace(table, options=(TEMPORARY,))
    notes.graph = notes.graph.with_table(table)
    notes.moves.append(TableMove(new=name))


def is_hidden(target: Node, notes: Notes) -> bool:
    """Is it a temporary table of the name of a permanent one? Otherwise a temporary table is as
    new as any other."""
    return is_temporary(target) and new_name(target, notes.scene) in notes.scene.graph


def is_temporary(target: Node) -> bool:
    return bool(target.get("relpersistence") == "t")


def filled(name: TableName, notes: Notes) -> None:
    """The table may have rows now; those of a temporary one are nothing to keep."""
    table = notes.graph.table(name)
    if table is None or TEMPORARY not in table.options:
        notes.fills.append(name)


def _with_column(table: Table, definition: Node, notes: Notes) -> Table:
    table = table.with_item("columns", cols.column_of(definition))
    for constraint in cols.constraints(definition, "CHECK", "UNIQUE", "PRIMARY", "FOREIGN"):
        table = cols.with_constraint(table, constraint, notes.scene, (definition["colname"],))
    return table


def _placed(table: Table, node: Node, notes: Notes) -> Table:
    """As a partition or heir, or with partitions of its own."""
    parents = [relation(each["RangeVar"], notes.scene) for each in node.get("inhRelations", ())]
    if "partspec" in node:
        table = dataclasses.replace(table, partition_key=cols.GIVEN)
    if "partbound" not in node:
        for parent in parents:
            notes.lock(parent, Lock.SHARE_UPDATE_EXCLUSIVE, heirs=False)
        return dataclasses.replace(table, inherits=tuple(parents)) if parents else table
    parent = parents[0]
    notes.lock(parent, Lock.ACCESS_EXCLUSIVE, heirs=False)
    for other in notes.scene.default_partitions(parent):
        notes.lock(other, Lock.ACCESS_EXCLUSIVE)
        notes.works(other)
    found = notes.scene.table(parent)
    columns = found.columns if found else ()
    return dataclasses.replace(
        table, columns=columns, partition_of=parent, partition_bound=cols.GIVEN
    )


# --- dropping and emptying -----------------------------------------------------------------------

_DATA = {"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"}
_VIEWS = {"OBJECT_VIEW", "OBJECT_MATVIEW"}
_TYPES = {"OBJECT_TYPE", "OBJECT_DOMAIN"}
_ON_TABLE = {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}


def drop(node: Node, notes: Notes) -> None:
    kind = node["removeType"]
    if kind in _DATA:
        names = [notes.scene.name(*qualified(each)) for each in node["objects"]]
        for name in names:
            _drop_table(name, node, notes, beside=names)
    elif kind in _VIEWS:
        for each in node["objects"]:
            name = notes.scene.name(*qualified(each))
            notes.views.append(name)
            notes.find("drops_view", name)
        dependents.forget([qualified(each)[-1] for each in node["objects"]], notes)
        _cascades(node, notes)
    elif kind == "OBJECT_INDEX":
        for each in node["objects"]:
            _drop_index(*qualified(each), node, notes)
    elif kind in _ON_TABLE:
        for each in node["objects"]:
            _drop_of_table(kind, strings(each), notes)
    elif kind == "OBJECT_SCHEMA":
        for each in node["objects"]:
            _drop_schema(strings(each)[-1], node, notes)
    elif kind == "OBJECT_STATISTIC_EXT":
        for each in node["objects"]:
            _drop_statistics(*qualified(each), notes)
    elif kind == "OBJECT_EXTENSION":
        notes.find("drops_extension")
        _cascades(node, notes)
    else:
        dependents.forget([strings(each)[-1] for each in node["objects"] if strings(each)], notes)
        _drop_object(kind, node, notes)


def _cascades(node: Node, notes: Notes) -> bool:
    """Does it drop what depends on its object, too?"""
    cascade = bool(node.get("behavior") == "DROP_CASCADE")
    if cascade:
        notes.find("drops_with_cascade")
    return cascade


def _drop_object(kind: str, node: Node, notes: Notes) -> None:
    if not _cascades(node, notes):
        notes.find("drops_object")
    if kind == "OBJECT_PUBLICATION":
        notes.find("stops_subscribers")
    elif kind in _TYPES:
        for each in node["objects"]:
            types.drop(each, node.get("behavior") == "DROP_CASCADE", notes)


def _drop_table(
    name: TableName, node: Node, notes: Notes, beside: Collection[TableName] = ()
) -> None:
    if node.get("missing_ok") and notes.scene.is_absent(name):
        return
    table = notes.graph.table(name)
    if not node.get("missing_ok"):
        naming.wants_table(name, notes)
    notes.alters.append(name)
    notes.find_all(("drops_table_with_data", "irreversible"), name)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    for key in table.foreign_keys if table else ():
        notes.lock(key.references, Lock.ACCESS_EXCLUSIVE)
    if table and table.partition_of:
        for each in (table.partition_of, *notes.scene.default_partitions(table.partition_of)):
            notes.lock(each, Lock.ACCESS_EXCLUSIVE, heirs=False)
    cascade = node.get("behavior") == "DROP_CASCADE"
    if cascade:
        _release(name, notes)
    if table:
        dependents.drops_table(table, notes, cascade=cascade, beside=beside)
    for each in (name, *notes.scene.heirs(name)):
        notes.graph = notes.graph.without_table(each)
        notes.moves.append(TableMove(old=each))


def _release(name: TableName, notes: Notes) -> None:
    """DROP TABLE … CASCADE takes the foreign keys of other tables with it."""
    for other in notes.scene.referrers(name):
        if other.name == name:
            continue
        notes.lock(other.name, Lock.ACCESS_EXCLUSIVE)
        notes.find("drops_foreign_key", other.name)
        for key in other.foreign_keys:
            if key.references == name:
                gone = partial(Table.without_item, part="foreign_keys", name=key.name)
                notes.graph = notes.graph.changed(other.name, gone)


def _drop_index(schema: str, index: str, node: Node, notes: Notes) -> None:
    owner = notes.scene.owner(schema, index)
    if owner is None:
        if node.get("missing_ok") and notes.scene.is_known:
            return
        notes.find("drops_index_blocking")
        _cascades(node, notes)
        if not node.get("missing_ok"):
            place = notes.scene.place(schema)
            naming.wants_index(TableName(place, index), notes)
        return
    if any(each.unique for each in owner.indexes if each.name == index):
        notes.find("drops_unique_constraint", owner.name)
        _cascades(node, notes)
    if node.get("concurrent"):
        notes.transactional = False
        notes.lock(owner.name, Lock.SHARE_UPDATE_EXCLUSIVE)
        notes.find("drops_index", owner.name)
    else:
        notes.lock(owner.name, Lock.ACCESS_EXCLUSIVE)
        notes.find("drops_index_blocking", owner.name)
    notes.graph = notes.graph.changed(owner.name, lambda t: t.without_item("indexes", index))


def _drop_statistics(schema: str, statistics: str, notes: Notes) -> None:
    notes.find("drops_object")
    place = notes.scene.place(schema)
    for table in notes.graph.tables:
        if table.name.schema == place and any(s.name == statistics for s in table.statistics):
            notes.lock(table.name, Lock.SHARE_UPDATE_EXCLUSIVE)
            notes.graph = notes.graph.changed(
                table.name, lambda t: t.without_item(STATISTICS.field, statistics)
            )


def _drop_of_table(kind: str, names: list[str], notes: Notes) -> None:
    *place, item = names
    name = notes.scene.name(place[-2] if len(place) > 1 else "", place[-1] if place else "")
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    dependents.forget([item], notes)
    notes.find("rls_change" if kind == "OBJECT_POLICY" else "changes_trigger", name)
    if kind == "OBJECT_TRIGGER":
        notes.graph = notes.graph.changed(name, lambda t: t.without_item("triggers", item))


def _drop_schema(schema: str, node: Node, notes: Notes) -> None:
    if node.get("behavior") != "DROP_CASCADE":
        notes.find("drops_object")  # PostgreSQL refuses one with anything in it
        return
    place = notes.scene.place(schema)
    notes.find_all(("drops_with_cascade", "irreversible"))
    for table in notes.scene.graph.tables:
        if table.name.schema == place:
            _drop_table(table.name, node, notes)


def truncate(node: Node, notes: Notes) -> None:
    names = [relation(each["RangeVar"], notes.scene) for each in node["relations"]]
    for name in names:
        naming.wants_table(name, notes)
        _truncated(name, notes)
        for other in _all_referrers(name, notes.scene, {name}):
            if node.get("behavior") == "DROP_CASCADE":
                _truncated(other, notes)
            elif other not in names:
                what = f"a foreign key of {other} references {name}: TRUNCATE needs both"
                notes.missing("dependent_objects", what)


def _truncated(name: TableName, notes: Notes) -> None:
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.alters.append(name)
    notes.find_all(("deletes_all_rows", "irreversible"), name)


def _all_referrers(name: TableName, scene: Scene, seen: set[TableName]) -> Iterator[TableName]:
    for other in scene.referrers(name):
        if other.name not in seen:
            seen.add(other.name)
            yield other.name
            yield from _all_referrers(other.name, scene, seen)


# --- renaming ------------------------------------------------------------------------------------


def rename(node: Node, notes: Notes) -> None:
    kind, new = node["renameType"], node["newname"]
    if kind in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE") and "relation" in node:
        old = relation(node["relation"], notes.scene)
        _moved(old, TableName(old.schema, new), node, notes)
    elif kind == "OBJECT_COLUMN" and "relation" in node:
        _rename_column(node, new, notes)
    elif kind == "OBJECT_INDEX":
        relation_ = node["relation"]
        _rename_index(relation_.get("schemaname", ""), relation_["relname"], new, notes)
    elif kind == "OBJECT_TABCONSTRAINT":
        name = relation(node["relation"], notes.scene)
        notes.lock(name, Lock.ACCESS_EXCLUSIVE)
        _rename_constraint(name, node["subname"], new, notes)
    elif kind in _ON_TABLE:
        notes.lock(relation(node["relation"], notes.scene), Lock.ACCESS_EXCLUSIVE)
    elif kind in _VIEWS and "relation" in node:
        notes.views.append(relation(node["relation"], notes.scene))
        notes.adds.append(TableName(notes.views[-1].schema, node["newname"]))
        notes.find("drops_view")
    elif kind == "OBJECT_SCHEMA":
        _rename_schema(node["subname"], new, notes)
    else:
        notes.find("renames_object")


def _moved(old: TableName, new: TableName, node: Node, notes: Notes) -> None:
    if node.get("missing_ok") and notes.scene.is_absent(old):
        return
    notes.lock(old, Lock.ACCESS_EXCLUSIVE)
    naming.wants_table(old, notes)
    naming.makes_relation(new, notes)
    notes.find("rename_table", old)
    notes.graph = RenameTable(old=old, new=new).apply_to(notes.graph)
    notes.moves.append(TableMove(old, new))


def _rename_column(node: Node, new: str, notes: Notes) -> None:
    name = relation(node["relation"], notes.scene)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    if table := notes.graph.table(name):
        naming.wants_column(node["subname"], table, notes)
        naming.makes_column(new, table, notes)
    notes.find("rename_column", name)
    notes.graph = rename_column(notes.graph, name, node["subname"], new)
    notes.renames.append((name, node["subname"], new))


def _rename_index(schema: str, index: str, new: str, notes: Notes) -> None:
    owner = notes.scene.owner(schema, index)
    found = next((i for i in owner.indexes if i.name == index), None) if owner else None
    if owner and found:
        renamed = dataclasses.replace(found, name=new)
        notes.graph = notes.graph.changed(
            owner.name, lambda t: t.with_item("indexes", renamed, instead_of=index)
        )
    elif owner:
        _rename_constraint(owner.name, index, new, notes)


def _rename_constraint(name: TableName, old: str, new: str, notes: Notes) -> None:
    table = notes.graph.table(name)
    for part in (part for part in NAMED if part.is_constraint):
        for item in part.of(table) if table else ():
            if item.name == old:
                renamed = dataclasses.replace(item, name=new)
                change = partial(Table.with_item, part=part.field, item=renamed, instead_of=old)
                notes.graph = notes.graph.changed(name, change)


def _rename_schema(old: str, new: str, notes: Notes) -> None:
    place = notes.scene.place(old)
    notes.find("renames_object")
    for table in notes.scene.graph.tables:
        if table.name.schema == place:
            _moved(table.name, TableName(new, table.name.name), {}, notes)


def set_schema(node: Node, notes: Notes) -> None:
    """ALTER … SET SCHEMA."""
    if node["objectType"] not in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
        notes.find("renames_object")
        return
    old = relation(node["relation"], notes.scene)
    schema = node["newschema"]
    place = notes.scene.place(schema)
    _moved(old, TableName(place, old.name), node, notes)

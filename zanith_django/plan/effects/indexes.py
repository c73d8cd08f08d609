"""Statements that build or rebuild indexes, or write a table again in another order."""

from __future__ import annotations

from zanith_django.plan.effects import columns as cols, naming
from zanith_django.plan.effects.expressions import spelled
from zanith_django.plan.effects.tables import relation
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, columns, kind
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Index, IndexKey, Table


def create_index(node: Node, notes: Notes) -> None:
    name = relation(node["relation"], notes.scene)
    heirs = bool(node["relation"].get("inh"))
    index = _index(node, name)
    concurrently = bool(node.get("concurrent"))
    found = notes.scene.table(name) or Table(name)
    naming.wants_table(name, notes)
    for key in index.columns:
        naming.wants_column(key, found, notes)
    if concurrently:
        notes.transactional = False
        notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE)
    else:
        notes.lock(name, Lock.SHARE, heirs=heirs)
        notes.alters.append(name)
    if node.get("if_not_exists"):
        known = next((each for each in found.indexes if each.name == index.name), None)
        if known is not None and known.valid:
            return
        notes.find("accepts_existing", name)
    if not node.get("if_not_exists"):
        resumes = bool(node.get("concurrent"))
        naming.makes_relation(TableName(name.schema, index.name), notes, resumes=resumes)
    notes.find("adds_unique_constraint" if index.unique else "adds_index", name)
    if heirs or not found.partition_key:
        notes.works(name, heirs=heirs)
    notes.graph = notes.graph.changed(name, lambda t: t.with_item("indexes", index))


def _index(node: Node, table: TableName) -> Index:
    elements = [each["IndexElem"] for each in node.get("indexParams", ())]
    keys = tuple(
        IndexKey(column=each["name"])
        if "name" in each
        else IndexKey(expression=spelled(each.get("expr")) or cols.GIVEN)
        for each in elements
    )
    included = [each["IndexElem"].get("name", "") for each in node.get("indexIncludingParams", ())]
    named = {*cols.key_columns(node.get("indexParams")), *included}
    named |= {*columns(node.get("whereClause"))}
    known = "_".join(sorted(named))
    return Index(
        node.get("idxname") or f"{table.name}_{known}_idx",
        keys,
        method=node.get("accessMethod", "btree"),
        unique=bool(node.get("unique")),
        include=tuple(included),
        predicate=(spelled(node["whereClause"]) or cols.GIVEN) if "whereClause" in node else "",
        nulls_not_distinct=bool(node.get("nulls_not_distinct")),
        columns=tuple(sorted(named)),
    )


def reindex(node: Node, notes: Notes) -> None:
    """REINDEX: queries that plan with the index wait for it."""
    concurrently = has_option(node, "concurrently")
    notes.transactional = not concurrently
    what = node["kind"]
    if what not in ("REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_INDEX"):
        notes.transactional = False
        notes.find("adds_index" if concurrently else "reindexes")
        return
    given = node["relation"]
    name: TableName | None = relation(given, notes.scene)
    if what == "REINDEX_OBJECT_INDEX":
        owner = notes.scene.owner(given.get("schemaname", ""), given["relname"])
        name = owner.name if owner else None
    notes.find("adds_index" if concurrently else "reindexes", name)
    if name is None:
        return
    notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE if concurrently else Lock.SHARE)
    notes.works(name)
    _commits_between(name, notes)


def _commits_between(name: TableName, notes: Notes) -> None:
    """PostgreSQL works on the partitions of a table in a transaction each."""
    table = notes.scene.table(name)
    if table is not None and table.partition_key:
        notes.transactional = False


def has_option(node: Node, option: str) -> bool:
    given = (each["DefElem"] for each in node.get("params", ()) or node.get("options", ()))
    return any(
        each["defname"] == option and _is_on(each.get("arg")) for each in given if "defname" in each
    )


def _is_on(argument: Node | None) -> bool:
    if argument is None:
        return True
    name, inner = kind(argument)
    if name == "Boolean":
        return bool(inner.get("boolval"))
    return str(inner.get("sval", inner.get("ival", ""))).lower() not in ("off", "false", "0", "no")


def cluster(node: Node, notes: Notes) -> None:
    """CLUSTER, without a table all that were clustered before."""
    if "relation" not in node:
        notes.transactional = False
        notes.find("rewrites_table")
        return
    name = relation(node["relation"], notes.scene)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.alters.append(name)
    notes.rewritten(name)
    _commits_between(name, notes)


def vacuum(node: Node, notes: Notes) -> None:
    """VACUUM and ANALYZE; with FULL a rewrite."""
    whole = bool(node.get("is_vacuumcmd"))
    full = whole and has_option(node, "full")
    notes.transactional = not whole
    names = [relation(each["VacuumRelation"]["relation"], notes.scene) for each in _relations(node)]
    if full and not names:
        notes.find("rewrites_table")
    for name in names:
        notes.lock(name, Lock.ACCESS_EXCLUSIVE if full else Lock.SHARE_UPDATE_EXCLUSIVE)
        if full:
            notes.rewritten(name)
        else:
            notes.find("scans_table", name)


def _relations(node: Node) -> list[Node]:
    return [each for each in node.get("rels", ()) if "relation" in each["VacuumRelation"]]

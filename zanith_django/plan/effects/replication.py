"""Logical replication: what publications send, and how UPDATE and DELETE name the rows.

PostgreSQL refuses both on a table of a publication that publishes them and has no replica identity.
https://www.postgresql.org/docs/current/logical-replication-publication.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from zanith_django.plan.effects.tables import relation
from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table

_IDENTITIES = {"d": "", "n": "nothing", "f": "full", "i": "index"}
_NAMED = ("full", "index")


def create_publication(node: Node, notes: Notes) -> None:
    notes.find("changes_object")
    if node.get("for_all_tables"):
        _published([table.name for table in notes.graph.tables], node, notes)
    else:
        _published(_tables(node, notes), node, notes)


def alter_publication(node: Node, notes: Notes) -> None:
    """Subscribers get no changes of what a publication no longer sends."""
    names = _tables(node, notes)
    if node["action"] == "AP_DropObjects":
        for name in names:
            notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE)
    if node["action"] != "AP_AddObjects" or "options" in node:
        notes.find("stops_subscribers")
    else:
        notes.find("changes_object")
    if node["action"] != "AP_DropObjects":
        _published(names, node, notes)


def _tables(node: Node, notes: Notes) -> list[TableName]:
    given = (each["PublicationObjSpec"] for each in node.get("pubobjects", ()))
    return [
        relation(each["pubtable"]["relation"], notes.scene) for each in given if "pubtable" in each
    ]


def _published(names: list[TableName], node: Node, notes: Notes) -> None:
    for name in names:
        if not node.get("for_all_tables"):
            notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE)
        table = notes.graph.table(name)
        if table is not None and _sends_keys(node) and not _has_identity(table):
            _refuses(name, "no primary key and no replica identity", notes)


def _sends_keys(node: Node) -> bool:
    """Does the publication send updates or deletes?"""
    options = (each["DefElem"] for each in node.get("options", ()))
    given = [each["arg"]["String"]["sval"] for each in options if each["defname"] == "publish"]
    return not given or "update" in given[-1] or "delete" in given[-1]


def replica_identity(command: Node, table: Table, notes: Notes) -> None:
    kind = _IDENTITIES[command["def"]["ReplicaIdentityStmt"]["identity_type"]]
    changed = dataclasses.replace(table, replica_identity=kind)
    known = table.name in notes.graph
    nameless = kind == "nothing" or (known and not _has_identity(changed))
    if nameless and (publication := _publication(table, notes)):
        _refuses(table.name, f"no replica identity, and {publication}", notes)
    notes.change(table.name, lambda t: dataclasses.replace(t, replica_identity=kind))


def without_key(table: Table, notes: Notes) -> None:
    """The primary key of the table goes, which names its rows to subscribers."""
    if not table.replica_identity and any(_publications(table)):
        _refuses(table.name, "no replica identity without its primary key", notes)


def _has_identity(table: Table) -> bool:
    if table.replica_identity:
        return table.replica_identity in _NAMED
    return table.primary_key is not None


def _publication(table: Table, notes: Notes) -> str:
    """A publication that sends the table. Without a database any table may have one."""
    found = next(_publications(table), "")
    return found or ("a publication may send it" if not notes.scene.is_known else "")


def _publications(table: Table) -> Iterator[str]:
    for each in table.dependents:
        if each.kind == "publication":
            yield f"publication {each.name} sends it"


def _refuses(name: TableName, why: str, notes: Notes) -> None:
    notes.find("breaks_running_code", name)
    notes.missing("", f"updates and deletes of {name} fail: it has {why}")

"""The effects of SQL, statement by statement, by PostgreSQL's own grammar."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator

from zanith_django.plan.effects import columns as cols, indexes, naming, rows, tables
from zanith_django.plan.effects.alter_table import alter_table
from zanith_django.plan.effects.values import ALL, Effect, Finding, Notes, Scene
from zanith_django.postgres.grammar import Node, block, kind, parse, qualified, queries, strings
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Collation, SchemaGraph

_MAY_DROP = re.compile(r"\b(?:DROP|TRUNCATE|DELETE)\b", re.IGNORECASE)


def effects(text: str, scene: Scene) -> tuple[tuple[Effect, ...], SchemaGraph]:
    """The effects of all statements of a text, and the schema after them.

    A text that PostgreSQL's grammar does not accept is one opaque effect.
    """
    statements = parse(text)
    if statements is None:
        return (unreadable(text),), scene.graph
    found: list[Effect] = []
    for sql, node in statements:
        if search_path := _search_path(node):
            scene = dataclasses.replace(scene, schema=search_path, elsewhere={})
        for effect, graph in _effects_of(sql, node, scene):
            found.append(effect)
            scene = scene.after((effect,), graph)
    if len(found) > 1:
        found = [dataclasses.replace(effect, query=text) for effect in found]
    return tuple(found), scene.graph


def unreadable(text: str) -> Effect:
    """SQL whose effect is unknown; it may drop what it names."""
    return _unknown(text, drops=bool(_MAY_DROP.search(text)))


def unreadable_code(
    title: str, changed: Iterable[TableName] = (), *, drops: bool = False
) -> Effect:
    """The same for code that is not SQL. It changes at least these tables."""
    locks = dict.fromkeys(changed, Lock.ACCESS_EXCLUSIVE)
    return dataclasses.replace(_unknown(f"-- {title}", drops=drops), locks=locks, titled=True)


def _unknown(text: str, *, drops: bool) -> Effect:
    codes = ("raw_sql", "may_drop") if drops else ("raw_sql",)
    return Effect(text, findings=tuple(map(Finding, codes)), opaque=True)


def _effects_of(sql: str, node: Node, scene: Scene) -> Iterator[tuple[Effect, SchemaGraph]]:
    name, inner = kind(node)
    if name == "DoStmt":
        yield from _block(sql, inner, scene)
        return
    if name == "ExplainStmt":
        yield from _effects_of(sql, inner["query"], scene)
        return
    notes = Notes.of(scene)
    try:
        _note(name, inner, notes)
    except (LookupError, TypeError, ValueError, AttributeError):  # a form that no handler knows
        yield unreadable(sql), scene.graph
        return
    yield notes.done(sql), notes.graph


def _note(name: str, node: Node, notes: Notes) -> None:
    handler = _HANDLERS.get(name)
    if name in _ROWS:
        rows.write({name: node}, notes)
    elif handler:
        handler(node, notes)
    elif name in _CODES:
        notes.find_all(_CODES[name])
    else:
        notes.unknown()


_ROWS = frozenset(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"))

# Statements that lock no table: their findings are all that there is to know.
_CODES: dict[str, tuple[str, ...]] = {
    "CreateSchemaStmt": (),
    "CreateEnumStmt": (),
    "CompositeTypeStmt": (),
    "CreateRangeStmt": (),
    "CreateCastStmt": (),
    "CreateOpClassStmt": (),
    "CreateOpFamilyStmt": (),
    "AlterCollationStmt": (),
    "AlterTSDictionaryStmt": (),
    "AlterTSConfigurationStmt": (),
    "CreateExtensionStmt": ("adds_extension",),
    "AlterExtensionStmt": ("changes_object",),
    "AlterFunctionStmt": ("changes_object",),
    "AlterOwnerStmt": ("changes_rights",),
    "AlterDefaultPrivilegesStmt": (),
    "CreateRoleStmt": ("changes_rights",),
    "AlterRoleStmt": ("changes_rights",),
    "CreatePublicationStmt": ("changes_object",),
    "AlterPublicationStmt": ("changes_object",),
    "VariableShowStmt": (),
    "NotifyStmt": (),
    "ListenStmt": (),
    "UnlistenStmt": (),
    "CheckPointStmt": (),
    "TransactionStmt": ("ends_transaction",),
    "DropdbStmt": ("drops_with_cascade",),
    "DropOwnedStmt": ("drops_with_cascade", "raw_sql"),
}


def _search_path(node: Node) -> str:
    """The schema that SET search_path makes the first."""
    name, inner = kind(node)
    if name != "VariableSetStmt" or inner.get("name") != "search_path":
        return ""
    given = [each.get("A_Const", {}).get("sval", {}).get("sval") for each in inner.get("args", ())]
    return next((schema for schema in given if schema), "")


# --- statements on other objects -----------------------------------------------------------------

_UNSAFE_SETTINGS = ("session_replication_role", "role", "session_authorization")


def _define(node: Node, notes: Notes) -> None:
    """A collation says whether it is deterministic; other objects change no table."""
    if node["kind"] != "OBJECT_COLLATION":
        return
    options = {each["DefElem"]["defname"]: each["DefElem"].get("arg") for each in _listed(node)}
    given = options.get("deterministic") or {}
    value: Node = next(iter(given.values()), {})
    off = strings(given) or [str(value.get("boolval", True))]
    schema, name = qualified(node["defnames"])
    made = Collation(
        notes.scene.name(schema, name), "", "", off[-1].lower() not in ("false", "off", "0")
    )
    collations = (*notes.graph.collations, made)
    notes.graph = dataclasses.replace(notes.graph, collations=collations)


def _listed(node: Node) -> list[Node]:
    return [each for each in node.get("definition", ()) if "DefElem" in each]


def _constraints(node: Node, notes: Notes) -> None:
    """SET CONSTRAINTS: what was deferred is checked now."""
    if not node.get("deferred"):
        named = (each["RangeVar"]["relname"] for each in node.get("constraints", ()))
        notes.settles = tuple(named) or (ALL,)


def _set(node: Node, notes: Notes) -> None:
    if node.get("name") in _UNSAFE_SETTINGS:
        notes.unknown()


def _sequence(node: Node, notes: Notes) -> None:
    """With OWNED BY it looks at the table of its column."""
    options = (each["DefElem"] for each in node.get("options", ()))
    for owner in (each["arg"] for each in options if each["defname"] == "owned_by"):
        parts = strings(owner)[:-1]
        if parts:
            schema = parts[-2] if len(parts) > 1 else ""
            notes.lock(notes.scene.name(schema, parts[-1]), Lock.ACCESS_SHARE, heirs=False)


def _create_sequence(node: Node, notes: Notes) -> None:
    name = tables.new_name(node["sequence"], notes.scene)
    if not node.get("if_not_exists"):
        naming.makes_relation(name, notes)
    notes.adds.append(name)
    _sequence(node, notes)


def _alter_sequence(node: Node, notes: Notes) -> None:
    _sequence(node, notes)
    notes.find("changes_object")


def _comment(node: Node, notes: Notes) -> None:
    if node["objtype"] == "OBJECT_TABLE":
        name = notes.scene.name(*qualified(node["object"]))
        notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE, heirs=False)
    elif node["objtype"] == "OBJECT_COLUMN":
        parts = strings(node["object"])[:-1]
        schema = parts[-2] if len(parts) > 1 else ""
        notes.lock(notes.scene.name(schema, parts[-1]), Lock.SHARE_UPDATE_EXCLUSIVE, heirs=False)
    elif node["objtype"] in ("OBJECT_TABCONSTRAINT", "OBJECT_POLICY", "OBJECT_TRIGGER"):
        parts = strings(node["object"])[:-1]
        schema = parts[-2] if len(parts) > 1 else ""
        notes.lock(notes.scene.name(schema, parts[-1]), Lock.ACCESS_SHARE, heirs=False)


def _grant(node: Node, notes: Notes) -> None:
    if node.get("objtype") == "OBJECT_TABLE" and node.get("targtype") == "ACL_TARGET_OBJECT":
        for each in node.get("objects", ()):
            name = tables.relation(each["RangeVar"], notes.scene)
            notes.lock(name, Lock.ACCESS_SHARE, heirs=False)
    if not node.get("is_grant"):
        notes.find_all(("changes_rights", "breaks_running_code"))


def _function(node: Node, notes: Notes) -> None:
    if node.get("replace"):
        notes.find("changes_object")


def _view(node: Node, notes: Notes) -> None:
    name = tables.new_name(node["view"], notes.scene)
    if node.get("replace"):
        notes.find("changes_object")
    else:
        naming.makes_relation(name, notes)
    notes.adds.append(name)
    notes.find("adds_view")


def _trigger(node: Node, notes: Notes) -> None:
    name = tables.relation(node["relation"], notes.scene)
    notes.lock(name, Lock.SHARE_ROW_EXCLUSIVE)
    notes.find("changes_trigger", name)


def _rule(node: Node, notes: Notes) -> None:
    name = tables.relation(node["relation"], notes.scene)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.find("changes_trigger", name)


def _policy(node: Node, notes: Notes) -> None:
    name = tables.relation(node["table"], notes.scene)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.find("rls_change", name)


def _statistics(node: Node, notes: Notes) -> None:
    for each in node.get("relations", ()):
        name = tables.relation(each["RangeVar"], notes.scene)
        notes.lock(name, Lock.SHARE_UPDATE_EXCLUSIVE)


def _refresh(node: Node, notes: Notes) -> None:
    """The readers of the view wait, but with CONCURRENTLY."""
    name = tables.relation(node["relation"], notes.scene)
    concurrently = node.get("concurrent")
    notes.lock(name, Lock.EXCLUSIVE if concurrently else Lock.ACCESS_EXCLUSIVE)
    notes.find("locks_writes" if concurrently else "locks_reads", name)


def _enum(node: Node, notes: Notes) -> None:
    """ADD VALUE adds to what code may write; RENAME VALUE takes from what it writes."""
    if "oldVal" in node:
        notes.find_all(("renames_object", "breaks_running_code"))


def _create_domain(node: Node, notes: Notes) -> None:
    """A column of a domain with a constraint is checked, and so written, in each row."""
    if cols.constraints(node, "CHECK", "NOTNULL"):
        _, notes.domain = qualified(node["domainname"])


def _domain(node: Node, notes: Notes) -> None:
    """Constraints of a domain are checked in every table that uses it."""
    added = node.get("def", {}).get("Constraint", {})
    if added or node.get("subtype") == "O":
        _, notes.domain = qualified(node["typeName"])
    if node.get("subtype") in ("C", "O") and not added.get("skip_validation"):
        notes.find_all(("locks_writes", "breaks_running_code"))
    else:
        notes.find("changes_object")


_HANDLERS: dict[str, Callable[[Node, Notes], None]] = {
    "AlterTableStmt": alter_table,
    "CreateStmt": tables.create_table,
    "CreateTableAsStmt": rows.create_table_as,
    "DropStmt": tables.drop,
    "TruncateStmt": tables.truncate,
    "RenameStmt": tables.rename,
    "AlterObjectSchemaStmt": tables.set_schema,
    "IndexStmt": indexes.create_index,
    "ReindexStmt": indexes.reindex,
    "ClusterStmt": indexes.cluster,
    "VacuumStmt": indexes.vacuum,
    "SelectStmt": rows.select,
    "CopyStmt": rows.copy,
    "LockStmt": rows.lock_table,
    "VariableSetStmt": _set,
    "ConstraintsSetStmt": _constraints,
    "CreateSeqStmt": _create_sequence,
    "AlterSeqStmt": _alter_sequence,
    "CommentStmt": _comment,
    "DefineStmt": _define,
    "GrantStmt": _grant,
    "CreateFunctionStmt": _function,
    "ViewStmt": _view,
    "CreateTrigStmt": _trigger,
    "RuleStmt": _rule,
    "CreatePolicyStmt": _policy,
    "AlterPolicyStmt": _policy,
    "CreateStatsStmt": _statistics,
    "RefreshMatViewStmt": _refresh,
    "AlterEnumStmt": _enum,
    "AlterDomainStmt": _domain,
    "CreateDomainStmt": _create_domain,
}


# --- DO blocks -----------------------------------------------------------------------------------


def _block(sql: str, node: Node, scene: Scene) -> Iterator[tuple[Effect, SchemaGraph]]:
    """The statements inside of a DO block. Which of them run is decided when it runs: what they
    drop counts as dropped, what they create counts as used already."""
    tree = block(node)
    if tree is None:
        yield unreadable(sql), scene.graph
        return
    inner: list[Effect] = []
    graph, scene = scene.graph, dataclasses.replace(scene, relations=None)
    for text in queries(tree):
        found, graph = effects(text, dataclasses.replace(scene, graph=graph))
        inner += found
    made = {move.new for effect in inner for move in effect.moves if move.new}
    for effect in inner:
        yield dataclasses.replace(effect, fills=(*effect.fills, *made)), graph
    if not inner:
        yield Effect(sql), graph

"""The effects of SQL, statement by statement, by PostgreSQL's own grammar."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from zanith_django.plan.effects import (
    functions,
    indexes,
    naming,
    replication,
    rows,
    sequences,
    settings,
    tables,
    types,
)
from zanith_django.plan.effects.alter_table import alter_table
from zanith_django.plan.effects.functions import MAY_DROP
from zanith_django.plan.effects.values import ALL, Effect, Finding, Notes, Scene
from zanith_django.postgres.grammar import (
    Node,
    block,
    commits,
    kind,
    parse,
    qualified,
    queries,
    strings,
)
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Collation, SchemaGraph


def effects(text: str, scene: Scene) -> tuple[tuple[Effect, ...], SchemaGraph]:
    """The effects of all statements of a text, and the schema after them.

    A text that PostgreSQL's grammar does not accept is one opaque effect.
    """
    statements = parse(text)
    if statements is None:
        return (unreadable(text),), scene.graph
    found: list[Effect] = []
    for sql, node in statements:
        if schema := settings.search_path(node):
            scene = dataclasses.replace(scene, path=schema, elsewhere={})
        for effect, graph in _effects_of(sql, node, scene):
            found.append(effect)
            scene = scene.after((effect,), graph)
    commits_itself = len(statements) == 1 and not all(each.transactional for each in found)
    if len(found) > 1 and not commits_itself:
        found = [dataclasses.replace(effect, query=text) for effect in found]
    return tuple(found), scene.graph


def unreadable(text: str) -> Effect:
    """SQL whose effect is unknown; it may drop what it names."""
    return _unknown(text, drops=bool(MAY_DROP.search(text)))


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
    if name == "ExplainStmt" and not indexes.has_option(inner, "analyze"):
        yield Effect(sql), scene.graph
        return
    if name in ("ExplainStmt", "PrepareStmt"):
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
    "CreateExtensionStmt": ("adds_extension",),
    "AlterTSConfigurationStmt": ("changes_object",),
    "AlterStatsStmt": (),
    "DeallocateStmt": (),
    "FetchStmt": (),
    "ClosePortalStmt": (),
    "AlterExtensionStmt": ("changes_object",),
    "AlterOwnerStmt": ("changes_rights",),
    "CreateRoleStmt": ("changes_rights",),
    "VariableShowStmt": (),
    "NotifyStmt": (),
    "ListenStmt": (),
    "UnlistenStmt": (),
    "CheckPointStmt": (),
    "DropOwnedStmt": ("drops_with_cascade", "raw_sql"),
}


# --- statements on other objects -----------------------------------------------------------------


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


def _grant_role(node: Node, notes: Notes) -> None:
    less = not node.get("is_grant")
    notes.find_all(_FEWER_RIGHTS if less else _RIGHTS)


def _alter_role(node: Node, notes: Notes) -> None:
    """A role may lose its login or a privilege; a new password refuses the old one."""
    options = [each["DefElem"] for each in node.get("options", ())]
    less = node.get("action") == -1 or any(
        each["defname"] in _LIMITS or each.get("arg") == {"Boolean": {"boolval": False}}
        for each in options
    )
    notes.find_all(_FEWER_RIGHTS if less else _RIGHTS)


_LIMITS = frozenset(("connectionlimit", "password", "validUntil"))


def _default_privileges(node: Node, notes: Notes) -> None:
    """They concern later objects alone."""
    if not node["action"].get("is_grant"):
        notes.find("changes_rights")


_RIGHTS = ("changes_rights",)
_FEWER_RIGHTS = ("changes_rights", "breaks_running_code")


def _grant(node: Node, notes: Notes) -> None:
    if node.get("objtype") == "OBJECT_TABLE" and node.get("targtype") == "ACL_TARGET_OBJECT":
        for each in node.get("objects", ()):
            name = tables.relation(each["RangeVar"], notes.scene)
            notes.lock(name, Lock.ACCESS_SHARE, heirs=False)
    if not node.get("is_grant"):
        notes.find_all(_FEWER_RIGHTS)


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
    """With INSTEAD the statements of the release do something else, or fail at their RETURNING."""
    name = tables.relation(node["relation"], notes.scene)
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.find("changes_trigger", name)
    if node.get("instead"):
        notes.find("breaks_running_code", name)
        event = node["event"].removeprefix("CMD_")
        notes.missing("", f"{event} of {name} does what rule {node['rulename']} says instead")


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


def _transaction(node: Node, notes: Notes) -> None:
    """Savepoints end no transaction."""
    if node["kind"] not in _SAVEPOINTS:
        notes.find("ends_transaction")


_SAVEPOINTS = frozenset(("TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO"))


def _of_server(node: Node, notes: Notes) -> None:
    """Databases, tablespaces and the settings of the server."""
    notes.unknown()
    notes.transactional = False


def _drop_database(node: Node, notes: Notes) -> None:
    notes.transactional = False
    notes.find("drops_with_cascade")


def _discard(node: Node, notes: Notes) -> None:
    notes.unknown()
    notes.transactional = node["target"] != "DISCARD_ALL"


def _cursor(node: Node, notes: Notes) -> None:
    _note(*kind(node["query"]), notes)


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
    "CallStmt": rows.call,
    "DeclareCursorStmt": _cursor,
    "VariableSetStmt": settings.set_setting,
    "DiscardStmt": _discard,
    "TransactionStmt": _transaction,
    "AlterSystemStmt": _of_server,
    "CreatedbStmt": _of_server,
    "CreateTableSpaceStmt": _of_server,
    "DropTableSpaceStmt": _of_server,
    "DropdbStmt": _drop_database,
    "ConstraintsSetStmt": _constraints,
    "CreateSeqStmt": sequences.create_sequence,
    "AlterSeqStmt": sequences.alter_sequence,
    "CommentStmt": _comment,
    "DefineStmt": _define,
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "AlterRoleStmt": _alter_role,
    "AlterDefaultPrivilegesStmt": _default_privileges,
    "CreatePublicationStmt": replication.create_publication,
    "AlterPublicationStmt": replication.alter_publication,
    "CreateFunctionStmt": functions.create_function,
    "AlterFunctionStmt": functions.alter_function,
    "ViewStmt": _view,
    "CreateTrigStmt": _trigger,
    "RuleStmt": _rule,
    "CreatePolicyStmt": _policy,
    "AlterPolicyStmt": _policy,
    "CreateStatsStmt": _statistics,
    "RefreshMatViewStmt": _refresh,
    "AlterEnumStmt": types.alter_enum,
    "AlterDomainStmt": types.alter_domain,
    "CreateDomainStmt": types.create_domain,
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
        if text is None:
            inner.append(unreadable(sql))
            continue
        found, graph = effects(text, dataclasses.replace(scene, graph=graph))
        inner += found
    made = {move.new for effect in inner for move in effect.moves if move.new}
    for effect in inner:
        yield dataclasses.replace(effect, fills=(*effect.fills, *made)), graph
    if commits(tree):
        yield Effect(sql, transactional=False), graph
    elif not inner:
        yield Effect(sql), graph

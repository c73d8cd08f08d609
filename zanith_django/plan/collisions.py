"""Collisions of a step with an object that no model names: the step, the object, the remedy.

PostgreSQL would refuse such a step halfway through a release, or the object would go on reading
what the step hides. `context.graph` has what depends on a table (`schema/unmodelled.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zanith_django.operations.base import Context, Operation, must_have
from zanith_django.operations.dependents import generated_from, mentions
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.triggers import triggers_on, whole_row_triggers
from zanith_django.plan.taken_names import TakenName, taken_names
from zanith_django.schema.dependents import Dependent
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import COLUMNS


@dataclass(frozen=True, slots=True)
class Collision:
    """One object that a step would break, or that would block it. If it is not `blocked`, it is
    only shown.

    `recheck` marks an object that an earlier step of the plan may remove.
    """

    what: str
    remedy: str
    dependent: Dependent
    blocked: bool = True
    reason: str = "dependent_objects"
    recheck: bool = False

    def may_go_by(self, text: str | None) -> bool:
        """May a text drop the object, because it names it? None is a text that cannot be read."""
        if text is None:
            return True
        name = re.split(r"\(| on ", self.dependent.name)[0].split(".")[-1].strip('"')
        return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None

    def __str__(self) -> str:
        return f"{self.what} · {self.remedy}" if self.remedy else self.what


def collisions(operation: Operation, context: Context) -> tuple[Collision, ...]:
    """The collisions of the operation, blocked ones first."""
    found = [
        collision
        for touch in operation.touches(context)
        for dependent in _dependents(must_have(context.graph, touch.table), touch, context)
        if (collision := _collision(touch, dependent, context))
    ]
    if why := operation.refused(context):
        found.append(_refused(operation, why))
    found.sort(key=lambda collision: not collision.blocked)
    return tuple(dict.fromkeys(found))


def _dependents(table: Table, touch: Touch, context: Context) -> Iterator[Dependent]:
    """The dependents in the catalog that no earlier step dropped, and those in the graph."""
    yield from (found for found in table.dependents if _still_there(found, table, context))
    for column in touch.columns:
        for made in generated_from(table, column):
            name = f"{table.name}.{made.name}"
            yield Dependent("generated column", name, columns=(column,), own=True)
        if mentions(table.partition_key, column, table.name.name):
            yield Dependent("partition key", f"of {table.name}", columns=(column,), own=True)


def _still_there(found: Dependent, table: Table, context: Context) -> bool:
    """Of what operations drop too: foreign keys and policies of tables that the graph knows."""
    if found.holder is None or found.kind not in ("foreign key", "policy"):
        return True
    holder = context.graph.table(found.holder)
    holders = [holder] if holder else context.graph.tables
    if found.kind == "policy":
        return any(policy.name == found.through for each in holders for policy in each.policies)
    keys = (key for each in holders for key in each.foreign_keys)
    return any(key.name == found.name and key.references == table.name for key in keys)


def _refused(operation: Operation, why: str) -> Collision:
    remedy = "remove that first, or write in_place=True into the step"
    itself = Dependent(operation.kind, operation.target)
    return Collision(f"{operation.describe()}: {why}", remedy, itself)


def taken(operation: Operation, graph: SchemaGraph) -> tuple[Collision, ...]:
    """A table or column of the name that the operation creates, in the schema of the database.
    What zanith_recover brought back is taken over only if the models declare it as it is."""
    if operation.adds is not COLUMNS and operation.creates_table is None:
        return ()
    return tuple(
        Collision(f"{found} exists already", _TAKEN, _dependent(found), reason="exists_already")
        for found in taken_names(operation, graph)
        if found.part in (None, COLUMNS)
    )


def _dependent(found: TakenName) -> Dependent:
    return Dependent(found.kind, found.target)


_TAKEN = "give the model its definition, or rename or drop it first"


# --- the rules -----------------------------------------------------------------------------------

_READERS = frozenset(
    ["view", "materialized view", "rule", "function", "procedure", "policy", "publication"]
)
_VIEWS = frozenset(["view", "materialized view"])
_GENERATED = frozenset(["generated column", "partition key"])

_COLUMNS: Mapping[Effect, frozenset[str]] = {
    Effect.RETYPE: _READERS,
    Effect.REPLACE: _READERS | {"statistics", "index", "constraint"},
    Effect.HIDE: _READERS | _GENERATED | {"trigger", "foreign key"},
    Effect.DROP_COLUMN: _READERS | _GENERATED | {"trigger", "foreign key"},
    Effect.ARCHIVE_COLUMN: _READERS | _GENERATED | {"trigger", "foreign key"},
    Effect.RECREATE: _READERS | _GENERATED | {"trigger"},
}
"""Kinds of objects that may not read a column for this to happen to it."""

_TABLES: Mapping[Effect, frozenset[str]] = {
    Effect.HIDE_TABLE: _READERS - {"publication"} | {"foreign key"},
    Effect.DROP_TABLE: _READERS - {"publication"} | {"foreign key"},
    Effect.ARCHIVE_TABLE: _READERS - {"publication"} | {"foreign key"},
    Effect.REBUILD: _READERS | {"statistics"},
}
"""Kinds of objects that may not read the table."""

_ROWS: Mapping[Effect, frozenset[str]] = {
    Effect.RETYPE: frozenset(["column"]),
    Effect.RECREATE: frozenset(["column"]),
    Effect.REWRITE: frozenset(["column"]),
    Effect.REPLACE: _VIEWS | {"column"},
    Effect.HIDE: _VIEWS | {"column"},
    Effect.HIDE_TABLE: _READERS | {"column", "type"},
    Effect.DROP_TABLE: _READERS | {"column", "type"},
    Effect.ARCHIVE_TABLE: _READERS | {"column", "type"},
    Effect.REBUILD: _READERS | {"column", "type"},
}
"""Kinds of objects that may not use whole rows or the row type."""

_DROPS_COLUMN = frozenset([Effect.DROP_COLUMN, Effect.ARCHIVE_COLUMN])
_COLUMN_CHANGES = _DROPS_COLUMN | {
    Effect.RETYPE,
    Effect.REPLACE,
    Effect.HIDE,
    Effect.RENAME_COLUMN,
}
_GONE = _DROPS_COLUMN | {Effect.DROP_TABLE, Effect.ARCHIVE_TABLE, Effect.DROP_SEQUENCE}
_UNSAID = _DROPS_COLUMN | {
    Effect.HIDE,
    Effect.RENAME_COLUMN,
    Effect.HIDE_TABLE,
    Effect.DROP_TABLE,
    Effect.ARCHIVE_TABLE,
    Effect.RENAME_TABLE,
}
"""The effects that make a text fail which names the column or table."""

_RENAMES = frozenset([Effect.RENAME_COLUMN, Effect.RENAME_TABLE])
_ARCHIVES = frozenset([Effect.ARCHIVE_COLUMN, Effect.ARCHIVE_TABLE])
_OTHER_NAMES = frozenset([Effect.REPLACE, Effect.HIDE, Effect.REBUILD])
"""What brings names to the publisher that no subscriber knows, though Django's form would not."""

_REPLICATED = frozenset(["published", "all published", "schema published", "subscribed"])
"""How a publication or subscription depends on a table."""


def _collision(touch: Touch, found: Dependent, context: Context) -> Collision | None:
    if found.via in ("text", "trigger"):
        return _named_in_text(touch, found)
    if found.via in _REPLICATED:
        return _replicated(touch, found, context)
    if not _blocks(touch, found, context):
        return None
    return Collision(_words(touch, found), _remedy(touch, found), found)


def _blocks(touch: Touch, found: Dependent, context: Context) -> bool:
    effect, table = touch.effect, must_have(context.graph, touch.table)
    shared = not set(touch.columns).isdisjoint(found.columns)
    read = shared or not found.columns or not touch.columns
    if found.via == "key":
        return effect is Effect.DROP_KEY and touch.key == found.through
    if found.via == "sequence":
        return read and (effect in _GONE or _owns_sequence(touch, table))
    if found.via == "row":
        if found.kind == "trigger":
            return found.own and _cannot_be_made_again(touch, found, table)
        return found.kind in _ROWS.get(effect, ())
    if found.via == "heir":
        alone = effect in _TABLES or effect is Effect.ARCHIVE_COLUMN
        return effect is Effect.REBUILD or (found.kind == "table" and alone)
    if found.via == "parent":
        return effect is Effect.REBUILD or (effect in _COLUMN_CHANGES and read)
    if found.via == "typed":
        return effect in _COLUMN_CHANGES
    if touch.columns:
        return shared and _reading(touch, found)
    if effect is Effect.REBUILD and found.kind == "foreign key":
        return found.holder is None
    carried = found.own and (found.kind != "rule" or effect is not Effect.REBUILD)
    return found.kind in _TABLES.get(effect, ()) and (not carried or found.kind == "statistics")


def _reading(touch: Touch, found: Dependent) -> bool:
    """An object that reads the column. Triggers of the table itself are made again with it; what
    depends on a partition cannot be carried over."""
    if found.kind == "trigger" and touch.effect in (Effect.RETYPE, Effect.REPLACE):
        return not found.own
    if found.kind == "policy" and found.own:
        return touch.effect is Effect.DROP_COLUMN
    if found.kind == "foreign key" and touch.effect is Effect.REPLACE:
        return found.holder is None
    return found.kind in _COLUMNS.get(touch.effect, ())


def _owns_sequence(touch: Touch, table: Table) -> bool:
    """The sequence of an identity goes with the identity."""
    if touch.effect not in (Effect.HIDE, Effect.REPLACE, Effect.REBUILD):
        return False
    names = touch.columns or table.column_names
    columns = [column for name in names if (column := table.column(name))]
    return any(column.identity in ("always", "by default") for column in columns)


def _cannot_be_made_again(touch: Touch, found: Dependent, table: Table) -> bool:
    """Would PostgreSQL refuse to recreate a trigger of the table that is dropped with the column? A
    new table gets it before its generated columns, unless its key has one of these."""
    late = [trigger for trigger in whole_row_triggers(table) if trigger.name == found.through]
    if touch.effect is Effect.REBUILD:
        keys = (*((table.primary_key,) if table.primary_key else ()), *table.uniques)
        names = {name for key in keys for name in key.columns}
        return bool(late) and any(c.generated and c.name in names for c in table.columns)
    if touch.effect not in (Effect.RETYPE, Effect.REPLACE):
        return False
    return any(trigger in late for name in touch.columns for trigger in triggers_on(table, name))


def _named_in_text(touch: Touch, found: Dependent) -> Collision | None:
    if touch.effect not in _UNSAID:
        return None
    named = [name for name in touch.columns if name in found.columns]
    if touch.columns and not named:
        return None
    things = [f"{touch.table}.{name}" for name in named] or [str(touch.table)]
    how = "runs in a trigger of the table and" if found.via == "trigger" else "may mean another; it"
    what = f"{found.kind} {found.name} names {', '.join(things)} in its text ({how} is not changed)"
    remedy = "look at it: it fails when it runs, if it means this one"
    return Collision(what, remedy, found, blocked=False, reason="functions_name_it")


# --- logical replication -------------------------------------------------------------------------


def _replicated(touch: Touch, found: Dependent, context: Context) -> Collision | None:
    """A subscriber knows tables and columns by name. What Django's own form of the change would do
    to it as well is shown; what only ours does is refused if a slot shows that a subscriber
    exists."""
    if touch.columns and found.columns and set(touch.columns).isdisjoint(found.columns):
        return None
    if found.via == "subscribed":
        return _received(touch, found)
    everything = found.via == "all published"  # the archive and the copy of a table too
    if must_have(context.graph, touch.table).replicated and (
        touch.effect is Effect.RETYPE or (touch.effect is Effect.ARCHIVE_COLUMN and not everything)
    ):
        return _survived(touch, found)
    ours = touch.effect in _OTHER_NAMES
    if everything:
        ours = ours or touch.effect in _ARCHIVES
    if not ours and touch.effect not in _RENAMES:
        return None
    what = f"publication {found.name} sends {_target(touch)} to subscribers ({_known(found)})"
    leaves = touch.effect is Effect.REBUILD and found.via == "published"
    blocked = leaves or (ours and bool(found.more))
    reason = "dependent_objects" if blocked else "stops_subscribers"
    return Collision(what, _for_subscribers(touch, blocked), found, blocked, reason)


def _survived(touch: Touch, found: Dependent) -> Collision:
    """A form of the change that creates no new name on the publisher."""
    what = f"publication {found.name} sends {_target(touch)} to subscribers ({_known(found)})"
    remedy = "they continue: the step adds no column that they do not have"
    return Collision(what, remedy, found, blocked=False, reason="replicated_table")


def _received(touch: Touch, found: Dependent) -> Collision | None:
    """The table of a subscriber, which receives the names of the publisher."""
    if touch.effect not in _UNSAID | {Effect.REBUILD}:
        return None
    what = f"subscription {found.name} writes to {_target(touch)}"
    if touch.effect is Effect.REBUILD:
        remedy = "it would skip the new table: disable and drop the subscription first"
        return Collision(what, remedy, found)
    remedy = "it stops at the name that is missing, until the publisher has the same change"
    return Collision(what, remedy, found, blocked=False, reason="stops_subscribers")


def _known(publication: Dependent) -> str:
    return "; ".join(publication.more) or "no slot: no subscriber is known"


def _for_subscribers(touch: Touch, blocked: bool) -> str:
    if not blocked:
        return "a subscriber stops until its table has the new names"
    if touch.effect is Effect.HIDE:
        return (
            "they would stop at its hidden name: write archiveColumn or dropColumn in its place "
            "(zanith_generate --drop archive), or take the table out of the publication first"
        )
    if touch.effect in _ARCHIVES:
        return (
            "they would stop at the table of the archive, which it sends too: write dropColumn or "
            "dropTable in its place, or end the publication of all tables first"
        )
    return (
        "they would stop at the names of the change: write in_place=True into an alterColumnType, "
        "or take the table out of the publication first"
    )


# --- words ---------------------------------------------------------------------------------------

_WORDS: Mapping[Effect, str] = {
    Effect.RETYPE: "changes",
    Effect.REPLACE: "changes",
    Effect.HIDE: "hides",
    Effect.DROP_COLUMN: "drops",
    Effect.ARCHIVE_COLUMN: "drops",
    Effect.RECREATE: "drops and adds again",
    Effect.REWRITE: "rewrites",
    Effect.RENAME_COLUMN: "renames",
    Effect.DROP_SEQUENCE: "takes the sequence from",
    Effect.DROP_KEY: "drops a key of",
    Effect.HIDE_TABLE: "moves away",
    Effect.DROP_TABLE: "drops",
    Effect.ARCHIVE_TABLE: "drops",
    Effect.RENAME_TABLE: "renames",
    Effect.REBUILD: "replaces",
}

_VIA: Mapping[str, str] = {
    "": "depends on",
    "row": "uses whole rows of",
    "key": "needs a key of",
    "sequence": "draws from the sequence of",
    "heir": "inherits from",
    "parent": "hands down",
    "typed": "makes the columns of",
}


def _target(touch: Touch) -> str:
    return ", ".join(f"{touch.table}.{name}" for name in touch.columns) or str(touch.table)


def _words(touch: Touch, found: Dependent) -> str:
    more = f" (and {', '.join(found.more)} on it)" if found.more else ""
    of = f" of {found.holder}" if found.kind == "foreign key" and found.holder else ""
    depends = f"{found.kind} {found.name}{of} {_VIA[found.via]} {_target(touch)}{more}"
    return f"{depends}, which the step {_WORDS[touch.effect]}"


def _remedy(touch: Touch, found: Dependent) -> str:
    if found.via == "parent":
        return f"change {found.name}: its children follow"
    if found.via == "heir":
        return f"end that first: ALTER TABLE {found.name} NO INHERIT …"
    if found.via == "typed":
        return f"end that first: ALTER TABLE {touch.table} NOT OF"
    if found.kind in ("column", "type", "generated column", "partition key"):
        return f"change or drop that {found.kind} first"
    if found.kind == "publication":
        return f"take the column out of it first: ALTER PUBLICATION {found.name} SET TABLE …"
    stays = (Effect.RETYPE, Effect.REPLACE, Effect.REBUILD, Effect.DROP_KEY, Effect.RECREATE)
    if touch.effect in stays and found.kind != "foreign key":
        return "drop it in a rawSql step before this one, and create it again in one after it"
    return f"change or drop that {found.kind} first"

"""Equality for Django: rewrites a live graph in the terms of the declared one. It applies only
between declared and live, never between two states of the models. Differences in PostgreSQL's
behaviour stay differences; an object that no model declares is reported as an `Extra`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from zanith_django.postgres.names import TableName
from zanith_django.schema.canonical import (
    GENERATORS,
    canonical,
    canonical_default,
    canonical_key,
    enforces,
    is_like,
    is_wider,
    settled_sequence,
)
from zanith_django.schema.findings import Comparison, Extra, Note
from zanith_django.schema.graph import LONE_SEQUENCE, Column, Index, SchemaGraph, Table
from zanith_django.schema.parts import (
    COLUMNS,
    FOREIGN_KEYS,
    INDEXES,
    NAMED,
    PRIMARY_KEY,
    TABLE_SETTINGS,
    UNIQUES,
    Part,
    Setting,
)

_SEQUENCE: Final = COLUMNS.setting("sequence")


@dataclass(frozen=True, slots=True)
class DeclaredFacts:
    """Facts that a declared graph does not contain: who chose a name, a key, a table.

    `named` holds (table, name) of every constraint, index and policy that is declared in `Meta`:
    these are compared by name, all others by structure. (An index of `Meta.indexes` without a name
    belongs here too: Django writes the name it chose into the migration.)
    `automatic` holds (table, column) of every automatic primary key and of every column of a
    foreign key (many-to-many tables too) that points at one, directly or over other such columns.
    `many_to_many` are the tables that Django makes for a ManyToManyField without `through`.
    `lost` holds (table, name) of parts that no migration creates again after a column of theirs,
    or one that they point at, was removed: Django's `migrate` leaves them out.
    `followed` holds (table, constraint or index) as renamed columns left them, where the models say
    otherwise. `left` holds (table, column) of relations that kept their type when what they pointed
    at went.
    """

    named: frozenset[tuple[TableName, str]] = frozenset()
    automatic: frozenset[tuple[TableName, str]] = frozenset()
    many_to_many: frozenset[TableName] = frozenset()
    lost: frozenset[tuple[TableName, str]] = frozenset()
    followed: frozenset[tuple[TableName, Any]] = frozenset()
    left: frozenset[tuple[TableName, str]] = frozenset()


def as_declared(
    live: SchemaGraph, declared: SchemaGraph, facts: DeclaredFacts | None = None
) -> Comparison:
    """Rewrite `live` so that it equals `declared` wherever Django considers the two equal."""
    known = facts or DeclaredFacts()
    views = [
        _TableView(live, wanted, found, known)
        for wanted in declared.tables
        if (found := live.table(wanted.name)) is not None
    ]
    rewritten = dataclasses.replace(
        live,
        tables=tuple(view.rewritten() for view in views),
        extensions=_of_names(live.extensions, declared.extensions),
        collations=_of_names(live.collations, declared.collations),
        schemas=tuple(name for name in live.schemas if name in declared.schemas),
    )
    return Comparison(
        rewritten,
        tuple(extra for view in views for extra in view.extras),
        tuple(note for view in views for note in view.notes),
    )


_Named = TypeVar("_Named", bound=Any)


def _of_names(items: Iterable[_Named], wanted: Iterable[Any]) -> tuple[_Named, ...]:
    names = {item.name for item in wanted}
    return tuple(item for item in items if item.name in names)


def beyond_operations(before: SchemaGraph, after: SchemaGraph) -> Iterator[Extra]:
    """Differences of common tables that no operation changes: triggers, tablespaces, …"""
    for table in before.tables:
        other = after.table(table.name)
        if other is None or other == table:
            continue
        for setting in (setting for setting in TABLE_SETTINGS if setting.read_only):
            value = getattr(other, setting.name)
            if getattr(table, setting.name) != value:
                yield Extra(table.name, setting=setting, item=value)
        for part in (part for part in NAMED if part.read_only):
            changed = {*part.of(table)} ^ {*part.of(other)}
            for name in sorted({item.name for item in changed}):
                yield Extra(table.name, part, name=name)
        for column in table.columns:
            twin = other.column(column.name)
            if twin is not None and twin.sequence != column.sequence:
                yield Extra(table.name, COLUMNS, _SEQUENCE, column.name, twin)


_LOST = (
    "does not exist: a migration removed a column of it and added the name again, and Django's "
    "migrate does not create it either; remove it from Meta, run makemigrations, put it back"
)
_FOLLOWED = (
    "has other columns than its model says: a migration renamed columns and left it as it was; "
    "remove it from Meta, run makemigrations, put it back"
)
_LOST_KEY = (
    "does not exist: a migration removed the column or the table that it points at, and Django's "
    "migrate does not create it again; alter the field to db_constraint=False in one migration "
    "and back in the next"
)
_LEFT = (
    "is {live}, not {declared}: a migration removed the column that it pointed at, and Django's "
    "migrate does not change its type; remove the field and add it again"
)


class _TableView:
    """Rewrites one live table in the terms of its declaration."""

    def __init__(
        self, graph: SchemaGraph, declared: Table, live: Table, facts: DeclaredFacts
    ) -> None:
        self.graph, self.declared, self.live, self.facts = graph, declared, live, facts
        self.name = declared.name
        self.extras: list[Extra] = []
        self.notes: list[Note] = []

    def rewritten(self) -> Table:
        if self.live == self.declared:
            return self.live
        changes: dict[str, Any] = {part.field: self.part(part) for part in NAMED}
        self.settle_unique_indexes(changes)
        self.settle_pattern_indexes(changes)
        changes["columns"] = tuple(self.columns())
        changes["primary_key"] = self.primary_key()
        changes |= self.options()
        for part in NAMED:
            pairs = changes[part.field]
            changes[part.field] = tuple(item for item, _ in self.kept(part, pairs))
        return dataclasses.replace(self.live, **changes)

    def extra(self, part: Part, item: Any, setting: Setting | None = None) -> None:
        self.extras.append(Extra(self.name, part, setting, item.name, item))

    def note(self, name: str, what: str, *, important: bool = False) -> None:
        self.notes.append(Note(self.name, name, what, important))

    # --- columns --------------------------------------------------------------------------------

    def columns(self) -> Iterator[Column]:
        for column in self.live.columns:
            wanted = self.declared.column(column.name)
            if wanted is None:
                self.extra(COLUMNS, column)
            else:
                yield self.column(column, wanted)

    def column(self, live: Column, wanted: Column) -> Column:
        if live == wanted:
            return live
        changes: dict[str, Any] = {}
        if LONE_SEQUENCE in (live.sequence, wanted.sequence):
            live = settled_sequence(live, wanted)
        changes |= self.spoken(COLUMNS, live, wanted)
        if live.identity in GENERATORS and wanted.identity in GENERATORS:
            changes["identity"] = wanted.identity
        if canonical_default(live) == canonical_default(wanted):
            changes["default"] = wanted.default
        if canonical(live.generated) == canonical(wanted.generated):
            changes["generated"] = wanted.generated
        if self.is_wider_key(live, wanted):
            changes["type"] = wanted.type
        elif (self.name, live.name) in self.facts.left:
            if live.type != wanted.type:
                what = _LEFT.format(live=live.type, declared=wanted.type)
                self.note(live.name, what, important=True)
            changes |= {"type": wanted.type, "collation": wanted.collation}
        return dataclasses.replace(live, **changes)

    def is_wider_key(self, live: Column, wanted: Column) -> bool:
        """Is this an automatic key that is wider live than declared, or a foreign key to one?

        A migration takes the size of keys from settings.DEFAULT_AUTO_FIELD, the registry from the
        application, so that `migrate` itself makes the two disagree (Django ticket 32674).
        """
        if (self.name, live.name) not in self.facts.automatic or not is_wider(live, wanted):
            return False
        target = self.target(live.name)
        return target is None or target.type == live.type

    def target(self, column: str) -> Column | None:
        """The live column that a declared foreign key of one column points at."""
        for key in self.declared.foreign_keys:
            if key.columns == (column,):
                table = self.graph.table(key.references)
                return table.column(key.referenced_columns[0]) if table else None
        return None

    # --- constraints, indexes, policies, triggers -----------------------------------------------

    def primary_key(self) -> Any:
        live, wanted = self.live.primary_key, self.declared.primary_key
        if live is None or wanted is None or (self.name, wanted.name) in self.facts.named:
            return live
        spoken = {
            setting.name: setting.silent
            for setting in PRIMARY_KEY.settings
            if getattr(wanted, setting.name) == setting.silent
        }
        if dataclasses.replace(live, name=wanted.name, **spoken) != wanted:
            return live
        self.spoken(PRIMARY_KEY, live, wanted)
        return wanted

    def part(self, part: Part) -> list[tuple[Any, Any]]:
        """Pairs of live and declared objects of one kind; None if one side has no match."""
        live, declared = part.of(self.live), part.of(self.declared)
        if live == declared:
            return [(item, item) for item in live]
        pairs = _Pairs(live, declared)
        whole = self.whole(part)
        pairs.match(lambda item: item)
        pairs.match(lambda item: (item.name, whole(item)))
        pairs.match(whole, self.is_unnamed)
        pairs.match(lambda item: item.name)
        # A name in Meta that is missing while another name holds the same: it was renamed.
        pairs.match(whole)
        if alike := part.changeable:
            pairs.match(lambda item: dataclasses.replace(whole(item), **alike), self.is_unnamed)
        return pairs.all()

    def is_unnamed(self, item: Any) -> bool:
        return (self.name, item.name) not in self.facts.named

    def whole(self, part: Part) -> Callable[[Any], Any]:
        """The value by which two objects of this kind differ, without names and settings that the
        model does not name."""
        unordered = part is UNIQUES and self.name in self.facts.many_to_many
        silent = {setting.name: setting.silent for setting in part.settings}

        def value(item: Any) -> Any:
            texts: dict[str, Any] = {name: canonical(getattr(item, name)) for name in part.texts}
            if unordered:
                texts["columns"] = tuple(sorted(item.columns))
            if part is INDEXES:
                texts["keys"] = tuple(map(canonical_key, item.keys))
            return dataclasses.replace(item, **{"name": "", **silent, **texts})

        return value

    def kept(self, part: Part, pairs: list[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """The pairs that stay in the graph; what no model names becomes an extra."""
        whole = self.whole(part)
        for live, wanted in pairs:
            if live == wanted:
                yield wanted, wanted
            elif wanted is None:
                self.extra(part, live)
            elif live is None:
                if (self.name, wanted.name) in self.facts.lost:
                    words = _LOST_KEY if part is FOREIGN_KEYS else _LOST
                    self.note(wanted.name, words, important=True)
                    yield wanted, wanted
            elif self.is_followed(part, live):
                self.note(wanted.name, _FOLLOWED, important=True)
                yield wanted, wanted
            else:
                spoken = self.spoken(part, live, wanted)
                same = whole(live) == whole(wanted)
                if same and (live.name == wanted.name or self.is_unnamed(wanted)):
                    settled = dataclasses.replace(wanted, **spoken)
                    named = dataclasses.replace(settled, name=live.name)
                    yield (wanted if settled == wanted else named), wanted
                else:
                    yield dataclasses.replace(live, **spoken), wanted

    def is_followed(self, part: Part, live: Any) -> bool:
        whole = self.whole(part)
        known = (item for table, item in self.facts.followed if table == self.name)
        return any(type(item) is type(live) and whole(item) == whole(live) for item in known)

    def spoken(self, part: Part, live: Any, wanted: Any) -> dict[str, Any]:
        """The live settings of an object; those that its model does not name become extras."""
        settings = {}
        for setting in part.settings:
            value = getattr(live, setting.name)
            if value != setting.silent and getattr(wanted, setting.name) == setting.silent:
                self.extra(part, live, setting)
                value = setting.silent
            settings[setting.name] = value
        return settings

    def settle_unique_indexes(self, changes: dict[str, Any]) -> None:
        """Counts a plain unique index as a unique constraint that has no name in Meta."""
        for place, (live, wanted) in enumerate(changes["uniques"]):
            if live is not None or not self.is_unnamed(wanted):
                continue
            for pair in changes["indexes"]:
                if pair[1] is None and enforces(pair[0], wanted):
                    self.note(pair[0].name, "is a unique index in the place of a constraint")
                    changes["uniques"][place] = (wanted, wanted)
                    changes["indexes"].remove(pair)
                    break

    def settle_pattern_indexes(self, changes: dict[str, Any]) -> None:
        """Ignores a missing or additional `_like` index: it speeds up LIKE and changes no
        result."""
        kept = []
        for live, wanted in changes["indexes"]:
            if live is None and is_like(wanted) and self.may_lack(wanted):
                self.note(wanted.name, "is missing: LIKE will not use an index")
                kept.append((wanted, wanted))
            elif wanted is None and is_like(live):
                self.note(live.name, "exists, though no field asks for it")
            else:
                kept.append((live, wanted))
        changes["indexes"] = kept

    def may_lack(self, like: Index) -> bool:
        """The column exists and the model does not name the index."""
        return self.is_unnamed(like) and self.live.column(like.keys[0].column) is not None

    # --- the table itself -----------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        changes = {}
        for setting in TABLE_SETTINGS:
            live, wanted = (getattr(each, setting.name) for each in (self.live, self.declared))
            if live != wanted and wanted == setting.silent:
                self.extras.append(Extra(self.name, setting=setting, item=live))
                changes[setting.name] = setting.silent
        return changes


class _Pairs:
    """Pairs live and declared objects of one kind, by one key after another."""

    def __init__(self, live: Iterable[Any], declared: Iterable[Any]) -> None:
        self.live, self.declared = list(live), list(declared)
        self.found: list[tuple[Any, Any]] = []

    def match(
        self, key: Callable[[Any], Any], only: Callable[[Any], bool] = lambda item: True
    ) -> None:
        """Pairs objects with the same `key`; of the declared objects only those that `only`
        accepts."""
        if not self.live or not self.declared:
            return
        waiting: dict[Any, list[Any]] = {}
        for item in self.live:
            waiting.setdefault(key(item), []).append(item)
        left = []
        for wanted in self.declared:
            candidates = waiting.get(key(wanted)) if only(wanted) else None
            if candidates:
                self.found.append((candidates.pop(0), wanted))
            else:
                left.append(wanted)
        self.declared = left
        self.live = [item for items in waiting.values() for item in items]

    def all(self) -> list[tuple[Any, Any]]:
        alone = [(item, None) for item in self.live]
        missing = [(None, item) for item in self.declared]
        return [*self.found, *alone, *missing]

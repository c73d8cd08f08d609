"""One table before and after: which of its columns and parts stay, are renamed, are changed or
dropped."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from zanith_django.operations.dependents import containing, mentions
from zanith_django.operations.online.rewrites import INTEGERS, rewrite_needed
from zanith_django.postgres.names import TableName
from zanith_django.schema.encoding import stored_fields
from zanith_django.schema.graph import Column, Policy, SchemaGraph, Table
from zanith_django.schema.parts import (
    INDEXES,
    PARTS,
    POLICIES,
    PRIMARY_KEY,
    UNIQUES,
    Part,
    index_names,
    part_of,
)


def stays(old: Any, new: Any) -> bool:
    """Is it the same object, except for properties that are altered in place (comment, options of
    an index, time of a foreign key's check, validity)?"""
    return old.name == new.name and is_alike(old, new)


def is_alike(old: Any, new: Any) -> bool:
    """Like `stays`, but the names may differ."""
    read = _lasting(old.__class__)
    return bool(read(old) == read(new)) and (_was_checked(old) == _was_checked(new) or new.valid)


def only_validated(old: Any, new: Any) -> bool:
    """Is it the same constraint, not valid before and valid now?"""
    return not _was_checked(old) and _was_checked(new) and stays(old, new)


def _was_checked(item: Any) -> bool:
    """Is it valid? Only for constraints: an invalid index must be rebuilt."""
    return not part_of(item).validated or item.valid


@functools.cache
def _lasting(kind: type) -> Callable[[Any], Any]:
    """A function that reads the fields by which two objects of this class are the same, without
    their names."""
    part = next(part for part in PARTS if part.item is kind)
    names = [name for name, _, _ in stored_fields(kind)]
    return operator.attrgetter(*(n for n in names if n not in {"name", *part.altered}))


def is_rebuilt(old: Column, new: Column) -> bool:
    """Is it a generated column whose values must be recomputed?"""
    fields = ("generated", "virtual", "type", "collation")
    return bool(old.generated and new.generated) and any(
        getattr(old, field) != getattr(new, field) for field in fields
    )


class Pair:
    """A table that both graphs have: the current one and the wanted one."""

    def __init__(self, current: Table, wanted: Table, *, soft: bool) -> None:
        self.current, self.wanted, self.soft = current, wanted, soft
        self.name: TableName = wanted.name
        self.columns: list[tuple[Column, Column]] = [
            (old, new) for new in wanted.columns if (old := current.column(new.name))
        ]

    # --- columns --------------------------------------------------------------------------------

    @functools.cached_property
    def new_columns(self) -> list[Column]:
        return [column for column in self.wanted.columns if not self.current.column(column.name)]

    @functools.cached_property
    def gone_columns(self) -> list[Column]:
        return [column for column in self.current.columns if not self.wanted.column(column.name)]

    @functools.cached_property
    def retyped(self) -> list[tuple[Column, Column]]:
        return [
            (old, new)
            for old, new in self.columns
            if (old.type, old.collation) != (new.type, new.collation)
            and not (old.generated or new.generated)
        ]

    @functools.cached_property
    def renewed(self) -> list[tuple[Column, Column]]:
        """Generated columns that change together with the type of a column that they read: they are
        dropped before that change and added after it."""
        names = [old.name for old, _ in self.retyped]
        return [
            (old, new)
            for old, new in self.columns
            if is_rebuilt(old, new)
            and any(mentions(old.generated, n) or mentions(new.generated, n) for n in names)
        ]

    @functools.cached_property
    def replaced(self) -> set[str]:
        """Plain columns that generated ones of the same name replace."""
        return {old.name for old, new in self.columns if new.generated and not old.generated}

    @functools.cached_property
    def hard_gone(self) -> list[Column]:
        """Columns that are dropped permanently, also generated ones, which lose no data."""
        renewed = [old for old, _ in self.renewed]
        gone = [column for column in self.gone_columns if column.generated or not self.soft]
        return [*renewed, *gone]

    # --- constraints, indexes, policies ---------------------------------------------------------

    def renamed(self, part: Part) -> list[tuple[Any, Any]]:
        """The items of a part that changed nothing but their names. `altered_policies` has those
        of policies."""
        if not part.renamed:
            return []
        if part is PRIMARY_KEY:
            return self._renamed_key()
        current, wanted = part.of(self.current), part.of(self.wanted)
        kept = {item.name for item in current} & {item.name for item in wanted}
        gone = [item for item in current if item.name not in kept | self._destroyed(part)]
        pairs = []
        for new in wanted:
            same = (item for item in gone if is_alike(item, new))
            old = None if new.name in kept else next(same, None)
            if old is not None:
                gone.remove(old)
                pairs.append((old, new))
        return pairs

    def _renamed_key(self) -> list[tuple[Any, Any]]:
        old, new = self.current.primary_key, self.wanted.primary_key
        if old is None or new is None or old.name == new.name:
            return []
        return [(old, new)] if same_key(old, new) else []

    def kept(self, part: Part) -> Iterator[tuple[Any, Any]]:
        """(current, wanted) of the items of a part that have the same name and stay."""
        wanted = {item.name: item for item in part.of(self.wanted)}
        for item in part.of(self.current):
            new = wanted.get(item.name)
            if new is not None and stays(item, new):
                yield item, new

    def leaving(self, part: Part) -> Iterator[Any]:
        """Items of a part that must be dropped, carried ones included."""
        destroyed = self._destroyed(part)
        kept = {old.name for old, _ in self.kept(part)} - destroyed
        kept |= {old.name for old, _ in self.renamed(part)}
        return (item for item in part.of(self.current) if item.name not in kept)

    def _destroyed(self, part: Part) -> set[str]:
        """Names of the objects that DROP COLUMN would silently drop too."""
        return {item.name for column in self.hard_gone for item in self._containing(column, part)}

    def _containing(self, column: Column, part: Part) -> tuple[Any, ...]:
        return containing(part, self.current, column.name)

    def carried(self, part: Part) -> set[str]:
        """Names of items that a soft drop or an archive of their column drops and records."""
        if not (self.soft and part.carried):
            return set()
        gone = [column for column in self.gone_columns if not column.generated]
        names = {item.name for column in gone for item in self._containing(column, part)}
        return names - self._destroyed(part) - self._reworded(part)

    def _reworded(self, part: Part) -> set[str]:
        """Names of the items with a text that reads a column whose type changes. PostgreSQL adds
        casts to that text, and an item that was recorded then would be restored with them."""
        if not part.texts:
            return set()
        return {item.name for old, _ in self.retyped for item in self._containing(old, part)}

    def outlasting(self, part: Part) -> set[str]:
        """Names of items that leave but can stay in force until their replacement exists, because
        no column that they read changes meanwhile."""
        changing = [old for old, new in self.columns if _values_may_change(old, new)]
        changing += [column for column in self.hard_gone if column.generated]
        disturbed = {item.name for old in changing for item in self._containing(old, part)}
        valid = {item.name for item in self.leaving(part) if getattr(item, "valid", True)}
        return valid - disturbed

    def altered_policies(self) -> list[tuple[Policy, Policy]]:
        """(current, wanted) of the policies that can change in place: those with the same name, and
        those that change only their name."""
        wanted = {policy.name: policy for policy in self.wanted.policies}
        known = {policy.name for policy in self.current.policies}
        fresh = [policy for policy in self.wanted.policies if policy.name not in known]
        touched, pairs = self._touched(), []
        for old in self.current.policies:
            same = (n for n in fresh if is_alike(old, n))
            new = wanted.get(old.name) or next(same, None)
            if new is None or stays(old, new) or old.name in touched:
                continue
            if new in fresh:
                fresh.remove(new)
            pairs.append((old, new))
        return pairs

    def policies_with(self, column: str) -> list[tuple[Policy, Policy]]:
        """(current, wanted) of the policies that change together with the type of this column and
        of no other: PostgreSQL rebuilds them in any case."""
        wanted = {policy.name: policy for policy in self.wanted.policies}
        others = self._in_the_way(column)
        pairs = []
        for old in containing(POLICIES, self.current, column):
            new = wanted.get(old.name)
            if new is None or stays(old, new):
                continue
            if not any(self._reads(policy, name) for policy in (old, new) for name in others):
                pairs.append((old, new))
        return pairs

    def _in_the_way(self, column: str) -> list[str]:
        """Columns that change at another moment than this one."""
        names = [old.name for old, _ in self.retyped if old.name != column]
        names += [item.name for item in (*self.hard_gone, *self.new_columns) if item.generated]
        return [*names, *self.replaced]

    def _reads(self, policy: Policy, column: str) -> bool:
        texts = (policy.using, policy.check)
        return any(mentions(text, column, self.name.name) for text in texts)

    def _touched(self) -> set[str]:
        """Names of the policies that block a change of some column."""
        names = [column.name for column in self.hard_gone if column.generated]
        names += [*self.replaced, *(old.name for old, _ in self.retyped)]
        found = (containing(POLICIES, self.current, name) for name in names)
        return {policy.name for policies in found for policy in policies}

    # --- keys that foreign keys rest on ---------------------------------------------------------

    def loses_key(self, columns: tuple[str, ...]) -> bool:
        """Is a key of exactly these columns dropped, also temporarily? PostgreSQL rebuilds foreign
        keys if the type of their own columns changes, and refuses the change of a column that their
        key only includes.
        """
        retyped = {old.name for old, _ in self.retyped}
        down = {column.name for column in self.hard_gone} | self.replaced
        down |= {old.name for old, new in self.columns if is_rebuilt(old, new)}
        old, new = self.current.primary_key, self.wanted.primary_key
        leaving = {item.name for part in (UNIQUES, INDEXES) for item in self.leaving(part)}
        if old and not same_key(old, new):
            leaving.add(old.name)
        return any(
            name in leaving
            or not down.isdisjoint((*columns, *include))
            or not retyped.isdisjoint(include)
            for name, include in _keys_of(self.current, columns)
        )

    def breaks_comparison(self, columns: Iterable[str]) -> bool:
        """Do columns of a foreign key change to a type that PostgreSQL cannot compare with the
        other side?"""
        names = set(columns)
        return any(
            rewrite_needed(old, new) and not {old.type, new.type} <= INTEGERS
            for old, new in self.retyped
            if old.name in names
        )


def _values_may_change(old: Column, new: Column) -> bool:
    """May the change rewrite values, or fill missing ones?"""
    fields = ("type", "collation", "generated", "virtual", "nullable")
    return any(getattr(old, field) != getattr(new, field) for field in fields)


def same_key(old: Any, new: Any) -> bool:
    """Is it the same primary key? Names may differ."""
    return new is not None and is_alike(old, new)


def has_key(table: Table, columns: Iterable[str]) -> bool:
    """Can a foreign key reference these columns of the table?"""
    return any(_keys_of(table, columns))


def key_names(table: Table, columns: Iterable[str]) -> set[str]:
    """Names of the keys on which a foreign key to these columns may depend."""
    return {name for name, _ in _keys_of(table, columns)}


def _keys_of(table: Table, columns: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, included columns) of the keys on which a foreign key to `columns` may depend."""
    wanted = set(columns)
    keys: list[Any] = [table.primary_key] if table.primary_key else []
    for key in (*keys, *table.uniques):
        if set(key.columns) == wanted:
            yield key.name, key.include
    for index in table.indexes:
        names = {key.column for key in index.keys}
        if index.unique and index.valid and not index.predicate and names == wanted:
            yield index.name, index.include


def relation_names(graph: SchemaGraph) -> set[TableName]:
    """Names of the tables and indexes of a graph: no two of a schema may be equal."""
    indexes = (
        TableName(table.name.schema, name) for table in graph.tables for name in index_names(table)
    )
    return {*graph.table_names, *indexes}

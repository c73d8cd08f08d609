"""The part of a difference that drops objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zanith_django import operations as ops
from zanith_django.diff.additions import by_dependency
from zanith_django.diff.differ import ARCHIVE, HARD, SOFT, Differ
from zanith_django.diff.pairs import Pair, key_names, same_key
from zanith_django.diff.renames import name_aside
from zanith_django.diff.row_security import altered_policies
from zanith_django.operations.base import Operation
from zanith_django.operations.dependents import in_primary_key
from zanith_django.operations.parts import dropping
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, Table
from zanith_django.schema.parts import (
    BUILT,
    FOREIGN_KEYS,
    INDEXES,
    PARTS,
    POLICIES,
    UNIQUES,
    Part,
    constraint_names,
    index_names,
)

_BUILT = (
    *(part for part in reversed(BUILT) if part.is_constraint),
    *(part for part in BUILT if not part.is_constraint),
)


def dropped_foreign_keys(d: Differ) -> Iterator[Operation]:
    """Foreign keys to drop before their replacement exists, and those that depend on a key or type
    that changes."""
    pairs = {pair.name: pair for pair in d.pairs()}
    early = set(_tables_in_the_way(d))
    if not pairs and not early:
        return
    for table in d.now.tables:
        early_here = early if table.name in d.after else set()
        pair = pairs.get(table.name)
        leaving = _leaving_foreign_keys(d, pair) if pair else set()
        for key in table.foreign_keys:
            blocks = _blocks(key, pair, pairs.get(key.references)) or key.references in early_here
            if blocks or key.name in leaving:
                yield dropping(table.name, key, d.label(table.name))


def _leaving_foreign_keys(d: Differ, pair: Pair) -> set[str]:
    leaving = {key.name for key in pair.leaving(FOREIGN_KEYS)}
    carried = pair.carried(FOREIGN_KEYS) - _needed_names(d, pair, FOREIGN_KEYS)
    return leaving - carried - _outlasting(d, pair, FOREIGN_KEYS)


def _blocks(key: ForeignKey, own: Pair | None, target: Pair | None) -> bool:
    """Does the foreign key block a change of its own or of its referenced columns?"""
    if own and own.breaks_comparison(key.columns):
        return True
    columns = key.referenced_columns
    return target is not None and (target.loses_key(columns) or target.breaks_comparison(columns))


def dropped_parts(d: Differ) -> Iterator[Operation]:
    """Drops of parts that block a change or hold a wanted name."""
    for pair in d.pairs():
        for part in (POLICIES, *_BUILT):
            carried = pair.carried(part) - _needed_names(d, pair, part) - _ends(d, pair, part)
            if part is POLICIES:
                stays = carried | altered_policies(pair)
            else:
                stays = carried | _outlasting(d, pair, part)
            for item in pair.leaving(part):
                if item.name not in stays:
                    yield dropping(pair.name, item, d.label(pair.name))


def _outlasting(d: Differ, pair: Pair, part: Part) -> set[str]:
    """Names of parts that are dropped after their replacement exists, so that they stay in force if
    the replacement fails. The replacement is built under a temporary name and renamed."""
    if not (d.overlapping and part.renamed):
        return set()
    names = pair.outlasting(part) - _ends(d, pair, part) - _given_names(d, pair, part)
    if part is FOREIGN_KEYS:
        names -= {key.name for key in pair.current.foreign_keys if _end_changes(d, key)}
    return names


def _given_names(d: Differ, pair: Pair, part: Part) -> set[str]:
    """Names that a part of another table, a renamed part or the primary key gets: only a part that
    is built in this table can be renamed later."""
    given = {new.name for each in PARTS for _, new in pair.renamed(each)}
    if pair.wanted.primary_key:
        given.add(pair.wanted.primary_key.name)
    if part.owns_index:
        own = index_names(pair.wanted)
        given |= {
            item.name
            for item in part.of(pair.current)
            if TableName(pair.name.schema, item.name) in d.names_to_be and item.name not in own
        }
    return given


def _end_changes(d: Differ, key: ForeignKey) -> bool:
    """Do the referenced columns change?"""
    current, wanted = d.now.table(key.references), d.after.table(key.references)
    if current is None or wanted is None:
        return False
    return any(current.column(c) != wanted.column(c) for c in key.referenced_columns)


def replaced_parts(d: Differ) -> Iterator[Operation]:
    yield from _replaced(d, _BUILT)


def replaced_foreign_keys(d: Differ) -> Iterator[Operation]:
    yield from _replaced(d, (FOREIGN_KEYS,))


def _replaced(d: Differ, parts: Iterable[Part]) -> Iterator[Operation]:
    """Drops of parts whose replacement exists now."""
    for pair in d.pairs():
        for part in parts:
            carried = pair.carried(part) - _needed_names(d, pair, part)
            for item in pair.leaving(part):
                if item.name not in carried and item.name != name_aside(item.name):
                    yield dropping(pair.name, item, d.label(pair.name))


def _ends(d: Differ, pair: Pair, part: Part) -> set[str]:
    """Names of keys on which a new foreign key would depend if they were dropped later."""
    if part not in (UNIQUES, INDEXES):
        return set()
    ends = d.ends.get(pair.name, ())
    return {name for end in ends for name in key_names(pair.current, end)}


def primary_keys_in_the_way(d: Differ) -> Iterator[Operation]:
    """Primary keys whose name another object gets, and those with a generated column that is
    dropped early."""
    for pair in d.pairs():
        old, new = pair.current.primary_key, pair.wanted.primary_key
        if old is None:
            continue
        relation = TableName(pair.name.schema, old.name)
        named = relation in d.names_to_be or old.name in constraint_names(pair.wanted)
        renamed = not same_key(old, new) and (new is None or new.name != old.name)
        lost = any(c.generated and in_primary_key(pair.current, c.name) for c in pair.hard_gone)
        if lost or (renamed and named):
            yield ops.AlterPrimaryKey(table=pair.name, old=old, model=d.label(pair.name))


def _needed_names(d: Differ, pair: Pair, part: Part) -> set[str]:
    """Names of items of a table that another object gets: a later soft drop would be too late."""
    names = {item.name for item in part.of(pair.current)}
    needed = set()
    if part.is_constraint:
        needed |= names.intersection(constraint_names(pair.wanted))
    if part.owns_index:
        needed |= {name for name in names if TableName(pair.name.schema, name) in d.names_to_be}
    if part is POLICIES:
        needed |= names & {policy.name for policy in pair.wanted.policies}
    return needed


def dropped_generated(d: Differ) -> Iterator[Operation]:
    """Generated columns are dropped early: they depend on other columns, and lose no data."""
    for pair in d.pairs():
        for column in pair.hard_gone:
            if column.generated:
                yield ops.DropColumn(table=pair.name, column=column, model=d.label(pair.name))


def _tables_in_the_way(d: Differ) -> list[TableName]:
    """Dropped tables, if one of them has a name that another object gets."""
    gone = d.gone_tables()
    names = (
        TableName(table.name.schema, name)
        for table in gone
        for name in (table.name.name, *index_names(table))
    )
    return [table.name for table in gone] if any(n in d.names_to_be for n in names) else []


def tables_dropped_early(d: Differ) -> Iterator[Operation]:
    if _tables_in_the_way(d):
        yield from dropped_tables(d)


def dropped_columns(d: Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for column in pair.gone_columns:
            yield drop_column(d, d.current(pair.name), column)


def drop_column(d: Differ, table: Table, column: Column) -> Operation:
    label = d.label(table.name)
    if d.drop == SOFT:
        return ops.SoftDropColumn.of(table, column, label)
    if d.drop == ARCHIVE:
        return ops.ArchiveColumn.of(table, column, label)
    return ops.DropColumn(table=table.name, column=column, model=label)


def dropped_tables(d: Differ) -> Iterator[Operation]:
    """Dropped tables, those that reference others first; a key that closes a cycle is dropped
    before."""
    ordered = list(reversed(by_dependency(d.gone_tables())))
    earlier: set[TableName] = set()
    for table in ordered:
        for key in table.foreign_keys:
            if key.references in earlier:
                yield ops.DropForeignKey(table=table.name, foreign_key=key)
        earlier.add(table.name)
    kinds = {SOFT: ops.SoftDropTable, ARCHIVE: ops.ArchiveTable, HARD: ops.DropTable}
    for table in ordered:
        yield kinds[d.drop](table=d.current(table.name), model=d.label(table.name))

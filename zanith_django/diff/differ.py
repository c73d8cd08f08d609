"""Two graphs → the ordered operations that turn the first into the second."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import operator
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zanith_django import operations as ops
from zanith_django.diff.pairs import (
    CONSTRAINTS,
    OWNERS_OF_INDEXES,
    Pair,
    constraint_names,
    has_key,
    index_names,
    is_rebuilt,
    key_names,
    only_validated,
    relation_names,
    same_key,
)
from zanith_django.operations.base import Default, Operation
from zanith_django.operations.dependents import (
    generated_from,
    in_primary_key,
    referrers_of,
    referrers_to,
    without_column,
)
from zanith_django.operations.online.rewrites import is_computed, volatile
from zanith_django.postgres.names import TableName
from zanith_django.schema import collector
from zanith_django.schema.graph import Column, ForeignKey, SchemaGraph, Table

SOFT, ARCHIVE, HARD = "soft", "archive", "hard"
ASIDE = "_zanith_renamed_"

ColumnName = tuple[TableName, str]


@dataclass(frozen=True, slots=True)
class Fill:
    """The value that existing rows of a column get, as SQL; a volatile one is one per row. Or the
    default of a Django field, called when the step runs; or the default that the column has in the
    database."""

    expression: str = ""
    default: Default | None = None
    by_database: bool = False

    def value(self, column: Column) -> str:
        """As SQL; "" if Python makes it."""
        return (column.default or "") if self.by_database else self.expression


@dataclass(frozen=True, slots=True)
class Hints:
    """What a graph cannot know, taken from Django's migrations: renames, what ends though another
    thing may have its name, and values for existing rows. Columns are named by the table's name
    after renames."""

    tables: Mapping[TableName, TableName] = field(default_factory=dict)
    columns: Mapping[ColumnName, str] = field(default_factory=dict)
    ended_tables: Collection[TableName] = ()
    ended_columns: Collection[ColumnName] = ()
    fills: Mapping[ColumnName, Fill] = field(default_factory=dict)
    labels: Mapping[TableName, str] = field(default_factory=dict)


def diff(
    before: SchemaGraph,
    after: SchemaGraph,
    hints: Hints | None = None,
    *,
    drop: str = SOFT,
    overlapping: bool = True,
) -> tuple[Operation, ...]:
    """The operations that turn `before` into `after`, in an order that never breaks.

    Everything that `before` has and `after` lacks is dropped: restrict the graphs to what is
    owned first. `drop` is how columns and tables go: "soft" (kept aside), "archive" or "hard".
    An `overlapping` difference builds what replaces an index or constraint before that goes; one
    that only tells people what differs drops it first.
    Triggers, tablespaces, partitioning and whether a table is logged are not compared.
    """
    differ = _Differ(before, after, hints or Hints(), drop, overlapping=overlapping)
    with collector.paused():
        for phase in _PHASES:
            for operation in phase(differ):
                differ.take(operation)
    return tuple(differ.operations)


class _Differ:
    """The graph as it stands after the operations found so far, and where it is to arrive."""

    def __init__(
        self,
        before: SchemaGraph,
        after: SchemaGraph,
        hints: Hints,
        drop: str,
        *,
        overlapping: bool,
    ) -> None:
        self.now, self.after, self.hints, self.drop = before, after, hints, drop
        self.overlapping = overlapping
        self.operations: list[Operation] = []
        self._differing: set[TableName] | None = None
        self._pairs: dict[TableName, Pair] = {}

    @functools.cached_property
    def names_to_be(self) -> set[TableName]:
        """Names that tables and indexes are to have."""
        return relation_names(self.after)

    @functools.cached_property
    def ends(self) -> Mapping[TableName, set[tuple[str, ...]]]:
        """Of each table the columns that foreign keys are to point at."""
        ends: defaultdict[TableName, set[tuple[str, ...]]] = defaultdict(set)
        for table in self.after.tables:
            for key in table.foreign_keys:
                ends[key.references].add(key.referenced_columns)
        return ends

    def take(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.now = operation.apply_to(self.now)
        if self._differing is not None:
            self._differing.update(operation.tables)

    def label(self, name: TableName) -> str:
        return self.hints.labels.get(name, "")

    def pairs(self) -> Iterator[Pair]:
        """Every table that both graphs have and that differs.

        All are compared once, after the renames; from then on only those that differed, or that
        an operation touched.
        """
        if self._differing is None:
            self._differing = {table.name for table in self.after.tables if self._differs(table)}
        for wanted in [table for table in self.after.tables if table.name in self._differing]:
            if self._differs(wanted):
                yield self._pair(wanted)

    def _pair(self, wanted: Table) -> Pair:
        """The pair of a table as it stands; the same one for as long as nothing touches it."""
        current, known = self.current(wanted.name), self._pairs.get(wanted.name)
        if known is None or known.current is not current:
            known = self._pairs[wanted.name] = Pair(current, wanted, soft=self.drop != HARD)
        return known

    def _differs(self, wanted: Table) -> bool:
        current = self.now.table(wanted.name)
        return current is not None and current is not wanted and current != wanted

    def current(self, name: TableName) -> Table:
        return self.now.table(name) or Table(name)

    def gone_tables(self) -> list[Table]:
        return [table for table in self.now.tables if table.name not in self.after]


# --- what ends though another thing is to have its name -------------------------------------------


def _ended_tables(d: _Differ) -> Iterator[Operation]:
    """All that end: they may point at each other."""
    ended = [name for name in d.hints.ended_tables if name in d.now]
    if any(name in d.after for name in ended):
        graph = d.now
        for name in ended:
            graph = _without_keys(graph, referrers_to(graph, name)).without_table(name)
        yield from _towards(d, graph)


def _ended_columns(d: _Differ) -> Iterator[Operation]:
    graph = d.now
    for table, column in sorted(d.hints.ended_columns):
        wanted = d.after.table(table)
        if wanted and wanted.column(column):
            graph = _without_column(graph, table, column)
    if graph is not d.now:
        yield from _towards(d, graph)


def _towards(d: _Differ, graph: SchemaGraph) -> tuple[Operation, ...]:
    """The operations up to a graph that lacks what is in the way."""
    hints = Hints(labels=d.hints.labels)
    return diff(d.now, graph, hints, drop=d.drop, overlapping=d.overlapping)


def _without_column(graph: SchemaGraph, name: TableName, column: str) -> SchemaGraph:
    """`graph` without a column and all that needs it."""
    table = graph.table(name)
    if table is None or table.column(column) is None:
        return graph
    for generated in generated_from(table, column):
        graph = _without_column(graph, name, generated.name)
    graph = _without_keys(graph, referrers_of(graph, name, column))
    return graph.changed(name, lambda known: without_column(known, column))


def _without_keys(graph: SchemaGraph, keys: Iterable[tuple[TableName, ForeignKey]]) -> SchemaGraph:
    for table, key in keys:
        without = operator.methodcaller("without_item", "foreign_keys", key.name)
        graph = graph.changed(table, without)
    return graph


# --- renames -------------------------------------------------------------------------------------

Name = TypeVar("Name", bound=Hashable)


def _renamed_tables(d: _Differ) -> Iterator[Operation]:
    tables = [(old, new) for old, new in d.hints.tables.items() if old in d.now]
    for old, new in _in_order(tables, lambda name: name in d.now, _aside_table):
        yield ops.RenameTable(old=old, new=new, model=d.label(new))


def _renamed_columns(d: _Differ) -> Iterator[Operation]:
    for table in dict.fromkeys(table for table, _ in d.hints.columns):

        def taken(name: str, table: TableName = table) -> bool:
            return d.current(table).column(name) is not None

        columns = [(old, new) for (t, old), new in d.hints.columns.items() if t == table]
        there = [(old, new) for old, new in columns if taken(old)]
        for old_column, new_column in _in_order(there, taken, _aside):
            yield ops.RenameColumn(
                table=table, old=old_column, new=new_column, model=d.label(table)
            )


def _in_order(
    pairs: list[tuple[Name, Name]], taken: Callable[[Name], bool], aside: Callable[[Name], Name]
) -> Iterator[tuple[Name, Name]]:
    """Renames in an order in which every new name is free; a circle goes by a name aside.

    A rename to a name that somebody keeps is left out.
    """
    waiting = [(old, new) for old, new in pairs if old != new]
    while waiting:
        ready = next((pair for pair in waiting if not taken(pair[1])), None)
        if ready is not None:
            waiting.remove(ready)
            yield ready
            continue
        old, new = waiting.pop(0)
        if any(new == other for other, _ in waiting):
            yield old, aside(old)
            waiting.append((aside(old), new))


def _aside(name: str) -> str:
    """A name that nobody has; that of a name aside is itself."""
    if name.startswith(ASIDE):
        return name
    return f"{ASIDE}{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _aside_table(name: TableName) -> TableName:
    return TableName(name.schema, _aside(name.name))


# --- what tables stand on ------------------------------------------------------------------------


def _foundations(d: _Differ) -> Iterator[Operation]:
    known = {item.name for item in d.now.extensions}
    for extension in d.after.extensions:
        if extension.name not in known:
            yield ops.CreateExtension(extension=extension)
    for schema in d.after.schemas:
        if schema not in d.now.schemas:
            yield ops.CreateSchema(name=schema)
    for collation in d.after.collations:
        if collation not in d.now.collations:
            yield ops.CreateCollation(collation=collation)


def _dropped_foundations(d: _Differ) -> Iterator[Operation]:
    for collation in d.now.collations:
        if collation not in d.after.collations:
            yield ops.DropCollation(collation=collation)
    wanted = {item.name for item in d.after.extensions}
    for extension in d.now.extensions:
        if extension.name not in wanted:
            yield ops.DropExtension(extension=extension)


# --- what goes -----------------------------------------------------------------------------------

_DROPS: Mapping[str, Callable[[TableName, Any, str], Operation]] = {
    "foreign_keys": lambda t, i, m: ops.DropForeignKey(table=t, foreign_key=i, model=m),
    "policies": lambda t, i, m: ops.DropPolicy(table=t, policy=i, model=m),
    "exclusions": lambda t, i, m: ops.DropExclusion(table=t, exclusion=i, model=m),
    "checks": lambda t, i, m: ops.DropCheck(table=t, check=i, model=m),
    "uniques": lambda t, i, m: ops.DropUnique(table=t, unique=i, model=m),
    "indexes": lambda t, i, m: ops.DropIndex(table=t, index=i, model=m),
}


def _row_security_off(d: _Differ) -> Iterator[Operation]:
    """Before its policies go: without them nobody sees a row."""
    for pair in d.pairs():
        if pair.current.row_security and not pair.wanted.row_security:
            force = pair.current.force_row_security
            yield ops.DisableRls(table=pair.name, force=force, model=d.label(pair.name))


def _dropped_foreign_keys(d: _Differ) -> Iterator[Operation]:
    """Those that cannot wait for a replacement, and those that need a key or type that changes."""
    pairs = {pair.name: pair for pair in d.pairs()}
    early = set(_tables_in_the_way(d))
    if not pairs and not early:
        return
    for table in d.now.tables:
        early_here = early if table.name in d.after else set()
        pair = pairs.get(table.name)
        leaving = _leaving_foreign_keys(d, pair) if pair else set()
        for key in table.foreign_keys:
            hangs = _hangs(key, pair, pairs.get(key.references)) or key.references in early_here
            if hangs or key.name in leaving:
                yield _DROPS["foreign_keys"](table.name, key, d.label(table.name))


def _leaving_foreign_keys(d: _Differ, pair: Pair) -> set[str]:
    leaving = {key.name for key in pair.leaving("foreign_keys")}
    carried = pair.carried("foreign_keys") - _needed_names(d, pair, "foreign_keys")
    return leaving - carried - _outlasting(d, pair, "foreign_keys")


def _hangs(key: ForeignKey, own: Pair | None, target: Pair | None) -> bool:
    """Does the foreign key stand in the way of a change at one of its ends?"""
    if own and own.breaks_comparison(key.columns):
        return True
    columns = key.referenced_columns
    return target is not None and (target.loses_key(columns) or target.breaks_comparison(columns))


def _dropped_parts(d: _Differ) -> Iterator[Operation]:
    """What is in the way of a change or of a name."""
    for pair in d.pairs():
        for part in ("policies", "exclusions", "checks", "uniques", "indexes"):
            carried = pair.carried(part) - _needed_names(d, pair, part) - _ends(d, pair, part)
            if part == "policies":
                stays = carried | _altered_policies(pair)
            else:
                stays = carried | _outlasting(d, pair, part)
            for item in pair.leaving(part):
                if item.name not in stays:
                    yield _DROPS[part](pair.name, item, d.label(pair.name))


def _outlasting(d: _Differ, pair: Pair, part: str) -> set[str]:
    """Names of what goes after its replacement exists, so that a replacement that fails leaves it
    in force."""
    if not d.overlapping:
        return set()
    names = pair.outlasting(part) - _ends(d, pair, part) - _given_names(d, pair, part)
    if part == "foreign_keys":
        names -= {key.name for key in pair.current.foreign_keys if _end_changes(d, key)}
    return names


def _given_names(d: _Differ, pair: Pair, part: str) -> set[str]:
    """Names that a part of another table, a renamed one or the primary key is to have; only what
    is built in this table can be renamed once it is there."""
    parts = (*CONSTRAINTS, "indexes", "primary_key")
    given = {new.name for each in parts for _, new in pair.renamed(each)}
    if pair.wanted.primary_key:
        given.add(pair.wanted.primary_key.name)
    if part in OWNERS_OF_INDEXES:
        own = index_names(pair.wanted)
        given |= {
            item.name
            for item in getattr(pair.current, part)
            if TableName(pair.name.schema, item.name) in d.names_to_be and item.name not in own
        }
    return given


def _end_changes(d: _Differ, key: ForeignKey) -> bool:
    """Is what the foreign key points at no longer to be the same?"""
    current, wanted = d.now.table(key.references), d.after.table(key.references)
    if current is None or wanted is None:
        return False
    return any(current.column(c) != wanted.column(c) for c in key.referenced_columns)


def _replaced_parts(d: _Differ) -> Iterator[Operation]:
    yield from _replaced(d, ("exclusions", "checks", "uniques", "indexes"))


def _replaced_foreign_keys(d: _Differ) -> Iterator[Operation]:
    yield from _replaced(d, ("foreign_keys",))


def _replaced(d: _Differ, parts: Iterable[str]) -> Iterator[Operation]:
    """What has stayed until its replacement exists."""
    for pair in d.pairs():
        for part in parts:
            carried = pair.carried(part) - _needed_names(d, pair, part)
            for item in pair.leaving(part):
                if item.name not in carried and item.name != _aside(item.name):
                    yield _DROPS[part](pair.name, item, d.label(pair.name))


def _altered_policies(pair: Pair) -> set[str]:
    """Names of those that change where they are, by themselves or with the type of a column."""
    with_types = (pair.policies_with(old.name) for old, _ in pair.retyped)
    return {old.name for pairs in (pair.altered_policies(), *with_types) for old, _ in pairs}


def _ends(d: _Differ, pair: Pair, part: str) -> set[str]:
    """Names of the keys that a foreign key would come to rest on, were they to stay a while."""
    if part not in ("uniques", "indexes"):
        return set()
    ends = d.ends.get(pair.name, ())
    return {name for end in ends for name in key_names(pair.current, end)}


def _primary_keys_in_the_way(d: _Differ) -> Iterator[Operation]:
    """Those whose name something else is to have, and those that a generated column, soon to be
    dropped, would take along."""
    for pair in d.pairs():
        old, new = pair.current.primary_key, pair.wanted.primary_key
        if old is None:
            continue
        named = {TableName(pair.name.schema, old.name)} & d.names_to_be or (
            {old.name} & constraint_names(pair.wanted)
        )
        renamed = not same_key(old, new) and (new is None or new.name != old.name)
        lost = any(c.generated and in_primary_key(pair.current, c.name) for c in pair.hard_gone)
        if lost or (renamed and named):
            yield ops.AlterPrimaryKey(table=pair.name, old=old, model=d.label(pair.name))


def _needed_names(d: _Differ, pair: Pair, part: str) -> set[str]:
    """Names of a table's items that something else is to have: a soft drop comes too late."""
    names = {item.name for item in getattr(pair.current, part)}
    needed = set()
    if part in CONSTRAINTS:
        needed |= names & constraint_names(pair.wanted)
    if part in OWNERS_OF_INDEXES:
        needed |= {name for name in names if TableName(pair.name.schema, name) in d.names_to_be}
    if part == "policies":
        needed |= names & {policy.name for policy in pair.wanted.policies}
    return needed


def _dropped_generated(d: _Differ) -> Iterator[Operation]:
    """What is generated goes early: it hangs on other columns, and can be generated again."""
    for pair in d.pairs():
        for column in pair.hard_gone:
            if column.generated:
                yield ops.DropColumn(table=pair.name, column=column, model=d.label(pair.name))


def _tables_in_the_way(d: _Differ) -> list[TableName]:
    """Tables that go, when one of them has a name that something else is to have."""
    gone = d.gone_tables()
    names = (
        TableName(table.name.schema, name)
        for table in gone
        for name in (table.name.name, *index_names(table))
    )
    return [table.name for table in gone] if any(n in d.names_to_be for n in names) else []


def _tables_dropped_early(d: _Differ) -> Iterator[Operation]:
    if _tables_in_the_way(d):
        yield from _dropped_tables(d)


def _dropped_columns(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for column in pair.gone_columns:
            yield _drop_column(d, d.current(pair.name), column)


def _drop_column(d: _Differ, table: Table, column: Column) -> Operation:
    label = d.label(table.name)
    if d.drop == SOFT:
        return ops.SoftDropColumn.of(table, column, label)
    if d.drop == ARCHIVE:
        return ops.ArchiveColumn.of(table, column, label)
    return ops.DropColumn(table=table.name, column=column, model=label)


def _dropped_tables(d: _Differ) -> Iterator[Operation]:
    """Those that point at others first; a key that closes a circle is dropped before."""
    ordered = list(reversed(_by_dependency(d.gone_tables())))
    earlier: set[TableName] = set()
    for table in ordered:
        for key in table.foreign_keys:
            if key.references in earlier:
                yield ops.DropForeignKey(table=table.name, foreign_key=key)
        earlier.add(table.name)
    kinds = {SOFT: ops.SoftDropTable, ARCHIVE: ops.ArchiveTable, HARD: ops.DropTable}
    for table in ordered:
        yield kinds[d.drop](table=d.current(table.name), model=d.label(table.name))


# --- what comes ----------------------------------------------------------------------------------

_ADDS: Mapping[str, Callable[[TableName, Any, str], Operation]] = {
    "foreign_keys": lambda t, i, m: ops.AddForeignKey(table=t, foreign_key=i, model=m),
    "policies": lambda t, i, m: ops.CreatePolicy(table=t, policy=i, model=m),
    "exclusions": lambda t, i, m: ops.AddExclusion(table=t, exclusion=i, model=m),
    "checks": lambda t, i, m: ops.AddCheck(table=t, check=i, model=m),
    "uniques": lambda t, i, m: ops.AddUnique(table=t, unique=i, model=m),
    "indexes": lambda t, i, m: ops.AddIndex(table=t, index=i, model=m),
}


def _renamed_parts(d: _Differ) -> Iterator[Operation]:
    """A constraint or index that only changed its name is renamed, not built anew; a circle of
    names goes by a name aside."""
    waiting = [
        _NameChange(pair.name, part, old.name, new.name, old)
        for pair in d.pairs()
        for part in (*CONSTRAINTS, "indexes", "primary_key")
        for old, new in pair.renamed(part)
    ]
    taken = relation_names(d.now) if waiting else set()
    while waiting:
        free = [change for change in waiting if change.is_free(d, taken)]
        if not free:
            change = waiting.pop(0)
            if change.old == _aside(change.old):
                continue
            free = [dataclasses.replace(change, new=_aside(change.old))]
            waiting.append(dataclasses.replace(change, old=_aside(change.old)))
        for change in free:
            kind = ops.RenameIndex if change.part == "indexes" else ops.RenameConstraint
            old, new = change.old, change.new
            looks, label = change.looks(), d.label(change.table)
            yield kind(table=change.table, old=old, new=new, model=label, **looks)
            if change.owns_index:
                taken.discard(TableName(change.table.schema, old))
                taken.add(TableName(change.table.schema, new))
        done = set(free)
        waiting = [change for change in waiting if change not in done]


_FIELDS = {
    "uniques": "unique",
    "foreign_keys": "foreign_key",
    "checks": "check",
    "exclusions": "exclusion",
    "indexes": "index",
}


@dataclass(frozen=True, slots=True)
class _NameChange:
    """A constraint or index of a table that is to have another name."""

    table: TableName
    part: str
    old: str
    new: str
    item: Any

    def looks(self) -> dict[str, Any]:
        """What bears the name, for databases where it is called otherwise; a table has but one
        primary key."""
        if self.part == "primary_key":
            return {}
        return {_FIELDS[self.part]: dataclasses.replace(self.item, name=self.old)}

    @property
    def owns_index(self) -> bool:
        return self.part not in ("foreign_keys", "checks")

    def is_free(self, d: _Differ, taken: set[TableName]) -> bool:
        """Does nobody bear the new name? `taken` are the names of tables and indexes."""
        if self.part != "indexes" and self.new in constraint_names(d.current(self.table)):
            return False
        return not (self.owns_index and TableName(self.table.schema, self.new) in taken)


def _new_tables(d: _Differ) -> Iterator[Operation]:
    """Tables in the order of their foreign keys; a key that closes a circle comes later, and so
    does one that points at what an old table does not have yet."""
    new = [table for table in d.after.tables if table.name not in d.now]
    made: set[TableName] = set()
    for table in _by_dependency(new):
        made.add(table.name)
        keys = tuple(
            key for key in table.foreign_keys if key.references in made or _is_ready(d, key)
        )
        created = dataclasses.replace(table, foreign_keys=keys)
        yield ops.CreateTable(table=created, model=d.label(table.name))


def _is_ready(d: _Differ, key: ForeignKey) -> bool:
    """Is the end of the foreign key in an old table as it is to be? A table that neither graph
    has is none of theirs, and stays as it is."""
    current, wanted = d.now.table(key.references), d.after.table(key.references)
    if current is None and wanted is None:
        return True
    if current is None or wanted is None:
        return False
    same = all(current.column(c) == wanted.column(c) for c in key.referenced_columns)
    old, new = current.primary_key, wanted.primary_key
    stable = old == new or (old is not None and same_key(old, new))
    return same and stable and has_key(current, key.referenced_columns)


def _by_dependency(tables: Iterable[Table]) -> list[Table]:
    """Referenced tables before those that reference them; circles are cut anywhere."""
    by_name = {table.name: table for table in tables}
    ordered: dict[TableName, Table] = {}
    visiting: set[TableName] = set()
    stack = [(table, False) for table in reversed(by_name.values())]
    while stack:
        table, expanded = stack.pop()
        if expanded:
            ordered[table.name] = table
        elif table.name not in visiting:
            visiting.add(table.name)
            stack.append((table, True))
            needed = sorted({key.references for key in table.foreign_keys}, reverse=True)
            stack += [(by_name[n], False) for n in needed if n in by_name and n not in visiting]
    return list(ordered.values())


def _new_columns(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for column in pair.new_columns:
            if not column.generated:
                yield from _added_column(d, pair.name, column)


def _new_generated(d: _Differ) -> Iterator[Operation]:
    """After the columns that they are made of have their types."""
    for pair in d.pairs():
        for column in pair.new_columns:
            yield ops.AddGeneratedColumn(table=pair.name, column=column, model=d.label(pair.name))


def _added_column(d: _Differ, table: TableName, column: Column) -> Iterator[Operation]:
    label, fill = d.label(table), d.hints.fills.get((table, column.name))
    if fill is None or column.default is not None or column.identity:
        yield ops.AddColumn(table=table, column=column, model=label)
    elif fill.default and fill.default.each:
        empty = dataclasses.replace(column, nullable=True)
        yield ops.AddColumn(table=table, column=empty, model=label)
        yield from _filled(d, table, column)
        if not column.nullable:
            yield _null_forbidden(table, column, fill, label)
    elif fill.default:
        yield ops.AddColumn(table=table, column=column, default=fill.default, model=label)
    else:  # rows that running code inserts meanwhile get the value, too
        filled = dataclasses.replace(column, default=fill.expression)
        yield ops.AddColumn(table=table, column=filled, model=label)
        yield ops.AlterColumnDefault(
            table=table, column=column.name, old=fill.expression, model=label
        )


def _new_parts(d: _Differ) -> Iterator[Operation]:
    yield from _added(d, ("uniques", "checks", "exclusions", "indexes"))


def _new_foreign_keys(d: _Differ) -> Iterator[Operation]:
    yield from _added(d, ("foreign_keys",))


def _added(d: _Differ, parts: Iterable[str]) -> Iterator[Operation]:
    """What replaces a thing of the same name is built under a name aside, and renamed once the
    old one is gone."""
    for part in parts:
        for pair in d.pairs():
            kept = {new.name for _, new in pair.kept(part)}
            taken = constraint_names(pair.current) | index_names(pair.current)
            for item in getattr(pair.wanted, part):
                if item.name in kept:
                    continue
                if item.name in taken:
                    item = dataclasses.replace(item, name=_aside(item.name))
                yield _ADDS[part](pair.name, item, d.label(pair.name))


# --- what changes --------------------------------------------------------------------------------


def _altered_columns(d: _Differ) -> Iterator[Operation]:
    """Columns that stop being generated first, those that begin to be last: they read others."""
    for pair in d.pairs():
        for old, new in sorted(pair.columns, key=_generated_order):
            if old != new:
                yield from _altered_column(d, pair, old, new)


def _generated_order(pair: tuple[Column, Column]) -> int:
    old, new = pair
    if old.generated:
        return 1 if new.generated else 0
    return 3 if new.generated else 2


def _altered_column(d: _Differ, pair: Pair, old: Column, new: Column) -> Iterator[Operation]:
    table, name = pair.name, new.name
    label = d.label(table)
    if new.generated and not old.generated:
        yield _drop_column(d, d.current(table), old)
        yield ops.AddGeneratedColumn(table=table, column=new, model=label)
        return
    if is_rebuilt(old, new):
        kept = dataclasses.replace(new, nullable=old.nullable, comment=old.comment)
        yield ops.AlterGenerated(table=table, old=old, new=kept, model=label)
        old = kept
    elif old.generated and not new.generated:
        kept = dataclasses.replace(old, generated="", virtual=False)
        yield ops.AlterGenerated(table=table, old=old, new=kept, model=label)
        old = kept
    if old.identity and not new.identity:
        yield ops.AlterColumnIdentity(table=table, column=name, old=old.identity, model=label)
        old = dataclasses.replace(old, identity="")
    yield from _altered_values(d, pair, old, new)
    if old.nullable and not new.nullable:
        yield from _filled(d, table, new)
        fill = d.hints.fills.get((table, name), Fill())
        yield _null_forbidden(table, new, fill, label)
    if new.identity and old.identity != new.identity:
        yield ops.AlterColumnIdentity(
            table=table, column=name, old=old.identity, new=new.identity, model=label
        )


def _filled(d: _Differ, table: TableName, column: Column) -> Iterator[Operation]:
    """A value for the rows in which the column is NULL. One that Python makes once for all rows
    belongs to the step that forbids NULL, which needs it as well."""
    fill, label = d.hints.fills.get((table, column.name), Fill()), d.label(table)
    value = fill.value(column)
    if value:
        once = fill.by_database and is_computed(value) and not volatile(value)
        yield ops.Backfill(table=table, column=column.name, value=value, once=once, model=label)
    elif fill.default and fill.default.each:
        yield ops.Backfill(table=table, column=column.name, default=fill.default, model=label)


def _null_forbidden(table: TableName, column: Column, fill: Fill, label: str) -> Operation:
    return ops.AlterColumnNullable(
        table=table,
        column=column.name,
        nullable=False,
        fill=fill.value(column),
        default=fill.default,
        model=label,
    )


def _altered_values(d: _Differ, pair: Pair, old: Column, new: Column) -> Iterator[Operation]:
    """Type, collation and storage together, with the policies that they change; a default alone
    by itself."""
    table, label = pair.name, d.label(pair.name)
    fields = ("type", "collation", "storage", "compression")
    changes = {f: getattr(new, f) for f in fields if getattr(old, f) != getattr(new, f)}
    if changes:
        after = dataclasses.replace(old, default=new.default, **changes)
        retyped = (old.type, old.collation) != (after.type, after.collation)
        policies = tuple(pair.policies_with(old.name)) if retyped else ()
        yield ops.AlterColumnType(table=table, old=old, new=after, policies=policies, model=label)
    elif old.default != new.default:
        yield ops.AlterColumnDefault(
            table=table, column=new.name, old=old.default, new=new.default, model=label
        )


def _primary_keys(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        old, new, label = pair.current.primary_key, pair.wanted.primary_key, d.label(pair.name)
        if old == new or (old and new and old.name == new.name and same_key(old, new)):
            continue
        yield ops.AlterPrimaryKey(table=pair.name, old=old, new=new, model=label)


def _columns_made_nullable(d: _Differ) -> Iterator[Operation]:
    """After the primary key, which forbids NULL, is gone."""
    for pair in d.pairs():
        for old, new in pair.columns:
            if new.nullable and not old.nullable:
                yield ops.AlterColumnNullable(
                    table=pair.name, column=new.name, nullable=True, model=d.label(pair.name)
                )


def _deferred(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for old, new in pair.kept("foreign_keys"):
            if old.deferrable != new.deferrable:
                yield ops.AlterForeignKey(
                    table=pair.name,
                    name=new.name,
                    old=old.deferrable,
                    new=new.deferrable,
                    foreign_key=old,
                    model=d.label(pair.name),
                )


def _validated(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        for part in ("checks", "foreign_keys"):
            for old, new in pair.kept(part):
                if only_validated(old, new):
                    yield ops.ValidateConstraint(
                        table=pair.name, name=new.name, model=d.label(pair.name)
                    )


def _table_settings(d: _Differ) -> Iterator[Operation]:
    for pair in d.pairs():
        yield from _comments(pair, d.label(pair.name))
        yield from _options(pair, d.label(pair.name))


def _comments(pair: Pair, label: str) -> Iterator[Operation]:
    table, current, wanted = pair.name, pair.current, pair.wanted
    if current.comment != wanted.comment:
        yield ops.SetComment(table=table, old=current.comment, new=wanted.comment, model=label)
    key = [(current.primary_key, wanted.primary_key)]
    constraints = [*key, *(both for part in CONSTRAINTS for both in pair.kept(part))]
    commented: list[tuple[str, Iterable[tuple[Any, Any]]]] = [
        ("column", pair.columns),
        ("constraint", constraints),
        ("index", pair.kept("indexes")),
        ("policy", pair.kept("policies")),
    ]
    for what, both in commented:
        for old, new in both:
            if old and new and old.comment != new.comment:
                named = {what: new.name}
                yield ops.SetComment(
                    table=table, old=old.comment, new=new.comment, model=label, **named
                )


def _options(pair: Pair, label: str) -> Iterator[Operation]:
    old, new = pair.current.options, pair.wanted.options
    if old != new:
        yield ops.AlterTableOptions(table=pair.name, old=old, new=new, model=label)
    for index, wanted in pair.kept("indexes"):
        if index.options != wanted.options:
            yield ops.AlterIndexOptions(
                table=pair.name,
                index=index.name,
                method=index.method,
                old=index.options,
                new=wanted.options,
                model=label,
            )


def _row_security(d: _Differ) -> Iterator[Operation]:
    """Policies are made before row security goes on: without one, nobody sees a row."""
    for pair in d.pairs():
        name, label = pair.name, d.label(pair.name)
        altered = pair.altered_policies()
        for old_policy, policy in altered:
            yield ops.AlterPolicy(table=name, old=old_policy, new=policy, model=label)
        known = {policy.name for policy in (*pair.current.policies, *(new for _, new in altered))}
        for policy in pair.wanted.policies:
            if policy.name not in known:
                yield _ADDS["policies"](name, policy, label)
        old = (pair.current.row_security, pair.current.force_row_security)
        force = pair.wanted.force_row_security
        if pair.wanted.row_security and old != (True, force):
            yield ops.EnableRls(table=name, force=force, already=old[0], model=label)


_PHASES: tuple[Callable[[_Differ], Iterator[Operation]], ...] = (
    _ended_tables,
    _renamed_tables,
    _ended_columns,
    _renamed_columns,
    _foundations,
    _row_security_off,
    _dropped_foreign_keys,
    _dropped_parts,
    _primary_keys_in_the_way,
    _dropped_generated,
    _tables_dropped_early,
    _renamed_parts,
    _new_tables,
    _new_columns,
    _altered_columns,
    _new_generated,
    _primary_keys,
    _columns_made_nullable,
    _new_parts,
    _replaced_parts,
    _new_foreign_keys,
    _replaced_foreign_keys,
    _renamed_parts,
    _deferred,
    _validated,
    _table_settings,
    _row_security,
    _dropped_columns,
    _dropped_tables,
    _dropped_foundations,
)

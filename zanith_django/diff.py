"""Two graphs → the ordered operations that turn the first into the second."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zanith_django import operations as ops
from zanith_django.operations.base import Operation
from zanith_django.operations.dependents import what_contains
from zanith_django.schema.graph import (
    Column,
    ForeignKey,
    Index,
    SchemaGraph,
    Table,
    TableName,
)

SOFT, HARD = "soft", "hard"

ColumnName = tuple[TableName, str]


@dataclass(frozen=True, slots=True)
class Fill:
    """The value that existing rows of a column get: SQL, the same for all or one per row."""

    expression: str
    per_row: bool = False


@dataclass(frozen=True, slots=True)
class Hints:
    """What a graph cannot tell, taken from Django's migrations: renames, and values for rows
    that exist. Columns are named by the table's name after renames."""

    tables: Mapping[TableName, TableName] = field(default_factory=dict)
    columns: Mapping[ColumnName, str] = field(default_factory=dict)
    fills: Mapping[ColumnName, Fill] = field(default_factory=dict)
    labels: Mapping[TableName, str] = field(default_factory=dict)


def diff(
    before: SchemaGraph, after: SchemaGraph, hints: Hints | None = None, *, drop: str = SOFT
) -> tuple[Operation, ...]:
    """The operations that turn `before` into `after`, in an order that never breaks.

    Everything that `before` has and `after` lacks is dropped: restrict the graphs to what is
    owned first. `drop` is how columns and tables go: "soft" (kept aside) or "hard".
    """
    differ = _Differ(before, after, hints or Hints(), drop)
    for phase in _PHASES:
        for operation in phase(differ):
            differ.take(operation)
    return tuple(differ.operations)


class _Differ:
    """The graph as it stands after the operations found so far, and where it is to arrive."""

    def __init__(self, before: SchemaGraph, after: SchemaGraph, hints: Hints, drop: str) -> None:
        self.now, self.after, self.hints, self.drop = before, after, hints, drop
        self.operations: list[Operation] = []

    def take(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.now = operation.apply_to(self.now)

    def label(self, name: TableName) -> str:
        return self.hints.labels.get(name, "")

    def shared(self) -> Iterator[tuple[Table, Table]]:
        """(now, after) of every table that both graphs have and that differ."""
        for wanted in self.after.tables:
            current = self.now.table(wanted.name)
            if current is not None and current != wanted:
                yield current, wanted

    def current(self, name: TableName) -> Table:
        return self.now.table(name) or Table(name)


def _renames(d: _Differ) -> Iterator[Operation]:
    for old, new in d.hints.tables.items():
        if old in d.now and new not in d.now:
            yield ops.RenameTable(old=old, new=new, model=d.label(new))
    for (table, old_column), new_column in d.hints.columns.items():
        found = d.current(table)
        if found.column(old_column) and not found.column(new_column):
            yield ops.RenameColumn(
                table=table, old=old_column, new=new_column, model=d.label(table)
            )


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


_CONSTRAINTS = ("uniques", "foreign_keys", "checks", "exclusions")


def _renamed_parts(d: _Differ) -> Iterator[Operation]:
    """A constraint or index that only changed its name is renamed, not built anew."""
    for current, wanted in d.shared():
        for part in (*_CONSTRAINTS, "indexes"):
            for old, new in _same_but_name(getattr(current, part), getattr(wanted, part)):
                kind = ops.RenameIndex if part == "indexes" else ops.RenameConstraint
                yield kind(table=wanted.name, old=old, new=new, model=d.label(wanted.name))
        old_key, new_key = current.primary_key, wanted.primary_key
        if old_key and new_key and old_key.name != new_key.name:
            if dataclasses.replace(old_key, name=new_key.name) == new_key:
                yield ops.RenameConstraint(table=wanted.name, old=old_key.name, new=new_key.name)


def _same_but_name(current: Iterable[Any], wanted: Iterable[Any]) -> Iterator[tuple[str, str]]:
    kept = {item.name for item in current} & {item.name for item in wanted}
    gone = [item for item in current if item.name not in kept]
    for new in wanted:
        if new.name in kept:
            continue
        for old in gone:
            if dataclasses.replace(old, name=new.name) == new:
                gone.remove(old)
                yield old.name, new.name
                break


def _dropped_parts(d: _Differ) -> Iterator[Operation]:
    """What is gone or changed, foreign keys of all tables first: they hang on the others."""
    for current, wanted in d.shared():
        yield from _drops(d, current, wanted, "foreign_keys")
    for current, wanted in d.shared():
        for part in ("policies", "exclusions", "checks", "uniques", "indexes"):
            yield from _drops(d, current, wanted, part)


def _drops(d: _Differ, current: Table, wanted: Table, part: str) -> Iterator[Operation]:
    carried = _carried(d, current, wanted, part)
    wanted_by_name = {item.name: item for item in getattr(wanted, part)}
    rebuilt = _rebuilt_columns(current, wanted)
    for item in getattr(current, part):
        new = wanted_by_name.get(item.name)
        hangs_on_rebuilt = bool(rebuilt & set(getattr(item, "columns", ())))
        if new is None and item in carried:
            continue
        if new is None or hangs_on_rebuilt or not (new == item or _only_validated(item, new)):
            yield _DROPS[part](current.name, item, d.label(current.name))


def _carried(d: _Differ, current: Table, wanted: Table, part: str) -> set[Any]:
    """What a soft drop of its column takes along and remembers."""
    if d.drop != SOFT:
        return set()
    gone = [name for name in current.column_names if wanted.column(name) is None]
    return {item for name in gone for item in what_contains(current, name).get(part, ())}


def _rebuilt_columns(current: Table, wanted: Table) -> set[str]:
    """Generated columns whose expression changes are dropped and added again in one statement."""
    return {
        new.name
        for new in wanted.columns
        if (old := current.column(new.name)) and _is_rebuilt(old, new)
    }


def _is_rebuilt(old: Column, new: Column) -> bool:
    how = (old.generated, old.virtual, old.type) != (new.generated, new.virtual, new.type)
    return bool(new.generated) and how


def _only_validated(old: Any, new: Any) -> bool:
    """The same constraint, not valid before and valid now."""
    return (
        hasattr(old, "valid")
        and not isinstance(old, Index)
        and not old.valid
        and dataclasses.replace(old, valid=True) == new
    )


_DROPS: Mapping[str, Callable[[TableName, Any, str], Operation]] = {
    "foreign_keys": lambda t, i, m: ops.DropForeignKey(table=t, foreign_key=i, model=m),
    "policies": lambda t, i, m: ops.DropPolicy(table=t, policy=i, model=m),
    "exclusions": lambda t, i, m: ops.DropExclusion(table=t, exclusion=i, model=m),
    "checks": lambda t, i, m: ops.DropCheck(table=t, check=i, model=m),
    "uniques": lambda t, i, m: ops.DropUnique(table=t, unique=i, model=m),
    "indexes": lambda t, i, m: ops.DropIndex(table=t, index=i, model=m),
}

_ADDS: Mapping[str, Callable[[TableName, Any, str], Operation]] = {
    "foreign_keys": lambda t, i, m: ops.AddForeignKey(table=t, foreign_key=i, model=m),
    "policies": lambda t, i, m: ops.CreatePolicy(table=t, policy=i, model=m),
    "exclusions": lambda t, i, m: ops.AddExclusion(table=t, exclusion=i, model=m),
    "checks": lambda t, i, m: ops.AddCheck(table=t, check=i, model=m),
    "uniques": lambda t, i, m: ops.AddUnique(table=t, unique=i, model=m),
    "indexes": lambda t, i, m: ops.AddIndex(table=t, index=i, model=m),
}


def _new_tables(d: _Differ) -> Iterator[Operation]:
    """Tables in the order of their foreign keys; a key that closes a circle comes later."""
    new = [table for table in d.after.tables if table.name not in d.now]
    made = set(d.now.table_names)
    for table in _by_dependency(new):
        made.add(table.name)
        keys = tuple(key for key in table.foreign_keys if _stands(d, made, key))
        created = dataclasses.replace(table, foreign_keys=keys)
        yield ops.CreateTable(table=created, model=d.label(table.name))


def _stands(d: _Differ, made: Collection[TableName], key: ForeignKey) -> bool:
    """Its table is made by now, or is none of these graphs' business: then it is there already."""
    return key.references in made or key.references not in d.after


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
    for current, wanted in d.shared():
        new = [column for column in wanted.columns if current.column(column.name) is None]
        for column in sorted(new, key=lambda column: bool(column.generated)):
            yield from _added_column(d, wanted.name, column)


def _added_column(d: _Differ, table: TableName, column: Column) -> Iterator[Operation]:
    label, fill = d.label(table), d.hints.fills.get((table, column.name))
    if column.generated:
        yield ops.AddGeneratedColumn(table=table, column=column, model=label)
    elif fill is None or column.default is not None:
        yield ops.AddColumn(table=table, column=column, model=label)
    elif not fill.per_row:
        filled = dataclasses.replace(column, default=fill.expression)
        yield ops.AddColumn(table=table, column=filled, model=label)
        yield ops.AlterColumnDefault(
            table=table, column=column.name, old=fill.expression, model=label
        )
    else:
        nullable = dataclasses.replace(column, nullable=True)
        yield ops.AddColumn(table=table, column=nullable, model=label)
        yield ops.Backfill(table=table, column=column.name, value=fill.expression, model=label)
        if not column.nullable:
            yield ops.AlterColumnNullable(
                table=table, column=column.name, nullable=False, model=label
            )


def _altered_columns(d: _Differ) -> Iterator[Operation]:
    for current, wanted in d.shared():
        for new in wanted.columns:
            old = current.column(new.name)
            if old is not None and old != new:
                yield from _altered_column(d, wanted.name, old, new)


def _altered_column(d: _Differ, table: TableName, old: Column, new: Column) -> Iterator[Operation]:
    label, name = d.label(table), new.name
    if old.generated or new.generated:
        yield from _altered_generated(d, table, old, new)
        return
    if old.identity and not new.identity:
        yield ops.AlterColumnIdentity(table=table, column=name, old=old.identity, model=label)
    if (old.type, old.collation) != (new.type, new.collation):
        before = dataclasses.replace(old, identity="")
        after = dataclasses.replace(before, type=new.type, collation=new.collation)
        after = dataclasses.replace(after, default=new.default)
        yield ops.AlterColumnType(table=table, old=before, new=after, model=label)
    elif old.default != new.default:
        yield ops.AlterColumnDefault(
            table=table, column=name, old=old.default, new=new.default, model=label
        )
    if old.nullable and not new.nullable and (fill := d.hints.fills.get((table, name))):
        yield ops.Backfill(table=table, column=name, value=fill.expression, model=label)
    if old.nullable != new.nullable:
        yield ops.AlterColumnNullable(table=table, column=name, nullable=new.nullable, model=label)
    if new.identity and old.identity != new.identity:
        yield ops.AlterColumnIdentity(
            table=table, column=name, old=old.identity, new=new.identity, model=label
        )


def _altered_generated(
    d: _Differ, table: TableName, old: Column, new: Column
) -> Iterator[Operation]:
    label = d.label(table)
    if new.generated and not old.generated:
        yield from _drop_column(d, d.current(table), old)
        yield ops.AddGeneratedColumn(table=table, column=new, model=label)
    elif not new.generated or _is_rebuilt(old, new):
        plain = dataclasses.replace(new, comment=old.comment) if not new.generated else new
        yield ops.AlterGenerated(table=table, old=old, new=plain, model=label)


def _new_parts(d: _Differ) -> Iterator[Operation]:
    for part in ("uniques", "checks", "exclusions", "indexes", "foreign_keys"):
        for current, wanted in d.shared():
            known = {item.name for item in getattr(current, part)}
            for item in getattr(wanted, part):
                if item.name not in known:
                    yield _ADDS[part](wanted.name, item, d.label(wanted.name))


def _primary_keys(d: _Differ) -> Iterator[Operation]:
    for current, wanted in d.shared():
        if current.primary_key != wanted.primary_key:
            yield ops.AlterPrimaryKey(
                table=wanted.name,
                old=current.primary_key,
                new=wanted.primary_key,
                model=d.label(wanted.name),
            )


def _validated(d: _Differ) -> Iterator[Operation]:
    for current, wanted in d.shared():
        for part in ("checks", "foreign_keys"):
            for item in getattr(wanted, part):
                old = next((i for i in getattr(current, part) if i.name == item.name), None)
                if old is not None and _only_validated(old, item):
                    yield ops.ValidateConstraint(
                        table=wanted.name, name=item.name, model=d.label(wanted.name)
                    )


def _table_settings(d: _Differ) -> Iterator[Operation]:
    for current, wanted in d.shared():
        name, label = wanted.name, d.label(wanted.name)
        if current.comment != wanted.comment:
            yield ops.SetComment(table=name, old=current.comment, new=wanted.comment, model=label)
        for column in wanted.columns:
            old = current.column(column.name)
            if old is not None and old.comment != column.comment:
                yield ops.SetComment(
                    table=name, column=column.name, old=old.comment, new=column.comment, model=label
                )
        if current.options != wanted.options:
            yield ops.AlterTableOptions(
                table=name, old=current.options, new=wanted.options, model=label
            )


def _row_security(d: _Differ) -> Iterator[Operation]:
    """Policies are made before row security goes on: without one, nobody sees a row."""
    for current, wanted in d.shared():
        known = {policy.name for policy in current.policies}
        for policy in wanted.policies:
            if policy.name not in known:
                yield _ADDS["policies"](wanted.name, policy, d.label(wanted.name))
        old = (current.row_security, current.force_row_security)
        new = (wanted.row_security, wanted.force_row_security)
        if old == new:
            continue
        kind = ops.EnableRls if wanted.row_security else ops.DisableRls
        force = wanted.force_row_security if wanted.row_security else current.force_row_security
        yield kind(table=wanted.name, force=force, model=d.label(wanted.name))


def _dropped_columns(d: _Differ) -> Iterator[Operation]:
    for current, wanted in d.shared():
        gone = [column for column in current.columns if wanted.column(column.name) is None]
        for column in sorted(gone, key=lambda column: not column.generated):
            yield from _drop_column(d, d.current(current.name), column)


def _drop_column(d: _Differ, table: Table, column: Column) -> Iterator[Operation]:
    label = d.label(table.name)
    if d.drop == SOFT and not column.generated:
        yield ops.SoftDropColumn.of(table, column, label)
    else:
        yield ops.DropColumn(table=table.name, column=column, model=label)


def _dropped_tables(d: _Differ) -> Iterator[Operation]:
    """Those that point at others first; a key that closes a circle is dropped before."""
    gone = [table for table in d.now.tables if table.name not in d.after]
    ordered = list(reversed(_by_dependency(gone)))
    names = {table.name for table in gone}
    left = set(names)
    for table in ordered:
        left.discard(table.name)
        for key in _keys_onto_others(table, names - left):
            yield ops.DropForeignKey(table=table.name, foreign_key=key)
    kind = ops.SoftDropTable if d.drop == SOFT else ops.DropTable
    for table in ordered:
        yield kind(table=d.current(table.name), model=d.label(table.name))


def _keys_onto_others(table: Table, earlier: set[TableName]) -> list[ForeignKey]:
    """Keys onto tables that are dropped before this one."""
    return [k for k in table.foreign_keys if k.references in earlier and k.references != table.name]


def _dropped_foundations(d: _Differ) -> Iterator[Operation]:
    for collation in d.now.collations:
        if collation not in d.after.collations:
            yield ops.DropCollation(collation=collation)
    wanted = {item.name for item in d.after.extensions}
    for extension in d.now.extensions:
        if extension.name not in wanted:
            yield ops.DropExtension(extension=extension)


_PHASES: tuple[Callable[[_Differ], Iterator[Operation]], ...] = (
    _renames,
    _foundations,
    _renamed_parts,
    _dropped_parts,
    _new_tables,
    _new_columns,
    _altered_columns,
    _primary_keys,
    _new_parts,
    _validated,
    _table_settings,
    _row_security,
    _dropped_columns,
    _dropped_tables,
    _dropped_foundations,
)

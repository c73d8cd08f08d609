"""The reads and writes of the previous release, and those that a change of the schema breaks.

A release reads every column of its models by name, and an insert names every column but the
generated ones. What it does not know cannot break it, unless the database then requires it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.online.rewrites import narrows
from zanith_django.postgres.names import TableName
from zanith_django.schema.ddl import table_of
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.values import replaced
from zanith_django.timeline.states import RecordingState, db_table_of, has_own_table, tables_of

READS, WRITES = "reads and writes", "writes"


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """A column as the models of a release describe it. `omitted` means that inserts may leave its
    value to the database, `empty` that they may write NULL."""

    name: str
    empty: bool = False
    omitted: bool = False


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table as the models of a release describe it, with the columns that it keeps unique."""

    columns: Mapping[str, KnownColumn]
    uniques: frozenset[frozenset[str]] = frozenset()
    constraints: frozenset[str] = frozenset()


Released = Mapping[TableName, KnownTable]


@dataclass(frozen=True, slots=True)
class Break:
    """Queries of the previous release that fail after a step."""

    table: TableName
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} of {self.table} fail: {self.why}"


# --- what a release knows ------------------------------------------------------------------------


def released(
    state: RecordingState, schema: str, longest: int | None
) -> dict[TableName, KnownTable]:
    """The tables of the models of a state."""
    known: dict[TableName, KnownTable] = {}
    for model in state.models.values():
        if model.options.get("proxy") or not (has_own_table(model) or _is_unmanaged(model)):
            continue
        for table in tables_of(model, longest).values():  # of many-to-many fields as well
            known[table_of(table, schema)] = KnownTable({})
        name = table_of(db_table_of(model, longest), schema)
        known[name] = _known_table(model)
    return known


def _is_unmanaged(model: Any) -> bool:
    return model.options.get("managed", True) is False


def _known_table(model: Any) -> KnownTable:
    own = {name: each for name, each in model.fields.items() if _has_column(each)}
    names = {name: _column_name(name, each) for name, each in own.items()}
    columns = [_known_column(names[name], each) for name, each in own.items()]
    sets = [{names[n]} for n, each in own.items() if each.unique]
    sets += [
        {names.get(n, n) for n in group} for group in model.options.get("unique_together") or ()
    ]
    given = model.options.get("constraints", ())
    sets += [
        {names.get(n, n) for n in each.fields} for each in given if getattr(each, "fields", ())
    ]
    return KnownTable(
        {column.name: column for column in columns},
        frozenset(map(frozenset, sets)),
        frozenset(each.name for each in given),
    )


def _has_column(field_: Any) -> bool:
    return not (field_.many_to_many or hasattr(field_, "field_names"))


def _column_name(name: str, field_: Any) -> str:
    if field_.db_column:
        return str(field_.db_column)
    return f"{name}_id" if field_.remote_field and hasattr(field_, "from_fields") else name


def _known_column(name: str, field_: Any) -> KnownColumn:
    automatic = field_.get_internal_type() in ("AutoField", "BigAutoField", "SmallAutoField")
    omitted = automatic or field_.has_db_default() or bool(getattr(field_, "generated", False))
    return KnownColumn(name, empty=bool(field_.null), omitted=omitted)


# --- what a change breaks ------------------------------------------------------------------------


def breaks(
    known: Released, before: SchemaGraph, after: SchemaGraph, touched: Iterable[TableName]
) -> tuple[Break, ...]:
    """What fails after a change and did not before, in the tables that the release knows."""
    found: list[Break] = []
    for name in dict.fromkeys(touched):
        table, was, now = known.get(name), before.table(name), after.table(name)
        if table is None or was is None or was is now:
            continue
        if now is None:
            found.append(Break(name, READS, "the table is gone"))
        else:
            found += _Change(name, table, was, now, after).breaks()
    return tuple(dict.fromkeys(found))


def without_dropped(
    known: Released, before: SchemaGraph, after: SchemaGraph, touched: Iterable[TableName]
) -> Released:
    """The release without the constraints that a change drops: later ones of their names are
    others."""
    found = dict(known)
    for name in touched:
        was, now = before.table(name), after.table(name)
        if name in known and was is not now and was and now:
            gone = _constraint_names(was) - _constraint_names(now)
            found[name] = replaced(known[name], constraints=known[name].constraints - gone)
    return found


def _constraint_names(table: Table) -> set[str]:
    checks = {check.name for check in table.checks}
    return checks | {exclusion.name for exclusion in table.exclusions}


@dataclass(frozen=True, slots=True)
class _Change:
    """One table before and after a step."""

    name: TableName
    known: KnownTable
    was: Table
    now: Table
    graph: SchemaGraph

    def breaks(self) -> Iterator[Break]:
        for column in self.was.columns:
            if column.name in self.known.columns and self.now.column(column.name) is None:
                yield self._break(READS, f"column {column.name} is gone")
        for column in self.now.columns:
            if why := self._of_column(column):
                yield self._break(*why)
        yield from self._of_constraints()

    def _break(self, what: str, why: str) -> Break:
        return Break(self.name, what, why)

    def _of_column(self, now: Column) -> tuple[str, str] | None:
        was, known = self.was.column(now.name), self.known.columns.get(now.name)
        if was is now:
            return None
        if known is None or was is None:
            return self._required(was, now) if known is None else None
        if _family(was.type) != _family(now.type):
            return READS, f"column {now.name} is {now.type}, not {was.type}"
        if narrows(was.type, now.type):
            return WRITES, f"column {now.name} holds no more than {now.type}"
        if now.collation != was.collation and self._is_nondeterministic(now.collation):
            return READS, f"LIKE on column {now.name} needs a deterministic collation"
        if not now.nullable and was.nullable and known.empty:
            return WRITES, f"column {now.name} refuses NULL"
        return self._left_out(was, now, known)

    def _required(self, was: Column | None, now: Column) -> tuple[str, str] | None:
        """A column that the release does not name."""
        if _may_be_left_out(now) or (was is not None and not _may_be_left_out(was)):
            return None
        return WRITES, f"inserts leave out column {now.name}, which is NOT NULL without a default"

    def _left_out(self, was: Column, now: Column, known: KnownColumn) -> tuple[str, str] | None:
        if now.generated and not was.generated and not known.omitted:
            return WRITES, f"column {now.name} is generated"
        if now.identity == "always" and was.identity != "always" and not known.omitted:
            return WRITES, f"column {now.name} takes only values of its identity"
        if known.omitted and _may_be_left_out(was) and not _may_be_left_out(now):
            return WRITES, f"inserts leave column {now.name} to a default that is gone"
        return None

    def _is_nondeterministic(self, collation: str) -> bool:
        bare = collation.rpartition(".")[2].strip('"')
        return any(not c.deterministic and c.name.name == bare for c in self.graph.collations)

    # --- constraints -----------------------------------------------------------------------------

    def _of_constraints(self) -> Iterator[Break]:
        for check in self.now.checks:
            new = check.valid and not self._had("checks", check)
            if new and self._concerns(check.columns) and not self._is_null_check(check):
                yield self._break(WRITES, f"check {check.name} refuses rows")
        for key in self.now.foreign_keys:
            same = any(k.columns == key.columns for k in self.was.foreign_keys)
            if not same and self._concerns(key.columns):
                yield self._break(WRITES, f"foreign key {key.name} refuses rows")
        for item in self.now.exclusions:
            if not self._had("exclusions", item) and self._concerns(item.columns):
                yield self._break(WRITES, f"exclusion {item.name} refuses rows")
        old = set(_unique_sets(self.was))
        for columns in _unique_sets(self.now):
            if columns not in old and columns not in self.known.uniques and self._repeats(columns):
                named = ", ".join(sorted(columns))
                yield self._break(WRITES, f"duplicates in {named} are refused")

    def _had(self, part: str, item: Any) -> bool:
        """Does the release obey the constraint? One of its name may have had another condition."""
        known = item.name in self.known.constraints
        old = next((each for each in getattr(self.was, part) if each.name == item.name), None)
        if old is None:
            return known
        return _condition(old) == _condition(item) and (known or getattr(old, "valid", True))

    def _is_null_check(self, check: Any) -> bool:
        """On the way to NOT NULL the check refuses what the column will; the release may be free
        of NULLs."""
        if len(check.columns) != 1 or "IS NOT NULL" not in check.expression.upper():
            return False
        known = self.known.columns.get(check.columns[0])
        return known is not None and not known.empty

    def _concerns(self, columns: Iterable[str]) -> bool:
        """Does the release write one of the columns?"""
        return any(name in self.known.columns for name in columns)

    def _repeats(self, columns: frozenset[str]) -> bool:
        """May rows that the release writes have the same values? NULLs are never the same."""
        unknown = [name for name in columns if name not in self.known.columns]
        if not unknown:
            return True
        new = [self.now.column(name) for name in unknown]
        return all(column is not None and column.default is not None for column in new)


def _condition(item: Any) -> str:
    return str(getattr(item, "expression", "") or getattr(item, "definition", ""))


def _unique_sets(table: Table) -> Iterator[frozenset[str]]:
    for unique in table.uniques:
        yield frozenset(unique.columns)
    for index in table.indexes:
        if index.unique and index.valid:
            yield frozenset(index.columns)
    if table.primary_key:
        yield frozenset(table.primary_key.columns)


def _may_be_left_out(column: Column) -> bool:
    given = column.default is not None or column.identity or column.generated
    return column.nullable or bool(given)


_FAMILIES = {
    "smallint": "integer",
    "bigint": "integer",
    "character varying": "text",
    "character": "text",
    "citext": "text",
    "real": "float",
    "double precision": "float",
}


def _family(kind: str) -> str:
    """Types whose values code writes and compares alike."""
    dims = kind.count("[]")
    base = kind.replace("[]", "").partition("(")[0].strip()
    rest = kind.partition(")")[2].replace("[]", "")
    base = (base + rest).rpartition(".")[2]
    return _FAMILIES.get(base, base) + "[]" * dims

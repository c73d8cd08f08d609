"""pg_catalog → graph: the only reader of a schema.

Two round trips whatever the size of the schema; each query is a file in `queries/` that runs in
psql.
PostgreSQL prints every text under `search_path = pg_catalog`, so that two readings differ only
where the schemas do.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

from zanith_django.postgres.names import TableName
from zanith_django.postgres.rows import several_rows
from zanith_django.schema.catalog_rows import ConstraintRow, IndexKeyRow
from zanith_django.schema.dependents import Rule, Statistics, Trigger
from zanith_django.schema.encoding import shared
from zanith_django.schema.graph import (
    LONE_SEQUENCE,
    Check,
    Collation,
    Column,
    Exclusion,
    Extension,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

HIDDEN = "_zanith_"

_ACTIONS: Final = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}

_MATCHES: Final = {"s": "SIMPLE", "f": "FULL", "p": "PARTIAL"}
_IDENTITIES: Final = {"": "", "a": "always", "d": "by default"}
_STORAGES: Final = {"": "", "p": "plain", "e": "external", "m": "main", "x": "extended"}
_COMPRESSIONS: Final = {"": "", "p": "pglz", "l": "lz4"}
_COMMANDS: Final = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
_ENABLED: Final = {"O": "", "D": "disabled", "R": "replica", "A": "always"}
_REPLICA_IDENTITIES: Final = {"d": "", "n": "nothing", "f": "full", "i": "index"}
_PROVIDERS: Final = {"d": "default", "i": "icu", "c": "libc", "b": "builtin"}

# pg_index.indoption: bit 1 is descending, bit 2 nulls first, which descending implies.
_ORDERS: Final = {0: ("", ""), 1: ("DESC", "LAST"), 2: ("", "FIRST"), 3: ("DESC", "")}
type_of_row = tuple[Any, ...]

# In the order in which they are sent: the first one lists the tables for the others.
QUERIES: Final = (
    *("tables", "columns", "constraints", "indexes", "policies", "triggers", "rules"),
    *("statistics", "extensions", "collations", "schemas"),
)


def from_catalog(
    cursor: Any,
    *,
    schemas: Sequence[str] | None = None,
    default_schema: str | None = None,
    tables: Iterable[TableName] | None = None,
) -> SchemaGraph:
    """Read the schema that `cursor` sees: a psycopg 3 cursor whose rows are tuples, or Django's.

    `schemas` are the schemas to read, which may be temporary; None reads all schemas of users.
    `default_schema` is the one that the graph leaves unnamed; None takes `current_schema()`.
    `tables` narrows the reading to these. It changes no setting of the session: it runs in a
    transaction, or in a savepoint of the caller's, that is rolled back.
    """
    names = None if tables is None else list(tables)
    if names == [] or schemas == []:
        return SchemaGraph(default_schema=default_schema or "public")
    wanted = (
        default_schema,
        None if schemas is None else list(schemas),
        None if names is None else [name.schema for name in names],
        None if names is None else [name.name for name in names],
    )
    with settled(cursor, wanted) as default:
        return graph_of(default, several_rows(cursor, [*map(query_text, QUERIES)]))


@contextmanager
def settled(cursor: Any, wanted: Sequence[Any]) -> Iterator[str]:
    """A transaction that is rolled back, with the settings that `queries/settings.sql` describes;
    gives the default schema."""
    with cursor.connection.transaction(force_rollback=True):
        cursor.execute(query_text("settings"), wanted)
        yield cursor.fetchone()[0]


def graph_of(default: str, found: Sequence[list[type_of_row]]) -> SchemaGraph:
    """The graph of the rows that `QUERIES` gave."""
    return _Reading(default).graph(dict(zip(QUERIES, found, strict=True)))


@functools.cache
def query_text(query: str) -> str:
    return (resources.files(__package__) / "queries" / f"{query}.sql").read_text("utf-8")


# The last fields in the row of a key that is a plain column.
_PLAIN_KEY: Final = (None, None, None, None, 0)
_index_of = operator.itemgetter(1)


class _Reading:
    """Collects the rows of one reading, table by table."""

    def __init__(self, default_schema: str) -> None:
        self.default_schema = default_schema
        # For each table (by oid) the names of its columns by number, hidden ones too.
        self.columns: defaultdict[int, dict[int, str]] = defaultdict(dict)
        self.hidden: dict[int, set[str]] = {}
        self.names: dict[tuple[str, str], TableName] = {}
        self.keys: dict[str, IndexKey] = {}
        # For each table the values of each field of `Table`.
        self.parts: defaultdict[int, defaultdict[str, list[Any]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def graph(self, found: Mapping[str, list[type_of_row]]) -> SchemaGraph:
        tables, columns, constraints = found["tables"], found["columns"], found["constraints"]
        self.name_columns(columns)
        self.add_columns(columns, {(row[0], int(row[3])) for row in constraints if row[1] == "n"})
        for row in map(ConstraintRow._make, constraints):
            self.add_constraint(row)
        self.add_indexes(map(IndexKeyRow._make, found["indexes"]))
        self.add_policies(found["policies"])
        self.add_triggers("triggers", Trigger, found["triggers"])
        self.add_triggers("rules", Rule, found["rules"])
        self.add_statistics(found["statistics"])
        return SchemaGraph(
            tables=tuple(map(self.table, tables)),
            extensions=tuple(Extension(*row) for row in found["extensions"]),
            collations=tuple(map(self.collation, found["collations"])),
            schemas=tuple(name for (name,) in found["schemas"] if name != self.default_schema),
            default_schema=self.default_schema,
        )

    # --- tables and their neighbours ---------------------------------------------------------

    def name(self, schema: str, name: str) -> TableName:
        known = self.names.get((schema, name))
        if known is None:
            known = TableName("" if schema == self.default_schema else schema, name)
            self.names[schema, name] = known
        return known

    def table(self, row: type_of_row) -> Table:
        (
            oid, schema, name, comment, options, tablespace, unlogged,
            row_security, force_row_security, partition_key, partition, parents, bound,
            replica_identity, replicated,
        ) = row  # fmt: skip
        parts = self.parts[oid]
        keys = parts.pop("primary_key", [None])
        above = tuple(self.name(*parent) for parent in parents or ())
        return Table(
            name=self.name(schema, name),
            primary_key=keys[0],
            comment=comment,
            options=_sorted(options),
            tablespace=tablespace,
            unlogged=unlogged,
            row_security=row_security,
            force_row_security=force_row_security,
            partition_key=partition_key,
            partition_of=above[0] if partition else None,
            partition_bound=bound,
            inherits=() if partition else above,
            replica_identity=_REPLICA_IDENTITIES[replica_identity],
            replicated=replicated,
            **{part: tuple(items) for part, items in parts.items()},
        )

    def collation(self, row: type_of_row) -> Collation:
        schema, name, provider, locale, deterministic = row
        return Collation(self.name(schema, name), _PROVIDERS[provider], locale or "", deterministic)

    # --- the parts of a table -------------------------------------------------------------------

    def add(self, table: int, part: str, item: Any, reads: Iterable[str] = ()) -> None:
        """Adds `item`, unless it belongs to zanith or reads a hidden column."""
        if item.name.removeprefix("~").startswith(HIDDEN):
            return
        if table in self.hidden and not self.hidden[table].isdisjoint(reads):
            return
        self.parts[table][part].append(item)

    def named(self, table: int, numbers: str | None) -> tuple[str, ...]:
        """Names of the columns whose numbers are in `numbers`, in order; 0 is an expression."""
        if not numbers:
            return ()
        columns = self.columns[table]
        return tuple([columns[int(n)] for n in numbers.split(" ") if n != "0"])

    def read(self, table: int, numbers: Iterable[int] | None, *more: str) -> tuple[str, ...]:
        """Names of the columns of these numbers, and `more`, sorted."""
        columns = self.columns[table]
        return tuple(sorted({*more, *(columns[number] for number in numbers or ())}))

    def name_columns(self, rows: list[type_of_row]) -> None:
        for table, number, name, *_ in rows:
            self.columns[table][number] = name
            if name.startswith(HIDDEN):
                self.hidden.setdefault(table, set()).add(name)

    def add_columns(self, rows: list[type_of_row], unsure: set[tuple[int, int]]) -> None:
        # Equal columns of many tables (an id, a name, a time of creation) share one value.
        known: dict[type_of_row, Column] = {}
        for row in rows:
            if row[2].startswith(HIDDEN):
                continue
            # PostgreSQL 18 reports NOT NULL for a column whose constraint is not valid yet.
            if unsure and (row[0], row[1]) in unsure:
                row = (*row[:4], True, *row[5:])
            column = known.get(row[2:])
            if column is None:
                column = known[row[2:]] = shared(_column(*row[2:]))
            self.parts[row[0]]["columns"].append(column)

    def add_constraint(self, row: ConstraintRow) -> None:
        columns = self.named(row.table, row.columns)
        # PostgreSQL 18: a key WITHOUT OVERLAPS is an exclusion by another name.
        if row.kind == "x" or (row.kind in "pu" and row.expression):
            self.add_exclusion(row, columns)
        elif row.kind == "c":
            self.add_check(row, tuple(sorted(columns)))
        elif row.kind == "f":
            self.add_foreign_key(row, columns)
        elif row.kind in "pu":
            self.add_key(row, columns)

    def add_key(self, row: ConstraintRow, columns: tuple[str, ...]) -> None:
        include = self.named(row.table, row.include)
        reads, options = columns + include, _sorted(row.options)
        if row.kind == "p":
            key = PrimaryKey(
                row.name, columns, include, row.deferrable, row.comment, options, row.tablespace
            )
            self.add(row.table, "primary_key", key, reads)
        else:
            unique = Unique(
                row.name,
                columns,
                include,
                row.nulls_not_distinct,
                row.deferrable,
                row.comment,
                options,
                row.tablespace,
            )
            self.add(row.table, "uniques", unique, reads)

    def add_foreign_key(self, row: ConstraintRow, columns: tuple[str, ...]) -> None:
        on_delete = _ACTIONS[row.on_delete]
        if row.set_columns:
            only = ", ".join(map(_quoted, self.named(row.table, row.set_columns)))
            on_delete += f" ({only})"
        key = ForeignKey(
            row.name,
            columns,
            self.name(row.referenced_schema, row.referenced_table),
            tuple(row.referenced_names or self.named(row.referenced, row.referenced_columns)),
            on_delete,
            _ACTIONS[row.on_update],
            _MATCHES[row.match],
            row.deferrable,
            row.valid,
            row.enforced,
            row.comment,
            row.period,
        )
        self.add(row.table, "foreign_keys", key, columns)

    def add_check(self, row: ConstraintRow, columns: tuple[str, ...]) -> None:
        check = Check(
            row.name,
            row.expression,
            columns,
            row.valid,
            row.no_inherit,
            row.enforced,
            row.comment,
        )
        self.add(row.table, "checks", check, columns)

    def add_exclusion(self, row: ConstraintRow, columns: tuple[str, ...]) -> None:
        reads = self.read(row.table, row.reads, *columns)
        exclusion = Exclusion(row.name, row.expression, reads, row.comment)
        self.add(row.table, "exclusions", exclusion, reads)

    def add_indexes(self, rows: Iterable[IndexKeyRow]) -> None:
        """Reads one index from each run of rows with the same oid: its keys, then its included
        columns."""
        for _, keys in itertools.groupby(rows, key=_index_of):
            self.add_index(list(keys))

    def add_index(self, rows: list[IndexKeyRow]) -> None:
        row, columns = rows[0], self.columns[rows[0].table]
        keys = tuple([self.index_key(key, columns) for key in rows if not key.included])
        include = tuple([columns[key.column] for key in rows if key.included])
        if row.reads is None and len(rows) == 1:
            reads: tuple[str, ...] = (keys[0].column,)
        else:
            named = [columns[key.column] for key in rows if key.column]
            reads = self.read(row.table, row.reads, *named)
        index = Index(
            row.name,
            keys,
            row.method,
            row.unique,
            include,
            row.predicate or "",
            row.nulls_not_distinct,
            _sorted(row.options),
            row.tablespace,
            row.valid,
            reads,
            row.comment,
        )
        self.add(row.table, "indexes", index, reads)

    def index_key(self, row: IndexKeyRow, columns: dict[int, str]) -> IndexKey:
        if row[-5:] == _PLAIN_KEY:
            return self.plain_key(columns[row.column])
        opclass = row.opclass or ""
        if row.parameters:
            opclass += f"({', '.join(map(_parameter, sorted(row.parameters)))})"
        order, nulls = _ORDERS[row.option]
        column = columns[row.column] if row.column else ""
        return IndexKey(column, row.expression or "", opclass, row.collation or "", order, nulls)

    def plain_key(self, column: str) -> IndexKey:
        """The key of a plain column; equal keys share one value."""
        key = self.keys.get(column)
        if key is None:
            key = self.keys[column] = shared(IndexKey(column))
        return key

    def add_policies(self, rows: list[type_of_row]) -> None:
        for table, name, command, roles, using, check, permissive, numbers, comment in rows:
            policy = Policy(
                name,
                _COMMANDS[command],
                tuple(sorted(roles)),
                using or "",
                check or "",
                permissive,
                comment,
            )
            self.add(table, "policies", policy, self.read(table, numbers))

    def add_triggers(
        self, part: str, kind: type[Trigger] | type[Rule], rows: list[type_of_row]
    ) -> None:
        for table, name, definition, enabled, numbers in rows:
            item = kind(name, definition, _ENABLED[enabled])
            self.add(table, part, item, self.read(table, numbers))

    def add_statistics(self, rows: list[type_of_row]) -> None:
        for table, name, definition, numbers in rows:
            self.add(table, "statistics", Statistics(name, definition), self.read(table, numbers))


def _column(
    name: str,
    kind: str,
    nullable: bool,
    default: str | None,
    serials: str | None,
    identity: str,
    generated: str,
    collation: str,
    storage: str,
    compression: str,
    comment: str,
    sequence: str | None,
    alone: bool,
) -> Column:
    serial = serials is not None and default in serials.split("\n")
    return Column(
        name,
        kind,
        nullable,
        None if serial or generated else default,
        "serial" if serial else _IDENTITIES[identity],
        default or "" if generated else "",
        generated == "v",
        collation,
        _STORAGES[storage],
        _COMPRESSIONS[compression],
        comment,
        LONE_SEQUENCE if alone else sequence or "",
    )


def _sorted(options: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(options)) if options else ()


def _parameter(option: str) -> str:
    """An option such as `siglen=32`, from the catalog, in the spelling of CREATE INDEX."""
    name, _, value = option.partition("=")
    return f"{name}='" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

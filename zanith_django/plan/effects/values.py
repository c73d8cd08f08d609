"""The effect of one statement: its locks, its work, its findings, and the schema after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from zanith_django.operations.moves import TableMove
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import index_names


@dataclass(frozen=True, slots=True)
class Finding:
    """A code of `plan/reasons` and the table whose rows or users it concerns; None if it concerns
    no table, or one that the text does not name."""

    code: str
    table: TableName | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """A name for which the statement fails: of something that does not exist, or that exists
    already. `code` is "" if that is not certain."""

    code: str
    what: str


ColumnMove = tuple[TableName, str, str]
"""The table of a column, its old and its new name."""

ALL = "*"

INSERT, UPDATE, DELETE = "insert", "update", "delete"


@dataclass(frozen=True, slots=True)
class RowWrite:
    """Rows of a table that are inserted, updated or deleted; of an update the columns that get
    another value than NULL, `ALL` if they are unknown."""

    table: TableName
    how: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """One statement, or other code: then `sql` is its title in a comment, and it is `titled`.

    `locks` are the relations that it locks until its transaction ends, each with its strongest
    lock. `work` are the tables whose rows it reads or writes one by one, `rewrites` those that it
    writes to new files, `fills` those that may have rows after it. `moves` are the tables that it
    creates, renames or drops, in order; `views` the views that it drops or renames, `adds` the new
    ones. A statement that is not `transactional` runs outside a transaction, one `within` only
    inside of one. `opaque` means that it may do more than this. It fails for each of `misses`.
    `alters` are the tables that it cannot change while triggers wait for the end of the
    transaction; `settles` are the constraints whose triggers SET CONSTRAINTS … IMMEDIATE runs now,
    `ALL` if it names none. `writes` are the rows that it writes. Django runs a `deferred` one at
    the end of the migration. `domain` is a domain with a constraint that it creates. It `renames`
    columns, and existing rows get the constants that are `given` in new ones. `danger` is a
    function that it creates and that may drop or delete. Its transaction `waits` while it runs.
    `query` is the text that was sent with it, if that has other statements too: PostgreSQL runs all
    of them in one transaction, also where no transaction was begun.
    """

    sql: str
    titled: bool = field(default=False, kw_only=True)
    locks: Mapping[TableName, Lock] = field(default_factory=dict)
    work: tuple[TableName, ...] = ()
    rewrites: tuple[TableName, ...] = ()
    findings: tuple[Finding, ...] = ()
    moves: tuple[TableMove, ...] = ()
    fills: tuple[TableName, ...] = ()
    views: tuple[TableName, ...] = ()
    transactional: bool = True
    opaque: bool = False
    misses: tuple[Miss, ...] = ()
    alters: tuple[TableName, ...] = ()
    settles: tuple[str, ...] = ()
    domain: str = ""
    renames: tuple[ColumnMove, ...] = ()
    given: Mapping[TableName, Mapping[str, str]] = field(default_factory=dict)
    deferred: bool = False
    within: bool = False
    adds: tuple[TableName, ...] = ()
    query: str = ""
    writes: tuple[RowWrite, ...] = ()
    danger: str = ""
    waits: bool = False

    def known(self, relations: frozenset[TableName] | None) -> frozenset[TableName] | None:
        """The relations of the database after it; None once they are unknown."""
        if relations is None or self.opaque:
            return None
        gone = {*self.views, *(move.old for move in self.moves)}
        return relations - gone | {move.new for move in self.moves if move.new} | {*self.adds}

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.code for finding in self.findings))


_WRITES = {"inserts_rows": INSERT, "deletes_rows": DELETE, "deletes_all_rows": DELETE}


def on_rows(
    code: str, table: TableName | None, *, title: str, works: bool, sets: tuple[str, ...]
) -> Effect:
    """What Python does to rows; those of a table that is not known may be those of any. `sets` are
    the columns that get a value in existing rows."""
    how = _WRITES.get(code, UPDATE if sets else "")
    return Effect(
        f"-- Python: {title}" if title else "",
        locks={table: Lock.ROW_EXCLUSIVE} if table else {},
        work=(table,) if table and works else (),
        findings=(Finding(code, table),),
        fills=(table,) if table else (),
        opaque=table is None and works,
        titled=bool(title),
        writes=(RowWrite(table, how, sets),) if table and how else (),
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts before a statement: the schema, and how the session resolves names.

    `elsewhere` are tables that an unqualified name finds in a later schema of the search path.
    `domains` are the domains that have a constraint. `relations` are all tables, views and foreign
    tables of the database; None if that is unknown. `dangers` are functions of the plan that may
    drop or delete. `path` is the first schema of a search path that a statement has set.
    """

    graph: SchemaGraph = field(default_factory=SchemaGraph)
    schema: str = "public"
    version: int = 150000
    elsewhere: Mapping[str, TableName] = field(default_factory=dict)
    domains: frozenset[str] = frozenset()
    relations: frozenset[TableName] | None = None
    dangers: frozenset[str] = frozenset()
    path: str = ""

    def after(self, effects: Iterable[Effect], graph: SchemaGraph) -> Scene:
        """What is known after statements; one that may do anything may have made any table."""
        relations, domains, dangers = self.relations, self.domains, self.dangers
        for effect in effects:
            relations = effect.known(relations)
            domains |= {effect.domain} - {""}
            dangers |= {effect.danger} - {""}
        return dataclasses.replace(
            self, graph=graph, relations=relations, domains=domains, dangers=dangers
        )

    @property
    def is_known(self) -> bool:
        """Is this the schema of a database? Without one, any object may exist that no model
        declares."""
        return self.relations is not None

    def is_absent(self, name: TableName) -> bool:
        """Is it certain that nothing has this name?"""
        return self.relations is not None and name not in self.relations and name not in self.graph

    def place(self, schema: str) -> str:
        """The schema of a name in a statement, as `TableName` has it."""
        found = schema or self.path
        return "" if found == self.schema else found

    def name(self, schema: str, name: str) -> TableName:
        """The table that a name finds."""
        own = TableName(self.place(schema), name)
        if schema:
            return own
        if own in self.graph:
            return own
        return self.elsewhere.get(name, own)

    def table(self, name: TableName) -> Table | None:
        return self.graph.table(name)

    def heirs(self, name: TableName) -> Iterator[TableName]:
        """The partitions and other heirs of a table, at every depth."""
        for table in self.graph.heirs:
            if table.partition_of == name or name in table.inherits:
                yield table.name
                yield from self.heirs(table.name)

    def default_partitions(self, parent: TableName) -> Iterator[TableName]:
        """Rows of new and detached partitions concern the DEFAULT partition as well."""
        for table in self.graph.heirs:
            if table.partition_of == parent and "DEFAULT" in table.partition_bound.upper():
                yield table.name

    def referrers(self, name: TableName) -> Iterator[Table]:
        """The tables with a foreign key to this one."""
        for table in self.graph.tables:
            if any(key.references == name for key in table.foreign_keys):
                yield table

    def owner(self, schema: str, index: str) -> Table | None:
        """The table that has an index of this name, its own or of a constraint."""
        place = self.place(schema)
        for table in self.graph.tables:
            if table.name.schema == place and index in index_names(table):
                return table
        return None


@dataclass(slots=True)
class Notes:
    """Collects the effect of a statement; `graph` is the schema after it."""

    scene: Scene
    graph: SchemaGraph
    locks: dict[TableName, Lock] = field(default_factory=dict)
    work: list[TableName] = field(default_factory=list)
    rewrites: list[TableName] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    moves: list[TableMove] = field(default_factory=list)
    fills: list[TableName] = field(default_factory=list)
    views: list[TableName] = field(default_factory=list)
    transactional: bool = True
    opaque: bool = False
    misses: list[Miss] = field(default_factory=list)
    alters: list[TableName] = field(default_factory=list)
    settles: tuple[str, ...] = ()
    domain: str = ""
    renames: list[ColumnMove] = field(default_factory=list)
    given: dict[TableName, dict[str, str]] = field(default_factory=dict)
    within: bool = False
    adds: list[TableName] = field(default_factory=list)
    writes: list[RowWrite] = field(default_factory=list)
    danger: str = ""
    waits: bool = False

    @classmethod
    def of(cls, scene: Scene) -> Notes:
        return cls(scene, scene.graph)

    def lock(self, name: TableName, lock: Lock, *, heirs: bool = True) -> None:
        names = [name, *(self.scene.heirs(name) if heirs else ())]
        for each in names:
            self.locks[each] = max(lock, self.locks.get(each, Lock.NONE))

    def works(self, name: TableName, *, heirs: bool = True) -> None:
        self.work += [name, *(self.scene.heirs(name) if heirs else ())]

    def rewritten(self, name: TableName, *, heirs: bool = True) -> None:
        names = [name, *(self.scene.heirs(name) if heirs else ())]
        self.work += names
        self.rewrites += names
        self.find("rewrites_table", name)

    def writes_rows(self, name: TableName, how: str, columns: Iterable[str] = ()) -> None:
        self.writes.append(RowWrite(name, how, tuple(columns)))

    def find(self, code: str, table: TableName | None = None) -> None:
        self.findings.append(Finding(code, table))

    def find_all(self, codes: Iterable[str], table: TableName | None = None) -> None:
        for code in codes:
            self.find(code, table)

    def change(self, name: TableName, change: Callable[[Table], Table]) -> None:
        """Changes a table of the schema after the statement."""
        self.graph = self.graph.changed(name, change)

    def missing(self, code: str, what: str) -> None:
        self.misses.append(Miss(code, what))

    def unknown(self) -> None:
        """Marks the effect as unknown."""
        self.opaque = True
        self.find("raw_sql")

    def done(self, sql: str) -> Effect:
        return Effect(
            sql,
            self.locks,
            tuple(dict.fromkeys(self.work)),
            tuple(dict.fromkeys(self.rewrites)),
            tuple(dict.fromkeys(self.findings)),
            tuple(self.moves),
            tuple(dict.fromkeys(self.fills)),
            tuple(self.views),
            self.transactional,
            self.opaque,
            tuple(dict.fromkeys(self.misses)),
            tuple(dict.fromkeys(self.alters)),
            self.settles,
            self.domain,
            tuple(self.renames),
            self.given,
            within=self.within,
            adds=tuple(self.adds),
            writes=tuple(dict.fromkeys(self.writes)),
            danger=self.danger,
            waits=self.waits,
        )

"""The base of operations: one change of one kind, complete in itself, and its SQL."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, LiteralString, TypeVar

from zanith_django.operations.answers import ColumnRename, DjangoCode, Loss, Piece
from zanith_django.operations.context import Context as Context, TableFacts as TableFacts
from zanith_django.operations.moves import TableMove
from zanith_django.operations.statements import (
    Batches as Batches,
    Copies as Copies,
    Default as Default,
    PythonCall as PythonCall,
    Rounds as Rounds,
    Statement as Statement,
    WithDefault as WithDefault,
    apart as apart,
    phased as phased,
    script as script,
)
from zanith_django.operations.touches import Touch
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.parts import Part
from zanith_django.schema.stored import decode, encode

KINDS: dict[str, type[Operation]] = {}

KEPT_SCHEMA = "_zanith_kept"
OWN_PREFIX = "_zanith_"
NOTE = "Kept by zanith. "
"""The beginning of the comment on a kept object; JSON follows."""


class Operation:
    """Base of every kind. A subclass is a frozen dataclass that sets `kind`.

    Declaring a subclass registers it. Reverse SQL is never written: it is the SQL of `inverse()`.
    Engines ask an operation and never test its class: `QUESTIONS` lists the questions with a
    default answer here, and the contract test demands a decision of every kind.
    """

    __slots__ = ()
    kind: ClassVar[str]
    adds: ClassVar[Part | None] = None
    """The kind of part that it adds to its table."""
    drops: ClassVar[Part | None] = None
    """The kind of part that it drops from its table."""
    renames: ClassVar[tuple[Part, ...]] = ()
    """The kinds of parts that it renames."""

    in_files: ClassVar[bool] = True
    """Can a file contain it? The other kinds are created when they run, and are not registered."""

    derived: ClassVar[bool] = True
    """Django's own operations can do its work; False for a kind that is only written by hand."""

    needs_table: ClassVar[bool] = False
    """Its statements fail if its table is missing."""
    counts_rows: ClassVar[bool] = False
    """Its checkpoint counts the rows that it wrote; another attempt with other values may continue
    after them."""

    def __init_subclass__(cls) -> None:
        if "kind" in cls.__dict__ and cls.in_files:
            KINDS[cls.kind] = cls

    @property
    def target(self) -> str:
        """The object that it changes, for people and for JSON: `users.last_login`."""
        raise NotImplementedError

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables whose data or definition it touches."""
        raise NotImplementedError

    @property
    def item(self) -> Any:
        """The column, constraint, index, … that it adds or drops; None for most."""
        part = self.adds or self.drops
        return getattr(self, part.argument) if part else None

    @property
    def moves(self) -> tuple[TableMove, ...]:
        """The tables that it creates, renames or ends, in order."""
        return ()

    def describe(self) -> str:
        """One line for people, without a full stop."""
        raise NotImplementedError

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """The least blocking SQL that the server's version has."""
        raise NotImplementedError

    def inverse(self) -> Operation | None:
        """The opposite operation; None if there is none."""
        raise NotImplementedError

    def retreat(self, context: Context) -> tuple[Statement, ...] | None:
        """Removes the objects of an attempt that did not finish; missing ones are no error. None
        if it can only be finished.

        For operations with several transactions: a single one that fails leaves nothing.
        """
        return None

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        """The graph after this operation."""
        raise NotImplementedError

    def reasons(self, context: Context) -> tuple[str, ...]:
        """Codes of `plan/reasons`."""
        raise NotImplementedError

    def touches(self, context: Context) -> tuple[Touch, ...]:
        """Its effects on columns, tables and keys that other objects may depend on."""
        return ()

    def refused(self, context: Context) -> str:
        """Why its statements would refuse to run; "" for most."""
        return ""

    def artifact(self, context: Context) -> Artifact | None:
        """The restorable object that it keeps; None for most."""
        return None

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns to which it gives values in existing rows, at least in those that are NULL."""
        return ()

    @property
    def recoverable(self) -> bool:
        """Can zanith_recover restore the objects that it removes?"""
        return False

    @property
    def passed_over(self) -> bool:
        """Does a rollback skip it, because its effect is valid in the schema before it too?"""
        return False

    @property
    def breaks_unseen(self) -> bool:
        """May code of a release fail on it although it changes no column, table or constraint that
        the code knows?"""
        return False

    @property
    def loses_nothing(self) -> bool:
        """Did its values replace no other value? Then `zanith_rollback --keep-values` skips it."""
        return False

    @property
    def own_sql(self) -> bool:
        """Is everything that it creates and changes in the schema of its table? That excludes raw
        SQL, Python, and objects that other schemas or databases share."""
        return True

    # --- questions that engines ask; see QUESTIONS ----------------------------------------------

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The columns, constraints, indexes and policies that it adds to existing tables."""
        return (Piece(self.tables[0], self.adds, self.item),) if self.adds else ()

    @property
    def creates_table(self) -> Table | None:
        """The table that it creates."""
        return None

    def brings_back(self, context: Context) -> TableName | None:
        """The kept table that gets its name and place again, with its rows."""
        return None

    @property
    def renames_only(self) -> bool:
        """Does it change only the name of a table or of a part of one?"""
        return bool(self.renames)

    @property
    def renamed_column(self) -> ColumnRename | None:
        """The column that it renames."""
        return None

    def in_names_of(self, graph: SchemaGraph) -> Operation | None:
        """The operation with the names that this schema has; None if it has nothing to do.

        A migration file contains names that follow from the states of the models. A database may
        have others: an older Django chose them, or its table had another name then. Names that
        `graph` does not have do not change, so that PostgreSQL reports the error.
        """
        return self

    def as_found(self, graph: SchemaGraph) -> Operation | None:
        """The operation with the previous state that its step found in this schema, so that the
        inverse restores changes by hand too; None if it changed nothing."""
        return self

    def is_in(self, graph: SchemaGraph) -> bool:
        """Does this schema already have exactly what it adds or creates, by a restore or by an
        interrupted attempt?"""
        return bool(self.pieces or self.creates_table) and self.in_names_of(graph) is None

    def adopts(self, graph: SchemaGraph) -> bool:
        """Does it adopt a column of this schema that zanith_recover restored?"""
        return False

    @property
    def loses(self) -> Loss | None:
        """The column or table that it removes permanently, with its values."""
        return None

    def keeping(self, graph: SchemaGraph) -> Operation | None:
        """The drop that keeps the values which this one loses; None if there are none. Raises
        `CannotDrop`."""
        return None

    @property
    def keeps_by_target(self) -> bool:
        """Does it keep an object that is found by its target? One migration can do that once."""
        return self.recoverable

    @property
    def authored(self) -> tuple[str | None, ...]:
        """The SQL and Python of its author; None for a text that is not in the operation."""
        return ()

    @property
    def atomic(self) -> bool:
        """Does its author's SQL or Python run in one transaction?"""
        return True

    @property
    def runs(self) -> DjangoCode | None:
        """The operation of a Django migration that it runs."""
        return None

    @property
    def filled_by(self) -> Default | str:
        """The Python source of the values that it writes: a field's default, or a dotted path."""
        return ""

    @property
    def foundation(self) -> str:
        """SQL that creates its object in a scratch, unless it exists, because tables need it; ""
        for most."""
        return ""

    @property
    def why_final(self) -> tuple[str, str]:
        """Why nothing undoes it, and what to do instead."""
        if self.loses_nothing:
            return f"which rows of {self.target} had no value is not recorded", (
                "zanith_rollback --keep-values leaves the values that the rows got."
            )
        if self.inverse() is None:
            return f"{self.kind} has no opposite", "Write a new migration that corrects it."
        return f"{self.kind} removed its data permanently", (
            "Restore the data from a backup; zanith_recover list shows what soft drops keep."
        )


QUESTIONS = (
    *("pieces", "creates_table", "renames_only", "renamed_column", "in_names_of", "adopts"),
    *("loses", "keeping", "keeps_by_target", "authored", "atomic", "runs", "filled_by"),
    *("foundation", "why_final", "loses_nothing", "breaks_unseen", "as_found", "brings_back"),
    *("derived", "adds", "drops", "renames", "counts_rows", "needs_table"),
)
"""The questions that a kind may leave to the default answer of `Operation`."""


class OnTable(Operation):
    """An operation on one table, which may be written as a string."""

    __slots__ = ()
    needs_table = True
    table: TableName

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", TableName.of(self.table))

    @property
    def target(self) -> str:
        return str(self.table)

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.table,)


class OnWholeTable(Operation):
    """An operation on a table as a whole, which it holds."""

    __slots__ = ()
    table: Table

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))


@dataclass(frozen=True, slots=True)
class Artifact:
    """The object that a recoverable drop keeps; a row of `_zanith_migration_artifacts`.

    `count` is a query with one number: the rows that hold data; `checksum` is one with a text that
    shows whether they were changed since, or "". `metadata` is the JSON data that a restore needs.
    """

    id: str
    type: str
    table: TableName
    column: str
    physical_name: str
    recovery_sql: str
    count: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    checksum: str = ""


def counts_rows(kind: str) -> bool:
    """`Operation.counts_rows` of a kind; False for a kind in the ledger that no longer exists."""
    return kind in KINDS and KINDS[kind].counts_rows


def dropped_name(artifact_id: str, part: str = "") -> str:
    """The name of a soft-dropped object: 12 hex digits of its artifact's id."""
    return own_name("dropped", f"{artifact_id}{part}")


def own_name(kind: str, of: str) -> str:
    """A zanith name, which no graph contains: `_zanith_<kind>_<12 hex digits>`."""
    return f"_zanith_{kind}_{hashlib.sha256(of.encode()).hexdigest()[:12]}"


def to_data(operation: Operation) -> dict[str, Any]:
    """An operation as plain JSON data."""
    data = encode(operation)
    assert isinstance(data, dict)
    return {"kind": operation.kind, **data}


def from_data(data: Mapping[str, Any]) -> Operation:
    """Inverse of `to_data`."""
    cls = KINDS[data["kind"]]
    operation = decode(cls, {key: value for key, value in data.items() if key != "kind"})
    assert isinstance(operation, Operation)
    return operation


Op = TypeVar("Op", bound=Operation)


def with_fields(operation: Op, **fields: Any) -> Op:
    """The same operation with other values in some fields."""
    value: Any = operation
    copy: Op = dataclasses.replace(value, **fields)
    return copy


def alter_table(
    context: Context,
    table: TableName,
    template: LiteralString,
    /,
    **parts: sql.Fragment,
) -> str:
    """`ALTER TABLE table <template>`."""
    return sql.compose(
        "ALTER TABLE {table} {change}",
        table=context.table(table),
        change=sql.clause(template, **parts),
    )


def changed(graph: SchemaGraph, name: TableName, **fields: Any) -> SchemaGraph:
    """`graph` with fields of one table replaced."""
    return graph.changed(name, lambda table: dataclasses.replace(table, **fields))


def must_have(graph: SchemaGraph, name: TableName) -> Table:
    """The table of that name; an empty one if the graph does not know it."""
    return graph.table(name) or Table(name)

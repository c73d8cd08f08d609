"""The parts of a table: the value of each kind, and one table with the properties of each kind.

Code that loops over parts (difference, equality, dependents, renames, obstacles, reports) reads
this table. `operations/parts.py` adds which operation adds, drops and renames a part of each kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Rule, Statistics, Trigger

LONE_SEQUENCE = "OWNED BY NONE"


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type`, `default` and `generated` are texts that PostgreSQL printed.

    `identity` is "", "always", "by default" or "serial"; `generated` is the expression of a
    generated column and `virtual` marks one that is computed on read (PostgreSQL 18). `sequence`
    has the unusual options of the column's own sequence: "MAXVALUE 2147483647", for instance;
    `LONE_SEQUENCE` marks a key whose sequence no column owns and no other default uses.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    identity: str = ""
    generated: str = ""
    virtual: bool = False
    collation: str = ""
    storage: str = ""
    compression: str = ""
    comment: str = ""
    sequence: str = ""


@final
@dataclass(frozen=True, slots=True)
class PrimaryKey:
    """The primary key of a table. `options` and `tablespace` are those of its index."""

    name: str
    columns: tuple[str, ...]
    include: tuple[str, ...] = ()
    deferrable: str = ""
    comment: str = ""
    options: tuple[str, ...] = ()
    tablespace: str = ""


@final
@dataclass(frozen=True, slots=True)
class Unique:
    """A unique constraint. `deferrable` is "", "immediate" or "deferred" (its initial mode);
    `options` and `tablespace` are those of its index."""

    name: str
    columns: tuple[str, ...]
    include: tuple[str, ...] = ()
    nulls_not_distinct: bool = False
    deferrable: str = ""
    comment: str = ""
    options: tuple[str, ...] = ()
    tablespace: str = ""


@final
@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key. Actions are spelled as in SQL: "NO ACTION", "CASCADE", "SET NULL (a)".

    `period`: its last column is a PERIOD (PostgreSQL 18).
    """

    name: str
    columns: tuple[str, ...]
    references: TableName
    referenced_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    match: str = "SIMPLE"
    deferrable: str = ""
    valid: bool = True
    enforced: bool = True
    comment: str = ""
    period: bool = False

    def __post_init__(self) -> None:
        given: Any = self.references
        if not isinstance(given, TableName):
            object.__setattr__(self, "references", TableName.of(given))


@final
@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint; `expression` as PostgreSQL prints it, without outer CHECK."""

    name: str
    expression: str
    columns: tuple[str, ...] = ()
    valid: bool = True
    no_inherit: bool = False
    enforced: bool = True
    comment: str = ""


@final
@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint; `definition` as PostgreSQL prints it, from "EXCLUDE" on."""

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str = ""


@final
@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key of an index: a column or an expression, with what is not the default.

    `opclass` and `collation` are qualified SQL texts, `order` is "" or "DESC", `nulls` is "",
    "FIRST" or "LAST".
    """

    column: str = ""
    expression: str = ""
    opclass: str = ""
    collation: str = ""
    order: str = ""
    nulls: str = ""


@final
@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint owns. `columns` are all columns its expressions read."""

    name: str
    keys: tuple[IndexKey, ...]
    method: str = "btree"
    unique: bool = False
    include: tuple[str, ...] = ()
    predicate: str = ""
    nulls_not_distinct: bool = False
    options: tuple[str, ...] = ()
    tablespace: str = ""
    valid: bool = True
    columns: tuple[str, ...] = ()
    comment: str = ""

    def __post_init__(self) -> None:
        given: tuple[Any, ...] = self.keys
        if str in map(type, given) or not isinstance(given, tuple):
            keys = tuple([IndexKey(column=k) if isinstance(k, str) else k for k in given])
            object.__setattr__(self, "keys", keys)
        if not self.columns:
            named = {*(key.column for key in self.keys if key.column), *self.include}
            object.__setattr__(self, "columns", tuple(sorted(named)))


@final
@dataclass(frozen=True, slots=True)
class Policy:
    """A row security policy. `command` is ALL, SELECT, INSERT, UPDATE or DELETE."""

    name: str
    command: str = "ALL"
    roles: tuple[str, ...] = ("public",)
    using: str = ""
    check: str = ""
    permissive: bool = True
    comment: str = ""


# --- what holds for each kind --------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """A field that models seldom name, its name for people, and its value if they do not.

    `read_only`, of a table: no operation changes it. (Of a part, see `Part.altered`.)
    """

    name: str
    noun: str
    silent: Any = ""
    read_only: bool = False


@final
@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One kind of part. `field` is its field of `Table`, `argument` the field of an operation that
    holds one item, `noun` its name for people.

    Operations add items of a higher `rank` later and drop them earlier: a foreign key needs the
    key that it points at.
    `is_constraint`: no two constraints of a table have the same name.
    `owns_index`: it is an index or has one, whose name no other relation of the schema has.
    `renamed`: a difference renames an item that changed nothing but its name.
    `carried`: a drop of a column that keeps its values records the parts that contain the column,
    and the restore recreates them.
    `read_only`: no operation adds or drops it.
    `texts` are fields in which PostgreSQL prints an expression.
    `altered` are fields that an operation changes in place.
    `settings` are fields that models seldom name: a database's value is an extra if they do not.
    `changeable` are fields in which two items may differ and still be the same one, changed.
    `label` ends the names that PostgreSQL chooses.
    """

    field: str
    item: type
    argument: str
    noun: str
    rank: int = 0
    is_constraint: bool = False
    owns_index: bool = False
    renamed: bool = False
    read_only: bool = False
    carried: bool = False
    texts: tuple[str, ...] = ()
    altered: frozenset[str] = frozenset()
    settings: tuple[Setting, ...] = ()
    changeable: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    label: str = ""

    def setting(self, name: str) -> Setting:
        return next(setting for setting in self.settings if setting.name == name)

    @property
    def validated(self) -> bool:
        """Can it be added NOT VALID, and validated in place?"""
        return "valid" in self.altered

    @property
    def commented(self) -> bool:
        return "comment" in self.altered

    @property
    def commented_as(self) -> str:
        """Its word in COMMENT ON: CONSTRAINT, INDEX, …"""
        return "constraint" if self.is_constraint else self.argument

    def of(self, holder: Any) -> tuple[Any, ...]:
        """The items of a table, or of an operation that has the same fields."""
        found = getattr(holder, self.field)
        if isinstance(found, tuple):
            return found
        return () if found is None else (found,)


_COMMENT = Setting("comment", "comment")
_STORED = (
    _COMMENT,
    Setting("options", "storage parameters", ()),
    Setting("tablespace", "tablespace"),
)

COLUMNS = Part(
    field="columns",
    item=Column,
    argument="column",
    noun="column",
    texts=("generated",),
    altered=frozenset(["comment"]),
    settings=(Setting("collation", "collation"), _COMMENT, Setting("sequence", "sequence")),
)
PRIMARY_KEY = Part(
    field="primary_key",
    item=PrimaryKey,
    argument="primary_key",
    noun="primary key",
    is_constraint=True,
    owns_index=True,
    renamed=True,
    altered=frozenset(["comment"]),
    settings=_STORED,
    label="pkey",
)
UNIQUES = Part(
    field="uniques",
    item=Unique,
    argument="unique",
    noun="unique constraint",
    is_constraint=True,
    owns_index=True,
    renamed=True,
    carried=True,
    altered=frozenset(["comment"]),
    settings=_STORED,
    changeable={"include": (), "nulls_not_distinct": False, "deferrable": ""},
    label="key",
)
FOREIGN_KEYS = Part(
    field="foreign_keys",
    item=ForeignKey,
    argument="foreign_key",
    noun="foreign key",
    rank=1,
    is_constraint=True,
    renamed=True,
    carried=True,
    altered=frozenset(["comment", "valid", "deferrable"]),
    settings=(_COMMENT,),
    changeable={
        "on_delete": "",
        "on_update": "",
        "match": "",
        "deferrable": "",
        "valid": True,
        "enforced": True,
    },
)
CHECKS = Part(
    field="checks",
    item=Check,
    argument="check",
    noun="check constraint",
    is_constraint=True,
    renamed=True,
    carried=True,
    texts=("expression",),
    altered=frozenset(["comment", "valid"]),
    settings=(_COMMENT,),
    changeable={"valid": True, "no_inherit": False, "enforced": True},
    label="check",
)
EXCLUSIONS = Part(
    field="exclusions",
    item=Exclusion,
    argument="exclusion",
    noun="exclusion constraint",
    is_constraint=True,
    owns_index=True,
    renamed=True,
    carried=True,
    texts=("definition",),
    altered=frozenset(["comment"]),
    settings=(_COMMENT,),
    label="excl",
)
INDEXES = Part(
    field="indexes",
    item=Index,
    argument="index",
    noun="index",
    owns_index=True,
    renamed=True,
    carried=True,
    texts=("predicate",),
    altered=frozenset(["comment", "options"]),
    settings=_STORED,
    changeable={"valid": True},
    label="idx",
)
POLICIES = Part(
    field="policies",
    item=Policy,
    argument="policy",
    noun="policy",
    rank=2,
    carried=True,
    texts=("using", "check"),
    altered=frozenset(["comment"]),
    settings=(_COMMENT,),
)
TRIGGERS = Part("triggers", Trigger, "trigger", "trigger", read_only=True, texts=("definition",))
RULES = Part("rules", Rule, "rule", "rule", read_only=True, texts=("definition",))
STATISTICS = Part(
    "statistics", Statistics, "statistics", "extended statistics", read_only=True,
    texts=("definition",),
)  # fmt: skip

PARTS = (
    COLUMNS, PRIMARY_KEY, UNIQUES, FOREIGN_KEYS, CHECKS, EXCLUSIONS, INDEXES, POLICIES, TRIGGERS,
    RULES, STATISTICS,
)  # fmt: skip

NAMED = PARTS[2:]
"""The parts that a table has any number of, in the order of their names."""

WRITTEN = tuple(part for part in PARTS if not part.read_only)
"""The parts that operations add and drop: migration files name their classes."""

CHANGED = tuple(part for part in WRITTEN if part in NAMED)
ADDED = tuple(sorted(CHANGED, key=lambda part: part.rank))
CARRIED = tuple(part for part in NAMED if part.carried)
BUILT = tuple(part for part in CHANGED if part.rank == 0)
"""The parts that need nothing but the columns of their table."""

DEMANDING = tuple(part for part in CHANGED if part.is_constraint or part.owns_index)
"""The parts that the rows of a table must fulfil."""

CONSTRAINTS = tuple(part for part in PARTS if part.is_constraint)

TABLE_SETTINGS = (
    _COMMENT,
    Setting("options", "storage parameters", ()),
    Setting("tablespace", "tablespace", read_only=True),
    Setting("unlogged", "unlogged storage", silent=False, read_only=True),
    Setting("row_security", "row security", silent=False),
    Setting("force_row_security", "forced row security", silent=False),
    Setting("partition_key", "partitioning", read_only=True),
    Setting("partition_of", "parent of a partition", None, read_only=True),
    Setting("partition_bound", "partition bound", read_only=True),
    Setting("inherits", "inheritance", (), read_only=True),
    Setting("replica_identity", "replica identity", read_only=True),
)
"""The fields of a table that models seldom name."""

_INDEXED = tuple(part.field for part in PARTS if part.owns_index)
_BY_ITEM = {part.item: part for part in PARTS}


def part_of(item: Any) -> Part:
    """The part that this column, constraint or index is an item of."""
    return _BY_ITEM[item.__class__]


def index_names(table: Any) -> tuple[str, ...]:
    """Names of all indexes of a table, also of those that a constraint owns."""
    names: list[str] = []
    for field in _INDEXED:  # a plan asks this of every table for every object that it creates
        items = getattr(table, field)
        if items:
            names.extend(item.name for item in (items if type(items) is tuple else (items,)))
    return tuple(names)


def constraint_names(table: Any) -> tuple[str, ...]:
    """Names of the constraints of a table: no two of them may be equal."""
    return tuple(item.name for part in CONSTRAINTS for item in part.of(table))

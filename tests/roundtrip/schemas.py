"""Random schemas, rich in all kinds of objects, and pairs of them that have much in common.

The first letter of a column's name tells its family of types, and types of one family can be cast
into each other. Texts need not be as PostgreSQL prints them: schemas go through a server first.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from zanith_django.operations.dependents import mentions
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

TYPES = {
    "n": ["integer", "smallint", "bigint", "numeric(8,2)", "numeric(10,2)", "numeric"],
    "s": ["text", "character varying(10)", "character varying(20)", "character(4)"],
    "d": ["date", "timestamp with time zone", "timestamp(3) with time zone"],
    "u": ["uuid"],
    "j": ["jsonb", "json"],
    "b": ["boolean"],
    "f": ["double precision", "real"],
    "i": ["inet", "cidr"],
    "y": ["bytea"],
    "l": ["integer[]", "bigint[]"],
    "r": ["int4range"],
    "m": ["text", "public.mood"],
}
DEFAULTS = {
    "n": ["7", "0", "floor(random() * 3)"],
    "s": ["'x'", "upper('y')"],
    "d": ["now()", "CURRENT_DATE", "clock_timestamp()", "'2020-02-01'"],
    "u": ["gen_random_uuid()"],
    "j": ["'{}'"],
    "b": ["true", "(1 > 2)"],
    "f": ["0.5", "random()"],
    "i": ["'10.0.0.0'"],
    "y": [r"'\x00'"],
    "l": ["'{}'"],
    "r": ["'[1,2)'"],
    "m": ["'sad'"],
}
INTEGERS = ("smallint", "integer", "bigint")
ACTIONS = ["NO ACTION", "CASCADE", "SET NULL", "RESTRICT", "SET DEFAULT"]

TABLES = [TableName("", name) for name in ("t1", "t2", "t3")]
COLUMNS = ["n1", "n2", "s1", "s2", "d1", "u1", "j1", "b1", "f1", "i1", "y1", "l1", "r1", "m1"]
GENERATED = ["g1", "g2"]
NAMES = [f"name{number:02}" for number in range(40)]

Item = TypeVar("Item")
PARTS = ("uniques", "checks", "exclusions", "indexes", "policies")


_sample = functools.lru_cache(st.sampled_from)


@dataclass
class _Maker:
    """Draws one schema; `base` is the one that it is to resemble."""

    draw: Any
    version: int
    base: SchemaGraph | None

    def __post_init__(self) -> None:
        self.used: set[str] = set()

    def one(self, *choices: Any) -> Any:
        return self.draw(_sample(choices))

    def often(self) -> bool:
        return bool(self.one(True, True, True, False))

    def seldom(self) -> bool:
        return bool(self.one(False, False, False, True))

    def name(self) -> str:
        name: str = self.one(*(name for name in NAMES if name not in self.used))
        self.used.add(name)
        return name

    def comment(self) -> str:
        return str(self.one("", "", "", "it's", "said"))

    # --- columns --------------------------------------------------------------------------------

    def schema(self) -> SchemaGraph:
        count = self.one(2, 1, 3)
        tables = {name: self.columns_of(name) for name in TABLES[:count]}
        if self.base:
            tables = {name: table for name, table in tables.items() if self.often() or self.often()}
        for name, table in tables.items():
            tables[name] = self.parts_of(self.keys_of(table))
        for name, table in tables.items():
            tables[name] = self.foreign_keys_of(table, tables)
        return SchemaGraph(tuple(tables.values()))

    def base_of(self, name: TableName) -> Table:
        return (self.base and self.base.table(name)) or Table(name)

    def columns_of(self, name: TableName) -> Table:
        columns: list[Column] = []
        base = self.base_of(name)
        for known in base.columns:
            if known.generated:
                continue
            fate = self.one("keep", "keep", "change", "change", "change", "drop")
            if fate != "drop":
                columns.append(known if fate == "keep" else self.column(known.name, known))
        taken = {column.name for column in columns}
        free = [name for name in COLUMNS if name not in taken]
        fewest, most = (0, 2) if self.base else (2, 6)
        new = self.draw(
            st.lists(st.sampled_from(free), unique=True, min_size=fewest, max_size=most)
        )
        columns += [self.column(name) for name in new]
        table = Table(name, tuple(columns))
        return dataclasses.replace(table, columns=(*columns, *self.generated_of(table, base)))

    def column(self, name: str, known: Column | None = None) -> Column:
        """A new column, or the same with one thing changed."""
        family = name[0]
        column = known or Column(name, self.one(*TYPES[family]))
        changes = ["type", "default", "nullable", "comment", "identity", "text"]
        for change in [self.one(*changes)] if known else changes:
            column = self.changed(column, family, change)
        return column

    def changed(self, column: Column, family: str, change: str) -> Column:
        put = dataclasses.replace
        if change == "type":
            column = put(column, type=self.one(*TYPES[family]))
        elif change == "default" and not column.identity:
            column = put(column, default=self.one(None, *DEFAULTS[family]))
        elif change == "nullable":
            column = put(column, nullable=self.one(True, False))
        elif change == "comment":
            column = put(column, comment=self.comment())
        elif change == "identity" and family == "n":
            identity = self.one("", "", "", "always", "by default", "serial")
            column = put(column, identity=identity, default=None if identity else column.default)
        elif change == "text" and family == "s":
            column = put(
                column,
                collation=self.one("", "", 'pg_catalog."C"', 'pg_catalog."POSIX"'),
                storage=self.one("", "", "external", "main"),
                compression=self.one("", "", "pglz"),
            )
        if column.identity and column.type not in INTEGERS:
            column = put(column, identity="")
        return put(column, nullable=column.nullable and not column.identity)

    def generated_of(self, table: Table, base: Table) -> list[Column]:
        made = []
        for name in GENERATED:
            known = base.column(name)
            stale = known and any(
                mentions(known.generated, c) and not table.column(c) for c in COLUMNS
            )
            if known and known.generated and not stale and self.often():
                made.append(known)
            elif self.one(True, False) and (sources := self.sources(table)):
                kind, expression = self.one(*sources)
                virtual = self.version >= 180000 and self.seldom()
                column = Column(name, kind, generated=expression, virtual=virtual)
                nullable = self.one(True, True, False)
                made.append(dataclasses.replace(column, nullable=nullable, comment=self.comment()))
        return made

    def sources(self, table: Table) -> list[tuple[str, str]]:
        found = []
        for column in table.columns:
            name = column.name
            if name[0] == "n":
                found += [("numeric", f"{name} * 2"), ("bigint", f"{name} + 1")]
            elif name[0] == "s":
                found += [("text", f"lower({name})"), ("text", f"{name} || 'x'")]
        return found

    # --- what hangs on columns ------------------------------------------------------------------

    def indexable(self, table: Table) -> list[str]:
        return [c.name for c in table.columns if not c.virtual and c.name[0] not in "jg"]

    def some(self, names: list[str], size: int = 2) -> tuple[str, ...]:
        return tuple(
            self.draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=size))
        )

    def included(self, table: Table, keys: tuple[str, ...]) -> tuple[str, ...]:
        others = [c.name for c in table.columns if c.name not in keys and not c.virtual]
        return self.some(others, 1) if others and self.seldom() else ()

    def keys_of(self, table: Table) -> Table:
        names = self.indexable(table)
        known = self.base_of(table.name).primary_key
        key = None
        if known and self.often() and set(known.columns + known.include) <= set(table.column_names):
            free = known.name not in self.used and self.often()
            key = known if free else dataclasses.replace(known, name=self.name())
        elif names and self.often():
            columns = self.some(names)
            key = PrimaryKey(
                self.name(), columns, self.included(table, columns), comment=self.comment()
            )
        if key:
            self.used.add(key.name)
        required = key.columns if key else ()
        columns_ = tuple(
            dataclasses.replace(c, nullable=c.nullable and c.name not in required)
            for c in table.columns
        )
        return dataclasses.replace(table, columns=columns_, primary_key=key)

    def parts_of(self, table: Table) -> Table:
        base = self.base_of(table.name)
        for part in PARTS:
            items = []
            for known in getattr(base, part):
                fate = self.one("keep", "keep", "keep", "rename", "drop")
                if fate == "drop" or not self.fits(known, table):
                    continue
                if fate == "rename" or known.name in self.used:
                    known = dataclasses.replace(known, name=self.name())
                elif self.seldom():
                    known = dataclasses.replace(known, comment=self.comment())
                self.used.add(known.name)
                items.append(known)
            for _ in range(self.one(0, 0, 1, 2)):
                item = getattr(self, f"new_{part}")(table)
                if item is not None:
                    items.append(item)
            changed: dict[str, Any] = {part: tuple(items)}
            table = dataclasses.replace(table, **changed)
        on = self.one((False, False), (False, False), (True, False), (True, True))
        return dataclasses.replace(
            table,
            row_security=on[0],
            force_row_security=on[1],
            comment=self.comment(),
            options=self.one(
                (), (), ("fillfactor=70",), ("autovacuum_enabled=off", "fillfactor=80")
            ),
        )

    def fits(self, item: Any, table: Table) -> bool:
        """Are all columns of an item of the base still there, and of a fitting kind?"""
        names = [name for name in (*COLUMNS, *GENERATED) if self.reads(item, name)]
        columns = [table.column(name) for name in names]
        if any(column is None for column in columns):
            return False
        indexed = isinstance(item, Index | Unique | Exclusion)
        if indexed and any(c and (c.virtual or c.type == "json") for c in columns):
            return False
        patterned = isinstance(item, Index) and any(key.opclass for key in item.keys)
        return not (patterned and any(c and c.type == "character(4)" for c in columns))

    def reads(self, item: Any, name: str) -> bool:
        texts = ("expression", "definition", "predicate", "using", "check")
        named = (*getattr(item, "columns", ()), *getattr(item, "include", ()))
        keys = [key.expression for key in getattr(item, "keys", ())]
        texts_ = [*keys, *(getattr(item, text, "") for text in texts)]
        return name in named or any(mentions(text, name) for text in texts_)

    def new_uniques(self, table: Table) -> Unique | None:
        names = self.indexable(table)
        if not names:
            return None
        columns = self.some(names)
        return Unique(
            self.name(),
            columns,
            self.included(table, columns),
            self.seldom(),
            self.one("", "", "immediate", "deferred"),
            self.comment(),
            self.one((), (), ("fillfactor=70",)),
        )

    def condition(self, table: Table) -> str:
        choices = ["true"]
        for column in table.columns:
            name = column.name
            choices.append(f"{name} IS NOT NULL")
            if name[0] == "n":
                choices += [f"{name} > 0", f"({name} + 1) <> 3"]
            elif name[0] == "s":
                choices += [f"{name} <> ''", f"length({name}::text) < 9"]
            elif name[0] == "d":
                choices.append(f"{name} <> '2020-01-01'")
        return str(self.one(*choices))

    def new_checks(self, table: Table) -> Check:
        enforced = self.version < 180000 or self.often()
        valid = enforced and self.often()
        return Check(
            self.name(), self.condition(table), (), valid, self.seldom(), enforced, self.comment()
        )

    def new_exclusions(self, table: Table) -> Exclusion | None:
        if table.column("r1") is None:
            return None
        where = self.one("", f" WHERE ({self.plain_condition(table)})")
        deferrable = self.one("", " DEFERRABLE")
        definition = f"EXCLUDE USING gist (r1 WITH &&){where}{deferrable}"
        return Exclusion(self.name(), definition, comment=self.comment())

    def plain_condition(self, table: Table) -> str:
        """A condition that reads no virtual column."""
        plain = tuple(column for column in table.columns if not column.virtual)
        return self.condition(dataclasses.replace(table, columns=plain))

    def new_indexes(self, table: Table) -> Index | None:
        names = self.indexable(table)
        if not names:
            return None
        special = self.special_key(table)
        if special and self.seldom():
            method, key = special
            return Index(self.name(), (key,), method, comment=self.comment())
        keys = tuple(self.key(table, name) for name in self.some(names))
        columns = tuple(key.column for key in keys)
        return Index(
            self.name(),
            keys,
            unique=self.seldom(),
            include=self.included(table, columns),
            predicate=self.plain_condition(table) if self.seldom() else "",
            nulls_not_distinct=False,
            options=self.one((), (), ("fillfactor=70",), ("deduplicate_items=off",)),
            comment=self.comment(),
        )

    def special_key(self, table: Table) -> tuple[str, IndexKey] | None:
        choices = []
        for column in table.columns:
            name, family = column.name, column.name[0]
            if family == "l":
                choices.append(("gin", IndexKey(name)))
            elif family == "r":
                choices.append(("gist", IndexKey(name)))
            elif family in "nd":
                choices += [("brin", IndexKey(name)), ("hash", IndexKey(name))]
        choice: tuple[str, IndexKey] | None = self.one(*choices) if choices else None
        return choice

    def key(self, table: Table, name: str) -> IndexKey:
        column = table.column(name)
        assert column is not None
        order, nulls = self.one("", "", "DESC"), self.one("", "", "FIRST", "LAST")
        expressions = {"n": f"{name} + 1", "s": f"lower({name})"}
        if name[0] in expressions and self.seldom():
            return IndexKey(expression=expressions[name[0]], order=order, nulls=nulls)
        if name[0] == "s" and column.type != "character(4)" and self.seldom():
            return IndexKey(name, opclass="pg_catalog.text_pattern_ops")
        if name[0] == "s" and self.seldom():
            return IndexKey(name, collation='pg_catalog."C"')
        return IndexKey(name, order=order, nulls=nulls)

    def new_policies(self, table: Table) -> Policy:
        command = self.one("ALL", "SELECT", "INSERT", "UPDATE", "DELETE")
        return Policy(
            self.name(),
            command,
            self.one(("public",), ("pg_monitor",)),
            "" if command == "INSERT" else self.condition(table),
            self.condition(table) if command in ("ALL", "INSERT", "UPDATE") else "",
            self.often(),
            self.comment(),
        )

    # --- foreign keys ---------------------------------------------------------------------------

    def foreign_keys_of(self, table: Table, tables: dict[TableName, Table]) -> Table:
        keys = []
        for known in self.base_of(table.name).foreign_keys:
            if self.often() and self.is_possible(known, table, tables):
                if known.name in self.used or self.seldom():
                    known = dataclasses.replace(known, name=self.name())
                self.used.add(known.name)
                keys.append(known)
        possible = [
            key for target in tables.values() for key in self.possible_keys(table, target, tables)
        ]
        for _ in range(self.one(0, 1, 2) if possible else 0):
            keys.append(self.new_foreign_key(self.one(*possible)))
        return dataclasses.replace(table, foreign_keys=tuple(keys))

    def possible_keys(
        self, table: Table, target: Table, tables: dict[TableName, Table]
    ) -> list[ForeignKey]:
        found = []
        # PostgreSQL cannot rebuild a foreign key of polymorphic types ("could not find cast").
        plain = [c.name for c in table.columns if not c.generated and c.name[0] not in "lmr"]
        for columns in self.ends(target):
            sources = [[name] for name in plain] if len(columns) == 1 else [list(columns)]
            for source in sources:
                one = ForeignKey("", tuple(source), target.name, columns)
                if set(source) <= set(plain) and self.is_possible(one, table, tables):
                    found.append(one)
        return found

    def ends(self, target: Table) -> list[tuple[str, ...]]:
        """Columns of the keys that a foreign key can point at."""
        keys = [unique.columns for unique in target.uniques if not unique.deferrable]
        return keys + ([target.primary_key.columns] if target.primary_key else [])

    def is_possible(self, key: ForeignKey, table: Table, tables: dict[TableName, Table]) -> bool:
        target = tables.get(key.references)
        if target is None:
            return False
        if key.referenced_columns not in self.ends(target):
            return False
        for own, other in zip(key.columns, key.referenced_columns, strict=True):
            one, two = table.column(own), target.column(other)
            if one is None or two is None or one.generated:
                return False
            if one.type != two.type and not {one.type, two.type} <= set(INTEGERS):
                return False
        return True

    def new_foreign_key(self, key: ForeignKey) -> ForeignKey:
        enforced = self.version < 180000 or self.often()
        on_delete = self.one(*ACTIONS, f'SET NULL ("{key.columns[0]}")')
        return dataclasses.replace(
            key,
            name=self.name(),
            on_delete=on_delete,
            on_update=self.one("NO ACTION", "NO ACTION", "CASCADE"),
            match=self.one("SIMPLE", "SIMPLE", "FULL"),
            deferrable=self.one("", "immediate", "deferred"),
            valid=enforced and self.often(),
            enforced=enforced,
            comment=self.comment(),
        )


@dataclass(frozen=True)
class Change:
    """Two schemas, and how to go from the first to the second."""

    before: SchemaGraph
    after: SchemaGraph
    fresh: bool
    drop: str


@st.composite
def changes(draw: Any, version: int) -> Change:
    """Pairs of schemas for a server of that version."""
    before = _Maker(draw, version, None).schema()
    after = _Maker(draw, version, before).schema()
    # Where tables are in use, indexes are built concurrently, which takes longer.
    fresh = draw(st.sampled_from([True, True, True, False]))
    return Change(before, after, fresh, draw(st.sampled_from(["soft", "soft", "archive", "hard"])))

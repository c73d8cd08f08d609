"""The copy of a table that is rebuilt: created, filled, and synchronized by a journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from zanith_django.operations.artifact_ids import REBUILD_TABLE
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Context,
    Statement,
    dropped_name,
)
from zanith_django.operations.columns import AddGeneratedColumn
from zanith_django.operations.constraints import AddCheck
from zanith_django.operations.dependents import without_column
from zanith_django.operations.extensions import make_schema
from zanith_django.operations.online.journal import Copying
from zanith_django.operations.online.rebuild_carried import (
    CARRIED,
    CARRY,
    CARRY_TRIGGERS,
    COPY_GRANTS,
    GUARD,
)
from zanith_django.operations.online.rewrites import INTEGERS, assigns
from zanith_django.operations.online.scaffold import making
from zanith_django.operations.tables import CreateTable
from zanith_django.operations.triggers import (
    whole_row_triggers,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Column,
    PrimaryKey,
    Table,
    Unique,
)

# The original of the current value, if no session has written another since.
_KEPT_OR: Final = """\
(SELECT CASE WHEN record_image_eq(ROW(kept.made), ROW(now._zanith_value)) THEN kept.value
             ELSE {value} END
 FROM (SELECT {keys}, {column} AS _zanith_value) AS now
 LEFT JOIN LATERAL (SELECT ({was})::{type} AS made, {column} AS value
                    FROM {kept} AS {alias} WHERE {same}) AS kept ON TRUE)"""

_COPIED = """\
SELECT CASE WHEN to_regclass({aside}) IS NOT NULL OR to_regclass({copy}) IS NOT NULL
            THEN 'done' END"""


@dataclass(frozen=True, slots=True)
class RebuildCopy:
    """The copy of a rebuild: `table` as it is, `after` as it will be. `values` are (column, SQL
    expression); `undo` takes an earlier rebuild back."""

    undo: bool
    values: tuple[tuple[str, str], ...]
    table: Table
    after: Table
    context: Context

    @property
    def given(self) -> dict[str, str]:
        """{column: SQL of its value}, if it is not that of the old column."""
        return {} if self.undo else dict(self.values)

    # --- zanith's names ------------------------------------------------------------------------

    @property
    def name(self) -> TableName:
        return self.table.name

    @property
    def artifact_id(self) -> str:
        return self.context.artifact_id(REBUILD_TABLE, str(self.name))

    def made(self, part: str) -> str:
        """The name that something new has until the swap."""
        way = "undo" if self.undo else ""
        return dropped_name(self.artifact_id, f"new{way} {part}").replace("dropped", "new")

    @property
    def aside(self) -> TableName:
        """The name of the old table after the swap."""
        part = "undo" if self.undo else ""
        return TableName(KEPT_SCHEMA, dropped_name(self.artifact_id, part))

    @property
    def copy(self) -> TableName:
        return TableName(self.name.schema, self.made("copy"))

    @property
    def _rows(self) -> TableName:
        return TableName(KEPT_SCHEMA, self.made("rows"))

    @property
    def _new(self) -> Context:
        """No other session uses the copy."""
        return dataclasses.replace(self.context, fresh=self.context.fresh | {self.copy})

    # --- the key by which rows are found again -------------------------------------------------

    @property
    def _key(self) -> Any:
        return row_key(self.table, self.after, self.given)

    def _keys(self, prefix: str = "", *, ours: bool = False) -> list[sql.Fragment]:
        """The columns of the key, of the row `prefix`; `ours` as the images of rows call them."""
        names = [*self._key.columns]
        if ours:
            names = [f"_zanith_key_{number}" for number, _ in enumerate(names, 1)]
        row = sql.keyword(prefix) if prefix else None
        return [
            sql.clause("{row}.{it}", row=row, it=sql.ident(name)) if row else sql.ident(name)
            for name in names
        ]

    def _same(self, left: Iterable[sql.Fragment], right: Iterable[sql.Fragment]) -> Any:
        pairs = zip(left, right, strict=True)
        return sql.join((sql.clause("{a} = {b}", a=a, b=b) for a, b in pairs), " AND ")

    def _probe(self, template: Any, **parts: sql.Fragment) -> str:
        aside = sql.regclass(self.aside, self.context.schema)
        return sql.compose(template, aside=aside, **parts)

    # --- 3: the swap ---------------------------------------------------------------------------

    # --- 1: the copy ---------------------------------------------------------------------------

    def _begin(self) -> Iterator[Statement]:
        names = {
            "table": sql.regclass(self.name, self.context.schema),
            "copy": sql.regclass(self.copy, self.context.schema),
        }
        guard = sql.compose(GUARD, target=sql.literal(self.name), table=names["table"])
        yield Statement(guard, Lock.NONE)
        yield make_schema(KEPT_SCHEMA)
        if self.undo:
            yield self._keep()
        first, *made = self._made(names)
        probe = self._probe(_COPIED, copy=names["copy"])
        yield from making(self.copy.name, [dataclasses.replace(first, probe=probe)])
        yield from made
        yield from making(self.made("carry"), [self._carry(names)])
        yield Statement(sql.compose(COPY_GRANTS, **names), Lock.NONE)
        yield from self._copying.begin()
        yield from making(self._rows.name, [self._images()])

    def _made(self, names: Mapping[str, sql.Fragment]) -> Iterator[Statement]:
        """Creates the copy without rows. Triggers that cannot be created later come before its
        generated columns and their dependents."""
        whole = bare = self._bare()
        late = whole_row_triggers(self.after)
        generated = [column for column in whole.columns if column.generated and late]
        for column in generated:
            bare = without_column(bare, column.name)
        yield from CreateTable(table=bare).statements(self._new)
        if not generated:
            return
        spelled = sql.join(sql.literal(trigger.name) for trigger in late)
        yield Statement(sql.compose(CARRY_TRIGGERS, names=spelled, **names), Lock.NONE)
        for column in generated:
            yield from AddGeneratedColumn(table=self.copy, column=column).statements(self._new)
        for check in whole.checks:
            if check not in bare.checks:
                yield from AddCheck(table=self.copy, check=check).statements(self._new)

    @property
    def _carrier(self) -> dict[str, sql.Fragment]:
        name = self.made("carry")
        function = sql.qualified(KEPT_SCHEMA, name)
        return {"function": function, "trigger": sql.ident(name)}

    def _carry(self, names: Mapping[str, sql.Fragment]) -> Statement:
        same = self._same(self._keys("t"), self._keys("NEW"))
        parts = {
            **names,
            "function": self._carrier["function"],
            "trigger": sql.literal(self.made("carry")),
            "same": sql.literal(same),
        }
        return Statement(sql.compose(CARRY, **parts), Lock.NONE)

    def _carried(self) -> Statement:
        """Carries properties over under the old names; the table is already locked."""
        signature = f"{self._carrier['function']}()"
        text = sql.compose(
            CARRIED,
            table=sql.regclass(self.name, self.context.schema),
            name=self.context.table(self.name),
            signature=sql.literal(signature),
            **self._carrier,
        )
        return Statement(text, Lock.NONE)

    def _bare(self) -> Table:
        """The copy while it is filled: key, checks and comments only. A check that old rows may
        break comes with the swap."""
        columns = (
            dataclasses.replace(column, identity="", sequence="", default=self._default(column))
            for column in self.after.columns
        )
        key = self._key
        has_primary = key is self.table.primary_key
        renamed = dataclasses.replace(key, name=self.made(key.name))
        return Table(
            self.copy,
            tuple(columns),
            primary_key=renamed if has_primary else None,
            uniques=() if has_primary else (renamed,),
            checks=tuple(check for check in self.after.checks if check.valid),
            comment=self.after.comment,
            options=self.after.options,
            tablespace=self.after.tablespace,
            unlogged=self.after.unlogged,
        )

    def _default(self, column: Column) -> str | None:
        return None if column.identity else column.default

    @property
    def _copying(self) -> Copying:
        insert = sql.clause(
            "INSERT INTO {into} ({columns}) SELECT {values}",
            into=self.context.table(self.copy),
            columns=self._columns,
            values=self._expressions,
        )
        return Copying(
            table=self.name,
            key=self._key.columns,
            target=self.copy,
            insert=insert,
            name=self.made("journal"),
            context=self.context,
            alias=self.name.name,
        )

    def _images(self) -> Statement:
        """The table for rows of changed keys, each with its key."""
        images = sql.join(
            sql.clause("{it} AS {ours}", it=it, ours=ours)
            for it, ours in zip(self._keys("t"), self._keys(ours=True), strict=True)
        )
        text = sql.compose(
            "CREATE UNLOGGED TABLE {rows} AS SELECT {images}, t.* FROM {table} AS t WITH NO DATA",
            rows=self.context.table(self._rows),
            images=images,
            table=self.context.table(self.name),
        )
        return Statement(text, Lock.ACCESS_SHARE, (self.name,))

    def _values(self) -> list[tuple[str, sql.Fragment]]:
        """(column, SQL of its value in the copy) of all written columns."""
        given, values = self.given, []
        for column in self.after.columns:
            old = self.table.column(column.name)
            if column.generated:
                continue
            if column.name in given:
                values.append((column.name, sql.catalog_text(given[column.name])))
            elif old is not None:
                values.append((column.name, self._value(old, column)))
        return values

    def _value(self, old: Column, new: Column) -> sql.Fragment:
        made = dict(self.values).get(new.name)
        if not self.undo or (old.type == new.type and made is None):
            return _cast(sql.ident(new.name), old, new)
        was = sql.catalog_text(made) if made else self._own(new.name)
        return sql.clause(
            _KEPT_OR,
            was=was,
            type=sql.catalog_text(old.type),
            value=_cast(sql.clause("now._zanith_value"), old, new),
            column=self._own(new.name),
            keys=sql.join(
                sql.clause("{it} AS {ours}", it=it, ours=ours)
                for it, ours in zip(self._own_keys, self._keys(ours=True), strict=True)
            ),
            kept=self.context.table(self._kept),
            alias=sql.ident(self.name.name),
            same=self._same(self._own_keys, self._keys("now", ours=True)),
        )

    def _own(self, column: str) -> sql.Fragment:
        """A column of the table by the name that expressions have for it."""
        table = sql.ident(self.name.name)
        return sql.clause("{table}.{it}", table=table, it=sql.ident(column))

    @property
    def _own_keys(self) -> list[sql.Fragment]:
        return [self._own(name) for name in self._key.columns]

    @property
    def _kept(self) -> TableName:
        """The kept table of a rebuild, which its reverse reads; it may be missing if it was
        purged."""
        return TableName(KEPT_SCHEMA, dropped_name(self.artifact_id))

    def _keep(self) -> Statement:
        columns = sql.join(
            sql.clause("{it}::{type}", it=sql.ident(c.name), type=sql.catalog_text(c.type))
            for c in self.after.columns
            if self.table.column(c.name)
        )
        text = sql.compose(
            "CREATE TABLE IF NOT EXISTS {kept} AS SELECT {columns} FROM {table} WITH NO DATA",
            kept=self.context.table(self._kept),
            columns=columns,
            table=self.context.table(self.name),
        )
        return Statement(text, Lock.ACCESS_SHARE, (self.name,))

    @property
    def _columns(self) -> sql.Fragment:
        return sql.idents(name for name, _ in self._values())

    @property
    def _expressions(self) -> sql.Fragment:
        return sql.join(value for _, value in self._values())


def row_key(table: Table, after: Table, given: Mapping[str, str]) -> PrimaryKey | Unique | None:
    """The key by which rows of a table are found in its copy, the table as it is to be: the
    primary key or a unique constraint without NULLs, whose values stay. `given` has those of
    which the values change."""
    keys: list[PrimaryKey | Unique] = [table.primary_key] if table.primary_key else []
    keys += table.uniques
    for key in keys:
        pairs = [(table.column(name), after.column(name)) for name in key.columns]
        stays = all(old and new and _is_same(old, new) for old, new in pairs)
        if stays and not key.deferrable and given.keys().isdisjoint(key.columns):
            return key
    return None


def _is_same(old: Column, new: Column) -> bool:
    comparable = old.type == new.type or {old.type, new.type} <= INTEGERS
    return comparable and not (old.nullable or new.nullable)


def _cast(value: sql.Fragment, old: Column, new: Column) -> sql.Fragment:
    """As an assignment if there is one: an explicit cast truncates longer values."""
    if old.type == new.type or assigns(old.type, new.type):
        return value
    return sql.clause("{value}::{type}", value=value, type=sql.catalog_text(new.type))

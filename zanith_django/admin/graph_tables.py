"""A table of a graph in lines for people: what the snapshot page prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zanith_django.schema.graph import (
    Column,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    Table,
    Unique,
)


class Line(NamedTuple):
    """One object of a table: its name, what it is, and how it reads."""

    name: str
    kind: str
    text: str


class ColumnLine(NamedTuple):
    """One column of a table."""

    name: str
    type: str
    nullable: bool
    value: str
    notes: str


@dataclass(frozen=True, slots=True)
class TableView:
    """What the page shows of one table."""

    table: Table

    @property
    def name(self) -> str:
        return str(self.table.name)

    @property
    def columns(self) -> list[ColumnLine]:
        return [column_line(column) for column in self.table.columns]

    @property
    def keys(self) -> list[Line]:
        primary = self.table.primary_key
        lines = [Line(primary.name, "primary key", key_text(primary))] if primary else []
        lines += [Line(u.name, "unique", key_text(u)) for u in self.table.uniques]
        lines += [Line(f.name, "foreign key", foreign_key_text(f)) for f in self.table.foreign_keys]
        return lines

    @property
    def constraints(self) -> list[Line]:
        lines = [
            Line(c.name, "check", joined(c.expression, validity(c.valid, c.enforced)))
            for c in self.table.checks
        ]
        return lines + [Line(e.name, "exclusion", e.definition) for e in self.table.exclusions]

    @property
    def indexes(self) -> list[Line]:
        return [
            Line(index.name, index_kind(index), index_text(index)) for index in self.table.indexes
        ]

    @property
    def rules(self) -> list[Line]:
        """Policies, triggers, rules and extended statistics."""
        table = self.table
        lines = [Line(p.name, "policy", policy_text(p)) for p in table.policies]
        lines += [Line(t.name, "trigger", joined(t.definition, t.enabled)) for t in table.triggers]
        lines += [Line(r.name, "rule", joined(r.definition, r.enabled)) for r in table.rules]
        return lines + [Line(s.name, "statistics", s.definition) for s in table.statistics]

    @property
    def notes(self) -> list[str]:
        """The properties of the table as a whole."""
        table = self.table
        facts = (
            ("unlogged", table.unlogged),
            ("row security forced", table.force_row_security),
            ("row security", table.row_security and not table.force_row_security),
            (f"partitioned by {table.partition_key}", table.partition_key),
            (f"partition of {table.partition_of}: {table.partition_bound}", table.partition_of),
            (f"tablespace {table.tablespace}", table.tablespace),
            (", ".join(table.options), table.options),
        )
        return [text for text, true in facts if true]


def column_line(column: Column) -> ColumnLine:
    notes = (
        column.collation and f"collation {column.collation}",
        column.storage and f"storage {column.storage}",
        column.compression and f"compression {column.compression}",
        column.comment,
    )
    value = column.default or ""
    if column.identity:
        value = "serial" if column.identity == "serial" else f"identity {column.identity}"
    if column.generated:
        value = f"generated: {column.generated}{' (virtual)' if column.virtual else ''}"
    text = ", ".join(note for note in notes if note)
    return ColumnLine(column.name, column.type, column.nullable, value, text)


def key_text(key: PrimaryKey | Unique) -> str:
    """`(a, b) include (c), nulls not distinct, deferrable`."""
    nulls = isinstance(key, Unique) and key.nulls_not_distinct
    return joined(
        f"({', '.join(key.columns)}){include_text(key.include)}",
        "nulls not distinct" if nulls else "",
        deferrable_text(key.deferrable),
        *key.options,
    )


def foreign_key_text(key: ForeignKey) -> str:
    """`(user_id) → users (id), on delete CASCADE`."""
    return joined(
        f"({', '.join(key.columns)}) → {key.references} ({', '.join(key.referenced_columns)})",
        "" if key.on_delete == "NO ACTION" else f"on delete {key.on_delete}",
        "" if key.on_update == "NO ACTION" else f"on update {key.on_update}",
        "" if key.match == "SIMPLE" else f"match {key.match}",
        deferrable_text(key.deferrable),
        validity(key.valid, key.enforced),
    )


def index_kind(index: Index) -> str:
    return f"unique {index.method}" if index.unique else index.method


def index_text(index: Index) -> str:
    """`(lower(email), created_at DESC) include (id) where …`."""
    return joined(
        f"({', '.join(map(index_key_text, index.keys))}){include_text(index.include)}"
        + (f" where {index.predicate}" if index.predicate else ""),
        "nulls not distinct" if index.nulls_not_distinct else "",
        *index.options,
        "" if index.valid else "invalid",
    )


def index_key_text(key: IndexKey) -> str:
    nulls = f"NULLS {key.nulls}" if key.nulls else ""
    collation = f"COLLATE {key.collation}" if key.collation else ""
    parts = (key.column or key.expression, collation, key.opclass, key.order, nulls)
    return " ".join(part for part in parts if part)


def policy_text(policy: Policy) -> str:
    return joined(
        f"{'' if policy.permissive else 'restrictive, '}for {policy.command} to "
        f"{' '.join(policy.roles)}",
        f"using {policy.using}" if policy.using else "",
        f"check {policy.check}" if policy.check else "",
    )


def include_text(columns: tuple[str, ...]) -> str:
    return f" include ({', '.join(columns)})" if columns else ""


def deferrable_text(mode: str) -> str:
    return f"deferrable, initially {mode}" if mode else ""


def validity(valid: bool, enforced: bool) -> str:
    if not enforced:
        return "not enforced"
    return "" if valid else "not valid"


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)

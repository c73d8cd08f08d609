"""Indexes that no constraint owns: add, drop, rename, change their storage options."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

from zanith_django.operations.base import (
    Context,
    Statement,
    must_have,
)
from zanith_django.operations.online.scaffold import remove_builds
from zanith_django.operations.parts import AddPart, DropPart, RenamePart
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.words import index_facts, with_facts
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Index, IndexKey
from zanith_django.schema.object_names import make_object_name
from zanith_django.schema.parts import INDEXES

# The state of the index of that name: "done" if it is valid, "leftover" if its build failed, NULL
# if there is none. https://www.postgresql.org/docs/current/sql-createindex.html
_INDEX_STATE = """\
SELECT CASE WHEN i.indisvalid THEN 'done' ELSE 'leftover' END
FROM pg_catalog.pg_index i
WHERE i.indexrelid = to_regclass({index}) AND i.indrelid = to_regclass({table})
  AND i.indisunique = {unique} AND i.indnkeyatts = {keys}"""

_INDEX_GONE = "SELECT CASE WHEN to_regclass({index}) IS NULL THEN 'done' END"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddIndex(AddPart):
    """Builds an index: concurrently, or plainly if no other session can be using the table."""

    kind = "addIndex"
    adds = INDEXES
    table: TableName
    index: Index
    model: str = ""

    @property
    def target(self) -> str:
        """With operator classes, because the index for LIKE has the same column as the plain
        one."""
        keys = (f"{spell_key(key)} {_opclass(key)}".rstrip() for key in self.index.keys)
        return f"{self.table}({', '.join(keys)})"

    def describe(self) -> str:
        what = "unique index" if self.index.unique else "index"
        keys = ", ".join(map(spell_key, self.index.keys))
        return with_facts(
            f"add {what} {self.index.name} on {self.table}({keys})", *index_facts(self.index)
        )

    def statements(self, context: Context) -> tuple[Statement, ...]:
        comment = index_comment(self.table, self.index, context)
        if context.quiet(self.table):
            plain = Statement(
                create_index(self.table, self.index, context), Lock.SHARE, (self.table,)
            )
            return (plain, *comment)
        if must_have(context.graph, self.table).partition_key:
            return (*build_in_partitions(self.table, self.index, context), *comment)
        return (build_concurrently(self.table, self.index, context), *comment)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return remove_builds(self.statements(context))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_unique_constraint",) if self.index.unique else ("adds_index",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex(DropPart):
    """Drops an index without blocking other sessions."""

    kind = "dropIndex"
    drops = INDEXES
    table: TableName
    index: Index
    model: str = ""

    @property
    def target(self) -> str:
        return str(TableName(self.table.schema, self.index.name))

    def describe(self) -> str:
        return f"drop index {self.index.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        name = index_name(self.table, self.index.name, context)
        if context.quiet(self.table) or must_have(context.graph, self.table).partition_key:
            return (
                Statement(
                    sql.compose("DROP INDEX {index}", index=name),
                    Lock.ACCESS_EXCLUSIVE,
                    (self.table,),
                ),
            )
        return (drop_concurrently(self.table, self.index.name, context),)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return self.inverse().statements(context)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if not self.index.unique:
            return ()
        return (Touch(Effect.DROP_KEY, self.table, self.index.columns, self.index.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_unique_constraint",) if self.index.unique else ("drops_index",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameIndex(RenamePart):
    """Renames an index in place. `index` is its definition, under its old name, because it may have
    another name in some databases."""

    kind = "renameIndex"
    renames = (INDEXES,)
    table: TableName
    old: str
    new: str
    index: Index | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return str(TableName(self.table.schema, self.old))

    def describe(self) -> str:
        return f"rename index {self.old} of {self.table} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (rename_index(self.table, self.old, self.new, context),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


def rename_index(table: TableName, old: str, new: str, context: Context) -> Statement:
    text = sql.compose(
        "ALTER INDEX {old} RENAME TO {new}",
        old=index_name(table, old, context),
        new=sql.ident(new),
    )
    return Statement(text, Lock.NONE, (table,))


def spell_key(key: IndexKey) -> str:
    """An index key for people."""
    return key.column or key.expression


def _opclass(key: IndexKey) -> str:
    """The name of an operator class that is not the usual one, without its schema."""
    return key.opclass.partition("(")[0].rpartition(".")[2]


def index_name(table: TableName, name: str, context: Context) -> sql.Fragment:
    """An index lives in the schema of its table."""
    return sql.qualified(table.schema or context.schema, name)


def index_keys(keys: tuple[IndexKey, ...]) -> sql.Fragment:
    return sql.join(_index_key(key) for key in keys)


def _index_key(key: IndexKey) -> sql.Fragment:
    text = (
        sql.ident(key.column)
        if key.column
        else sql.clause("({expression})", expression=sql.catalog_text(key.expression))
    )
    parts = [text]
    if key.collation:
        parts.append(sql.clause("COLLATE {name}", name=sql.catalog_text(key.collation)))
    if key.opclass:
        parts.append(sql.catalog_text(key.opclass))
    if key.order:
        parts.append(sql.keyword(key.order))
    if key.nulls:
        parts.append(sql.clause("NULLS {place}", place=sql.keyword(key.nulls)))
    return sql.join(parts, " ")


def create_index(
    table: TableName,
    index: Index,
    context: Context,
    *,
    concurrently: bool = False,
    only: bool = False,
) -> str:
    """The CREATE INDEX of an index value; `only` leaves partitions out."""
    parts = [
        sql.clause(
            "CREATE {unique}INDEX {concurrently}{name} ON {only}{table} USING {method} ({keys})",
            unique=sql.keyword("UNIQUE ") if index.unique else sql.EMPTY,
            concurrently=sql.keyword("CONCURRENTLY ") if concurrently else sql.EMPTY,
            name=sql.ident(index.name),
            only=sql.keyword("ONLY ") if only else sql.EMPTY,
            table=context.table(table),
            method=sql.ident(index.method),
            keys=index_keys(index.keys),
        )
    ]
    if index.include:
        parts.append(sql.clause("INCLUDE ({columns})", columns=sql.idents(index.include)))
    if index.nulls_not_distinct:
        parts.append(sql.keyword("NULLS NOT DISTINCT"))
    if index.options:
        options = sql.join(sql.catalog_text(option) for option in index.options)
        parts.append(sql.clause("WITH ({options})", options=options))
    if index.tablespace:
        parts.append(sql.clause("TABLESPACE {name}", name=sql.ident(index.tablespace)))
    if index.predicate:
        parts.append(sql.clause("WHERE {condition}", condition=sql.catalog_text(index.predicate)))
    return sql.compose("{all}", all=sql.join(parts, " "))


def build_concurrently(table: TableName, index: Index, context: Context) -> Statement:
    """CREATE INDEX CONCURRENTLY, with a probe that shows whether an earlier attempt finished or
    failed."""
    name = str(index_name(table, index.name, context))
    return Statement(
        create_index(table, index, context, concurrently=True),
        Lock.SHARE_UPDATE_EXCLUSIVE,
        (table,),
        transactional=False,
        scans=True,
        probe=sql.compose(
            _INDEX_STATE,
            index=sql.literal(name),
            table=sql.regclass(table, context.schema),
            unique=sql.literal(index.unique),
            keys=sql.literal(len(index.keys)),
        ),
        cleanup=sql.compose(
            "DROP INDEX CONCURRENTLY IF EXISTS {name}",
            name=index_name(table, index.name, context),
        ),
        disruptive=f"index {index.name} of {table}" if _may_refuse(index) else "",
    )


def _may_refuse(index: Index) -> bool:
    """May a row fail because of it? Expressions are evaluated for each row that is written."""
    return index.unique or bool(index.predicate) or any(key.expression for key in index.keys)


def build_in_partitions(table: TableName, index: Index, context: Context) -> tuple[Statement, ...]:
    """An index of a partitioned table, built concurrently in one partition after the other.

    The index of the table itself is not valid until the indexes of all partitions are attached; a
    partition that is created meanwhile gets its own at once.
    https://www.postgresql.org/docs/current/ddl-partitioning.html
    """
    frames, builds, attached = _partition_steps(table, index, context)
    return (*frames, *builds, *attached)


def _partition_steps(
    table: TableName, index: Index, context: Context
) -> tuple[list[Statement], list[Statement], list[Statement]]:
    """(parent indexes, builds, attachments) of a partitioned table and its partitions."""
    if not must_have(context.graph, table).partition_key:
        return [], [build_concurrently(table, index, context)], []
    exists = sql.compose(
        "SELECT CASE WHEN to_regclass({index}) IS NOT NULL THEN 'done' END",
        index=sql.regclass(TableName(table.schema, index.name), context.schema),
    )
    frame = create_index(table, index, context, only=True)
    drop = sql.compose("DROP INDEX IF EXISTS {name}", name=index_name(table, index.name, context))
    frames = [Statement(frame, Lock.SHARE, (table,), separate=True, probe=exists, cleanup=drop)]
    builds: list[Statement] = []
    attached: list[Statement] = []
    for child in context.graph.tables:
        if child.partition_of == table:
            name = name_in_partition(child.name, index.name, "idx")
            part = dataclasses.replace(index, name=name, comment="")
            below = _partition_steps(child.name, part, context)
            frames, builds = frames + below[0], builds + below[1]
            attached += [*below[2], _attach(table, index, child.name, part, context)]
    return frames, builds, attached


def name_in_partition(partition: TableName, of: str, kind: str) -> str:
    """A name that only the part of this partition has; `of` names the whole."""
    digest = hashlib.sha256(f"{partition} {of}".encode()).hexdigest()[:8]
    return make_object_name(partition.name, digest, kind)


def _attach(
    table: TableName, index: Index, partition: TableName, part: Index, context: Context
) -> Statement:
    text = sql.compose(
        "ALTER INDEX {index} ATTACH PARTITION {part}",
        index=index_name(table, index.name, context),
        part=index_name(partition, part.name, context),
    )
    # It also locks the partition's index against readers.
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (partition,))


def drop_concurrently(table: TableName, name: str, context: Context) -> Statement:
    """DROP INDEX CONCURRENTLY; finished when the index is gone."""
    spelled = index_name(table, name, context)
    return Statement(
        sql.compose("DROP INDEX CONCURRENTLY IF EXISTS {index}", index=spelled),
        Lock.SHARE_UPDATE_EXCLUSIVE,
        (table,),
        transactional=False,
        probe=sql.compose(_INDEX_GONE, index=sql.literal(spelled)),
    )


def index_comment(table: TableName, index: Index, context: Context) -> tuple[Statement, ...]:
    if not index.comment:
        return ()
    return (comment_on_index(table, index.name, index.comment, context),)


def comment_on_index(table: TableName, index: str, comment: str, context: Context) -> Statement:
    """An empty comment removes the existing one."""
    text = sql.compose(
        "COMMENT ON INDEX {index} IS {comment}",
        index=index_name(table, index, context),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.NONE, (table,))

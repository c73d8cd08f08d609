"""Storage parameters of an index: set in place, or by a rebuild if only a build reads them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    changed,
    must_have,
)
from zanith_django.operations.indexes import (
    AddIndex,
    DropIndex,
    index_name,
    rename_index,
)
from zanith_django.operations.online.scaffold import remove_builds
from zanith_django.operations.words import with_facts
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.object_names import make_object_name

# Parameters that the server reads whenever it uses the index; any other parameter, also of any
# other method, is read when the index is built.
# {method: {parameter: what does not change until a REINDEX}}
# https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-STORAGE-PARAMETERS
_IN_PLACE: Mapping[str, Mapping[str, str]] = {
    "btree": {
        "fillfactor": "pages that exist stay as full as they are",
        "deduplicate_items": "entries that exist stay as they are",
    },
    "gin": {
        "fastupdate": "entries that are pending stay so until a VACUUM",
        "gin_pending_list_limit": "",
    },
    "gist": {"buffering": "the next build reads it"},
    "spgist": {"fillfactor": "pages that exist stay as full as they are"},
    "brin": {"autosummarize": ""},
}

# Every other one locks the index so that no query on its table can be planned
# (AlterTableGetRelOptionsLockLevel in the source of PostgreSQL).
WITHOUT_LOCKING_OUT = frozenset({"fillfactor", "deduplicate_items"})

_HAS_OPTIONS = """\
SELECT 'done' FROM pg_catalog.pg_class
WHERE oid = to_regclass({index}) AND coalesce(reloptions, '{{}}') @> {options}::text[]
  AND coalesce(reloptions, '{{}}') <@ {options}::text[]"""

# Right after SET its row in pg_class is newer than that in pg_index; REINDEX CONCURRENTLY exchanges
# the index for another one, which gets both rows in one transaction.
# https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
_REINDEXED = """\
SELECT CASE WHEN c.xmin = i.xmin THEN 'done'
            WHEN to_regclass({unfinished}) IS NOT NULL THEN 'leftover' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE c.oid = to_regclass({index})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterIndexOptions(OnTable):
    """Sets and resets the storage parameters of an index, such as fillfactor.

    Where PostgreSQL reads one of them only when it builds an index of this `method`, such as
    pages_per_range, the index is rebuilt concurrently. Without `method` they are only set. It sets
    none of a partitioned table's index: another one is built in each partition and replaces it.
    """

    kind = "alterIndexOptions"
    table: TableName
    index: str
    method: str = ""
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    model: str = ""

    @property
    def target(self) -> str:
        return str(TableName(self.table.schema, self.index))

    def describe(self) -> str:
        options = ", ".join(self.new) or "none"
        if self.rebuilds:
            return f"rebuild index {self.index} of {self.table} with options {options}"
        lasting = map(_IN_PLACE.get(self.method, {}).get, sorted(self._changed))
        return with_facts(
            f"set options of index {self.index} of {self.table} to {options}",
            *filter(None, lasting),
        )

    @property
    def rebuilds(self) -> bool:
        """Is one of the changed parameters read only when the index is built?"""
        return bool(self.method and self._changed - _IN_PLACE.get(self.method, {}).keys())

    @property
    def _changed(self) -> set[str]:
        return {option.split("=")[0] for option in {*self.old} ^ {*self.new}}

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self._is_partitioned(context):
            return self._replaced(context)
        if not self.rebuilds:
            return self._set(context)
        name = index_name(self.table, self.index, context)
        if context.quiet(self.table):
            text = sql.compose("REINDEX INDEX {index}", index=name)
            return (*self._set(context), Statement(text, Lock.SHARE, (self.table,)))
        first, *rest = self._set(context)
        first = dataclasses.replace(first, probe=self._has_options(context))
        return (first, *rest, self._reindexed(context), self._cleared("ccold", context))

    def _is_partitioned(self, context: Context) -> bool:
        return bool(must_have(context.graph, self.table).partition_key)

    def _replaced(self, context: Context) -> tuple[Statement, ...]:
        indexes = must_have(context.graph, self.table).indexes
        old = next(index for index in indexes if index.name == self.index)
        digest = hashlib.sha256(repr(self.new).encode()).hexdigest()[:8]
        name = make_object_name(self.index, digest, "new")
        new = dataclasses.replace(old, name=name, options=self.new)
        (drop,) = DropIndex(table=self.table, index=old).statements(context)
        return (
            *AddIndex(table=self.table, index=new).statements(context),
            dataclasses.replace(drop, separate=True),
            rename_index(self.table, name, self.index, context),
        )

    def _set(self, context: Context) -> tuple[Statement, ...]:
        index = index_name(self.table, self.index, context)
        texts = [
            sql.compose("ALTER INDEX {index} {change}", index=index, change=change)
            for change in option_changes(self.old, self.new)
        ]
        brief = self._changed <= WITHOUT_LOCKING_OUT
        lock = Lock.NONE if brief else Lock.ACCESS_EXCLUSIVE
        return tuple(Statement(text, lock, (self.table,)) for text in texts)

    def _has_options(self, context: Context) -> str:
        name = index_name(self.table, self.index, context)
        return sql.compose(
            _HAS_OPTIONS, index=sql.literal(name), options=sql.literal(list(self.new))
        )

    def _reindexed(self, context: Context) -> Statement:
        name = index_name(self.table, self.index, context)
        unfinished = self._left("ccnew", context)
        return Statement(
            sql.compose("REINDEX INDEX CONCURRENTLY {index}", index=name),
            Lock.SHARE_UPDATE_EXCLUSIVE,
            (self.table,),
            transactional=False,
            scans=True,
            probe=sql.compose(
                _REINDEXED, index=sql.literal(name), unfinished=sql.literal(unfinished)
            ),
            cleanup=self._drop_left("ccnew", context),
        )

    def _cleared(self, label: str, context: Context) -> Statement:
        """Drops what a REINDEX that was cut left; one that ended left nothing."""
        text = self._drop_left(label, context)
        return Statement(text, Lock.NONE, (self.table,), transactional=False)

    def _drop_left(self, label: str, context: Context) -> str:
        return sql.compose(
            "DROP INDEX CONCURRENTLY IF EXISTS {index}", index=self._left(label, context)
        )

    def _left(self, label: str, context: Context) -> sql.Fragment:
        return index_name(self.table, make_object_name(self.index, "", label), context)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """The index has the new options from the first statement on; that of a partitioned table
        has them from the last one on."""
        if self._is_partitioned(context):
            return remove_builds(self.statements(context))
        if not self.rebuilds:
            return self.inverse().statements(context)
        left = [self._cleared(label, context) for label in ("ccnew", "ccold")]
        return (*left, *self.inverse().statements(context))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        indexes = tuple(
            dataclasses.replace(index, options=self.new) if index.name == self.index else index
            for index in must_have(graph, self.table).indexes
        )
        return changed(graph, self.table, indexes=indexes)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_index",) if self.rebuilds or self._is_partitioned(context) else ()


def option_changes(old: tuple[str, ...], new: tuple[str, ...]) -> list[sql.Fragment]:
    """`RESET (…)` of what is gone and `SET (…)` of what is new; options are `name=value`."""
    names = {option.split("=")[0] for option in new}
    gone = [option.split("=")[0] for option in old if option.split("=")[0] not in names]
    come = [option for option in new if option not in old]
    changes = []
    if gone:
        changes.append(sql.clause("RESET ({it})", it=sql.join(map(sql.catalog_text, gone))))
    if come:
        changes.append(sql.clause("SET ({it})", it=sql.join(map(sql.catalog_text, come))))
    return changes

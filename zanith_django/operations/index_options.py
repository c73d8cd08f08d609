"""Storage parameters of an index: set in place, or built anew under another name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from zanith_django import sql
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    changed,
    must_have,
    own_name,
)
from zanith_django.operations.indexes import (
    build_concurrently,
    build_in_partitions,
    drop_concurrently,
    index_comment,
    index_name,
    rename_index,
)
from zanith_django.operations.words import with_facts
from zanith_django.schema.graph import Index, SchemaGraph, TableName

# What the server reads whenever it uses the index; any other parameter, of any other method too, is
# read when the index is built. {method: {parameter: what does not change until a REINDEX}}
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

_HAS_OPTIONS = """\
SELECT 'done' FROM pg_catalog.pg_class
WHERE oid = to_regclass({index}) AND coalesce(reloptions, '{{}}') @> {options}::text[]
  AND coalesce(reloptions, '{{}}') <@ {options}::text[]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterIndexOptions(OnTable):
    """Sets and resets the storage parameters of an index, such as fillfactor.

    Where PostgreSQL reads one of them only when it builds an index of this `method`, such as
    pages_per_range, an index with the new ones is built concurrently and takes the name. Without
    `method` they are only set.
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
        index = self._index(context.graph)
        if not self.rebuilds or index is None:
            return self._set(context)
        if context.quiet(self.table):
            name = index_name(self.table, self.index, context)
            again = Statement(
                sql.compose("REINDEX INDEX {index}", index=name), Lock.SHARE, (self.table,)
            )
            return (*self._set(context), again)
        wanted = dataclasses.replace(index, name=self._fresh, options=self.new, valid=True)
        if must_have(context.graph, self.table).partition_key:
            built = build_in_partitions(self.table, wanted, context)
            return (*built, *self._swap(index, context), self._dropped(context))
        return (
            self._built(wanted, context),
            *self._swap(index, context),
            drop_concurrently(self.table, self._replaced, context),
        )

    def _set(self, context: Context) -> tuple[Statement, ...]:
        index = index_name(self.table, self.index, context)
        texts = [
            sql.compose("ALTER INDEX {index} {change}", index=index, change=change)
            for change in option_changes(self.old, self.new)
        ]
        return tuple(Statement(text, Lock.NONE, (self.table,)) for text in texts)

    def _built(self, wanted: Index, context: Context) -> Statement:
        """Finished as well when the index has taken the name already."""
        build = build_concurrently(self.table, wanted, context)
        probe = sql.compose(
            "SELECT coalesce(({swapped}), ({built}))",
            swapped=sql.composed(self._has_options(context)),
            built=sql.composed(build.probe),
        )
        return dataclasses.replace(build, probe=probe)

    def _swap(self, index: Index, context: Context) -> tuple[Statement, ...]:
        away = rename_index(self.table, self.index, self._replaced, context)
        back = rename_index(self.table, self._fresh, self.index, context)
        first = dataclasses.replace(away, separate=True, probe=self._has_options(context))
        return (first, back, *index_comment(self.table, index, context))

    def _dropped(self, context: Context) -> Statement:
        """An index of a partitioned table cannot be dropped concurrently."""
        name = index_name(self.table, self._replaced, context)
        text = sql.compose("DROP INDEX {index}", index=name)
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def _has_options(self, context: Context) -> str:
        name = index_name(self.table, self.index, context)
        return sql.compose(
            _HAS_OPTIONS, index=sql.literal(name), options=sql.literal(list(self.new))
        )

    @property
    def _fresh(self) -> str:
        return own_name("rebuilt", f"{self.target} {self.new}")

    @property
    def _replaced(self) -> str:
        return own_name("replaced", f"{self.target} {self.new}")

    def _index(self, graph: SchemaGraph) -> Index | None:
        found = (i for i in must_have(graph, self.table).indexes if i.name == self.index)
        return next(found, None)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        index = self._index(context.graph)
        swapped = index is not None and {*index.options} == {*self.new}
        left = self._replaced if swapped else self._fresh
        cleared = drop_concurrently(self.table, left, context)
        return (cleared, *self.inverse().statements(context)) if swapped else (cleared,)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        indexes = tuple(
            dataclasses.replace(index, options=self.new) if index.name == self.index else index
            for index in must_have(graph, self.table).indexes
        )
        return changed(graph, self.table, indexes=indexes)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_index",) if self.rebuilds else ()


def option_changes(old: tuple[str, ...], new: tuple[str, ...]) -> list[sql.Composable]:
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

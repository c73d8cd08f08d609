"""Django's concurrent index builds, which the next run finishes if a run stopped in one."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Index, Model
from django.db.utils import DatabaseError

from zanith_django.conf import conf
from zanith_django.exceptions import IndexTaken
from zanith_django.postgres import sql
from zanith_django.postgres.session import is_open, sqlstate
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.ddl import table_name
from zanith_django.schema.equality import as_declared
from zanith_django.schema.models import from_models

DUPLICATE = "42P07"

# An index of that name in the schema of the table.
_INDEX = """\
SELECT i.indisvalid, pg_get_indexdef(i.indexrelid), format('%%I.%%I', n.nspname, c.relname)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s
  AND n.oid = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass(%s))"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """A row of `_INDEX`."""

    valid: bool
    definition: str
    name: str


class ResumingEditor(BaseDatabaseSchemaEditor):
    """Mixed in before the connection's own editor class. A concurrent build whose index exists
    with the same definition counts as done; an invalid one is dropped and built again. A build
    that fails leaves no invalid index. Raises `IndexTaken` for another index of that name."""

    def add_index(
        self, model: type[Model], index: Index, concurrently: bool = False, **more: Any
    ) -> None:
        if not concurrently:
            super().add_index(model, index, **more)
            return
        if not self._is_built(model, index):
            try:
                super().add_index(model, index, concurrently=True, **more)  # type: ignore[call-arg]  # PostgreSQL's editor has it
            except BaseException as error:
                # If the name is taken, the existing index is another program's.
                if is_open(self.connection) and sqlstate(error) != DUPLICATE:
                    self._drop_invalid(self._found(model, index))
                raise

    def _is_built(self, model: type[Model], index: Index) -> bool:
        found = self._found(model, index)
        if found is None:
            return False
        if not self._is_same(model, index):
            raise IndexTaken(found.name, found.definition)
        self._drop_invalid(found)
        return found.valid

    def _drop_invalid(self, found: _Found | None) -> None:
        if found and not found.valid:
            name = sql.catalog_text(found.name)
            with self.connection.cursor() as cursor:
                cursor.execute(sql.compose("DROP INDEX CONCURRENTLY IF EXISTS {it}", it=name))

    def _found(self, model: type[Model], index: Index) -> _Found | None:
        table = self.quote_name(model._meta.db_table)
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(_INDEX, [index.name, table])
                row = cursor.fetchone()
        except DatabaseError:
            return None  # the build itself reports the error
        return _Found(*row) if row else None

    def _is_same(self, model: type[Model], index: Index) -> bool:
        """Is the live index the one that Django would create for the model? PostgreSQL reads back
        both."""
        with self.connection.cursor() as cursor:
            live = from_catalog(cursor)
        declared = from_models(self.connection, [model], scratch=conf.scratch or None)
        name = table_name(model, live.default_schema)
        table = as_declared(live, declared.graph, declared.facts).live.table(name)
        wanted = declared.graph.table(name)
        pairs = [
            {item.name: dataclasses.replace(item, valid=True, comment="") for item in each.indexes}
            for each in (table, wanted)
            if each
        ]
        return len(pairs) == 2 and pairs[0].get(index.name) == pairs[1].get(index.name, ...)


def resuming_editor(connection: BaseDatabaseWrapper) -> BaseDatabaseSchemaEditor:
    """The connection's schema editor for a migration that is not atomic."""
    own = type(connection.schema_editor())
    made = type("ResumingEditor", (ResumingEditor, own), {})
    return made(connection, atomic=False)  # type: ignore[no-any-return]

"""The index by which replicas identify rows: kept when tables or indexes are exchanged."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django.operations.base import Context, Statement
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.schema.graph import Table

_KEPT = "zanith.replica_identity"

_REMEMBER = """\
SELECT set_config({kept}, coalesce((
  SELECT c.relname::text FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  WHERE i.indrelid = {table}::regclass AND i.indisreplident), ''), false)"""

_RESTORE = """\
DO $zanith$ BEGIN
  EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', {table}::regclass,
    current_setting({kept}));
END $zanith$"""


def around(table: Table, statements: Iterable[Statement], context: Context) -> list[Statement]:
    """These statements of one transaction, after which an index of the same name has the part
    that one has now."""
    if table.replica_identity != "index":
        return [*statements]
    name, kept = sql.regclass(table.name, context.schema), sql.literal(_KEPT)
    remember = sql.compose(_REMEMBER, kept=kept, table=name)
    restore = sql.compose(_RESTORE, kept=kept, table=name)
    return [
        Statement(remember, Lock.NONE),
        *statements,
        Statement(restore, Lock.ACCESS_EXCLUSIVE, (table.name,)),
    ]

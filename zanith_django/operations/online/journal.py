"""Rows copied to another table while other sessions write: a copy, and a journal of changes.

A trigger only records the key of every row that is written from then on, so that a writer never
waits for the copy and never fails because of it. Rows with recorded keys are copied again, first in
rounds, and at last under a lock that blocks all writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Context,
    Copies,
    Rounds,
    Statement,
    alter_table,
    own_name,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

# Keys in a round, and how many of them may wait for the last one.
ROUND, ENOUGH = 5_000, 500

ID = "_zanith_id"

# It runs as its owner, because writers may have no right to zanith's schema. A row without a key
# means that the whole table was truncated. Images compare values of any type, byte by byte.
_FUNCTION = """\
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $zanith$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO {journal} DEFAULT VALUES;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO {journal} ({key}) VALUES ({new});
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO {journal} ({key}) VALUES ({old});
  ELSIF NOT ({unchanged}) THEN
    INSERT INTO {journal} ({key}) VALUES ({old}), ({new});
  END IF;
  RETURN NULL;
END $zanith$"""

# Recorded keys are committed, and later statements see at least these. Their rows are copied in
# their current state.
_ROUND = """\
DO $zanith$
DECLARE _zanith_ids bigint[] := ARRAY(
  SELECT {id} FROM {journal} WHERE {first} IS NOT NULL ORDER BY {id} LIMIT {most});
BEGIN
  DELETE FROM {target} AS c USING {journal} AS j WHERE j.{id} = ANY (_zanith_ids) AND {in_copy};
  {insert} FROM {table} AS t
    JOIN (SELECT DISTINCT {key} FROM {journal} WHERE {id} = ANY (_zanith_ids)) AS j ON {in_table}
    WHERE {where};
  DELETE FROM {journal} WHERE {id} = ANY (_zanith_ids);
END $zanith$"""

_LAST = """\
DO $zanith$
{declare}BEGIN
  IF EXISTS (SELECT FROM {journal} WHERE {first} IS NULL) THEN  -- it was emptied meanwhile
    TRUNCATE {target};
    {insert} FROM {table} AS t WHERE {where};
    {whole}
  ELSE
    {before}
    DELETE FROM {target} AS c USING {journal} AS j WHERE {in_copy};
    {insert} FROM {table} AS t
      JOIN (SELECT DISTINCT {key} FROM {journal}) AS j ON {in_table} WHERE {where};
    {after}
  END IF;
END $zanith$"""


@dataclass(frozen=True, slots=True)
class Copying:
    """A copy of `table` that is filled batch by batch.

    `target` is the copy, with a primary key over `key`. `insert` is `INSERT INTO … SELECT …` of
    the table known as `alias`, `where` selects its rows. `watched` are the columns whose
    change counts, () for all. `name` distinguishes this copy from others.
    """

    table: TableName
    key: tuple[str, ...]
    target: TableName
    insert: sql.Fragment
    name: str
    context: Context
    where: sql.Fragment = field(default_factory=lambda: sql.keyword("TRUE"))
    watched: tuple[str, ...] = ()
    alias: str = "t"

    # --- names ---------------------------------------------------------------------------------

    @property
    def journal(self) -> TableName:
        return TableName(KEPT_SCHEMA, own_name("journal", self.name))

    @property
    def _trigger(self) -> str:
        return own_name("journal", self.name)

    @property
    def _emptied(self) -> str:
        return own_name("emptied", self.name)

    # --- statements ----------------------------------------------------------------------------

    def begin(self) -> list[Statement]:
        """Creates the journal and its triggers; the copy contains rows that were written before."""
        journal, function = self.context.table(self.journal), self._function
        made = sql.compose(
            "CREATE TABLE {journal} AS SELECT {key} FROM {table} WITH NO DATA",
            journal=journal,
            key=sql.idents(self.key),
            table=self._table,
        )
        numbered = sql.compose(
            "ALTER TABLE {journal} ADD {id} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            journal=journal,
            id=sql.ident(ID),
        )
        closed = sql.compose("REVOKE ALL ON FUNCTION {it}() FROM PUBLIC", it=function)
        return [
            Statement(made, Lock.ACCESS_SHARE, (self.table,), makes=(self._trigger, self._emptied)),
            Statement(numbered, Lock.NONE),
            Statement(self._function_text(), Lock.NONE),
            Statement(closed, Lock.NONE),
            *self._triggers(),
        ]

    def _function_text(self) -> str:
        compared = tuple(dict.fromkeys((*self.key, *self.watched))) if self.watched else ()
        unchanged = sql.clause("record_image_eq(NEW, OLD)")
        if compared:
            unchanged = sql.clause(
                "record_image_eq(ROW({new}), ROW({old}))",
                new=_of("NEW", compared),
                old=_of("OLD", compared),
            )
        return sql.compose(
            _FUNCTION,
            function=self._function,
            journal=self.context.table(self.journal),
            key=sql.idents(self.key),
            new=_of("NEW", self.key),
            old=_of("OLD", self.key),
            unchanged=unchanged,
        )

    def _triggers(self) -> list[Statement]:
        """ENABLE ALWAYS, so that rows from a subscription are recorded too."""
        each = sql.compose(
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION {function}()",
            name=sql.ident(self._trigger),
            table=self._table,
            function=self._function,
        )
        whole = sql.compose(
            "CREATE TRIGGER {name} AFTER TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            name=sql.ident(self._emptied),
            table=self._table,
            function=self._function,
        )
        always = alter_table(
            self.context,
            self.table,
            "ENABLE ALWAYS TRIGGER {each}, ENABLE ALWAYS TRIGGER {whole}",
            each=sql.ident(self._trigger),
            whole=sql.ident(self._emptied),
        )
        return [self._writes(text) for text in (each, whole, always)]

    def _writes(self, text: str) -> Statement:
        return Statement(text, Lock.SHARE_ROW_EXCLUSIVE, (self.table,))

    def copy(self) -> Copies:
        text = sql.compose(
            "{insert} FROM {table} AS {alias} WHERE {where} ON CONFLICT DO NOTHING",
            insert=self.insert,
            table=self._table,
            alias=sql.ident(self.alias),
            where=self.where,
        )
        return Copies(
            text,
            Lock.ACCESS_SHARE,
            (self.table,),
            transactional=False,
            scans=True,
            table=self.table,
            where=str(self.where),
            alias=self.alias,
            insert=str(self.insert),
        )

    def catch_up(self) -> Rounds:
        journal, first = self.context.table(self.journal), sql.ident(self.key[0])
        left = sql.compose(
            "SELECT count(*) FROM (SELECT FROM {journal} WHERE {first} IS NOT NULL LIMIT {most}) "
            "AS noted",
            journal=journal,
            first=first,
            most=sql.literal(ENOUGH + 1),
        )
        text = sql.compose(_ROUND, most=sql.literal(ROUND), **self._parts)
        return Rounds(
            text, Lock.ACCESS_SHARE, (self.table,), transactional=False, left=left, enough=ENOUGH
        )

    def last(
        self,
        *,
        declare: sql.Fragment = sql.EMPTY,
        before: sql.Fragment = sql.EMPTY,
        after: sql.Fragment = sql.EMPTY,
        whole: sql.Fragment = sql.EMPTY,
    ) -> Statement:
        """Copies the remaining rows while writers are blocked. The caller's PL/pgSQL runs `before`
        and `after` that, or after the `whole` table is copied again."""
        text = sql.compose(
            _LAST, declare=declare, before=before, after=after, whole=whole, **self._parts
        )
        return Statement(text, Lock.ACCESS_SHARE, (self.table,))

    def end(self, *, triggers: bool = True) -> list[Statement]:
        """Drops the journal; triggers that were dropped with their table need no statement."""
        names = (self._trigger, self._emptied) if triggers else ()
        gone = [
            Statement(
                sql.compose(
                    "DROP TRIGGER {name} ON {table}", name=sql.ident(name), table=self._table
                ),
                Lock.ACCESS_EXCLUSIVE,
                (self.table,),
            )
            for name in names
        ]
        function = sql.compose("DROP FUNCTION {it}()", it=self._function)
        journal = sql.compose("DROP TABLE {it}", it=self.context.table(self.journal))
        return [*gone, Statement(function, Lock.NONE), Statement(journal, Lock.NONE)]

    # --- pieces --------------------------------------------------------------------------------

    @property
    def _table(self) -> sql.Fragment:
        return self.context.table(self.table)

    @property
    def _function(self) -> sql.Fragment:
        return sql.qualified(KEPT_SCHEMA, own_name("journal", self.name))

    @property
    def _parts(self) -> dict[str, sql.Fragment]:
        return {
            "id": sql.ident(ID),
            "journal": self.context.table(self.journal),
            "first": sql.ident(self.key[0]),
            "key": sql.idents(self.key),
            "target": self.context.table(self.target),
            "table": self._table,
            "insert": self.insert,
            "where": self.where,
            "in_copy": same_key("c", "j", self.key),
            "in_table": same_key("t", "j", self.key),
        }


def same_key(left: str, right: str, key: Sequence[str]) -> sql.Fragment:
    """`left.a = right.a AND …` of two aliases."""
    pairs = zip(_each(left, key), _each(right, key), strict=True)
    return sql.join((sql.clause("{a} = {b}", a=a, b=b) for a, b in pairs), " AND ")


def _of(alias: str, columns: Sequence[str]) -> sql.Fragment:
    return sql.join(_each(alias, columns))


def _each(alias: str, columns: Sequence[str]) -> list[sql.Fragment]:
    return [
        sql.clause("{alias}.{name}", alias=sql.keyword(alias), name=sql.ident(name))
        for name in columns
    ]

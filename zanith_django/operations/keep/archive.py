"""The table of an archive: created, filled, checked, and synchronized with its source."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.base import (
    KEPT_SCHEMA,
    NOTE,
    Artifact,
    Context,
    Operation,
    Statement,
    apart,
    to_data,
)
from zanith_django.operations.extensions import make_schema
from zanith_django.operations.keep.kept import (
    archive_name,
    note_column,
)
from zanith_django.operations.online.journal import Copying
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import PrimaryKey, Table, Unique

# {rows, two sums of parts of each row's hash}: the order of rows does not matter, and a row that is
# copied again is subtracted and added. The session keeps it until the artifact's row is written.
KEPT = "zanith.archive"

_DIGEST = """\
SELECT ARRAY[count(*), coalesce(sum(high), 0), coalesce(sum(low), 0)]::numeric[] FROM (
    SELECT ('x' || left(hash, 16))::bit(64)::bigint AS high,
           ('x' || right(hash, 16))::bit(64)::bigint AS low
    FROM (SELECT encode(sha256(convert_to(_zanith_row::text, 'UTF8')), 'hex') AS hash
          FROM {archive} AS _zanith_row{where}) AS hashes
  ) AS parts"""

_CHECKSUM = "SELECT encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

# The text of a row depends on these settings.
_SPELLING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
}

# The drop is tried and rolled back before a copy takes hours: dependents of the column or table
# are reported now, and so are a policy that hides rows from this role and an inheriting table.
_TRY = """\
DO $zanith$ BEGIN
  PERFORM set_config('row_security', 'off', true);
  LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
  PERFORM FROM {table} LIMIT 1;
  IF EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = {regclass}::regclass AND NOT c.relispartition) THEN
    RAISE EXCEPTION 'other tables inherit from %', {regclass};
  END IF;
  BEGIN
    {drop};
    RAISE EXCEPTION USING ERRCODE = 'ZZ001';
  EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
  END;
END $zanith$"""

# Columns that were soft-dropped before take along the notes that their restore needs; and the
# archive lists the properties of a table that no graph contains, for a later restore.
_CARRY = """\
DO $zanith$ DECLARE it record; also jsonb; BEGIN
  FOR it IN
    SELECT attname, col_description(attrelid, attnum) AS note FROM pg_catalog.pg_attribute
    WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
      AND starts_with(attname, '_zanith_dropped_')
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', {archive}::regclass, it.attname, it.note);
  END LOOP;
  SELECT coalesce(jsonb_agg(text ORDER BY place, text), '[]') INTO also FROM (
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.*
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = {table}::regclass
  ) AS of, LATERAL (
    SELECT 1 AS place, format('ALTER TABLE %s OWNER TO %s', name, relowner::regrole) AS text
    UNION ALL
    SELECT 2, format('GRANT %s ON TABLE %s TO %s%s', privilege_type, name,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM aclexplode(relacl)
    UNION ALL
    SELECT 2, format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, attname, name,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_catalog.pg_attribute a, aclexplode(a.attacl)
    WHERE a.attrelid = of.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 3, format('ALTER TABLE %s REPLICA IDENTITY %s', name,
                     CASE relreplident WHEN 'n' THEN 'NOTHING' ELSE 'FULL' END)
    WHERE relreplident IN ('n', 'f')
    UNION ALL
    SELECT 3, format('ALTER TABLE %s CLUSTER ON %I', name, x.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = of.oid AND i.indisclustered
    UNION ALL
    SELECT 3, format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', name, x.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = of.oid AND i.indisreplident
    UNION ALL
    SELECT 4, format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, name,
      (SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
       FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = of.oid AND a.attnum = ANY (r.prattrs::int2[])
       HAVING count(*) > 0),
      ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    FROM pg_catalog.pg_publication_rel r
    JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = of.oid
  ) AS listed;
  EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', {archive}::regclass,
                 (SELECT attname FROM pg_catalog.pg_attribute
                  WHERE attrelid = {archive}::regclass AND attnum = {column}),
                 {opening} || jsonb_build_object('also', also)::text);
END $zanith$"""

# The archived object is dropped in the transaction that completes the archive, which is then the
# only copy.
ONLY_COPY = """\
DO $zanith$ BEGIN
  IF to_regclass({archive}) IS NOT NULL AND NOT ({there}) THEN
    RAISE EXCEPTION 'the archive % holds the only copy of %', {archive}, {target};
  END IF;
END $zanith$"""


def digest(archive: sql.Fragment, where: sql.Fragment = sql.EMPTY) -> sql.Fragment:
    """The query of the three numbers that identify a content."""
    return sql.clause(_DIGEST, archive=archive, where=where)


def pinned_spelling() -> str:
    """Until the end of the transaction, the text of a row is the same for every role."""
    settings = sql.join(
        sql.clause(
            "set_config({name}, {value}, true)", name=sql.literal(name), value=sql.literal(value)
        )
        for name, value in _SPELLING.items()
    )
    return sql.compose("SELECT {settings}", settings=settings)


def content(archive: TableName) -> str:
    """The query of (rows, checksum) of an archive, as its artifact records them."""
    return sql.compose(
        "SELECT numbers[1]::bigint, ({checksum}) FROM ({digest}) AS of_all (numbers)",
        checksum=sql.clause(_CHECKSUM, text=sql.clause("numbers::text")),
        digest=digest(sql.table(archive, KEPT_SCHEMA)),
    )


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive: `columns` of the rows that `where` selects, identified by `key`."""

    artifact_id: str
    table: TableName
    key: tuple[str, ...]
    columns: tuple[str, ...]
    where: sql.Fragment
    drop: tuple[Statement, ...]
    context: Context

    @property
    def name(self) -> TableName:
        return archive_name(self.artifact_id)

    @property
    def _archive(self) -> sql.Fragment:
        return self.context.table(self.name)

    @property
    def _table(self) -> sql.Fragment:
        return self.context.table(self.table)

    def statements(self) -> tuple[Statement, ...]:
        if self.context.quiet(self.table):
            return self._at_once()
        copying = self._copying
        begun = [*self._begin(rows=False), *copying.begin()]
        counted = [_pinned(), self._counted()]
        ended = [_pinned(), self._locked(), self._last(copying)]
        gone = [*self._carried(), *self.drop, *copying.end(triggers=bool(self.columns))]
        return (
            *begun,
            copying.copy(),
            copying.catch_up(),
            *counted,
            *apart([*ended, *gone]),
        )

    def _at_once(self) -> tuple[Statement, ...]:
        """Archives a table that no other session uses, in one transaction."""
        made = self._begin(rows=True)
        counted = (_pinned(), self._counted())
        return (made[0], self._locked(), *made[1:], *counted, *self._carried(), *self.drop)

    def _carried(self) -> list[Statement]:
        """The properties of a whole table, besides its rows, that the drop removes."""
        if self.columns:
            return []
        archive = sql.regclass(self.name, KEPT_SCHEMA)
        text = sql.compose(
            _CARRY,
            table=sql.regclass(self.table, self.context.schema),
            archive=archive,
            column=note_column(archive),
            opening=sql.literal(NOTE),
        )
        return [Statement(text, Lock.NONE)]

    def _begin(self, *, rows: bool) -> list[Statement]:
        made = sql.compose(
            "CREATE TABLE {archive} AS SELECT {columns} FROM {table} AS t WHERE {where}{rows}",
            archive=self._archive,
            columns=self._selected,
            table=self._table,
            where=self.where,
            rows=sql.EMPTY if rows else sql.keyword(" WITH NO DATA"),
        )
        keyed = sql.compose(
            "ALTER TABLE {archive} ADD PRIMARY KEY ({key})",
            archive=self._archive,
            key=sql.idents(self.key),
        )
        probe = sql.compose(
            "SELECT CASE WHEN to_regclass({it}) IS NOT NULL THEN 'done' END",
            it=sql.regclass(self.name, KEPT_SCHEMA),
        )
        tried = [] if rows else [self._tried()]
        return [
            make_schema(KEPT_SCHEMA),
            *tried,
            Statement(
                made,
                Lock.ACCESS_SHARE,
                (self.table,),
                scans=rows,
                probe=probe,
                makes=(self.name.name,),
            ),
            Statement(keyed, Lock.NONE),
        ]

    @property
    def _selected(self) -> sql.Fragment:
        if not self.columns:
            return sql.clause("t.*")
        return sql.join(sql.clause("t.{name}", name=sql.ident(name)) for name in self.columns)

    @property
    def _copying(self) -> Copying:
        insert = sql.clause(
            "INSERT INTO {archive} SELECT {columns}", archive=self._archive, columns=self._selected
        )
        return Copying(
            table=self.table,
            key=self.key,
            target=self.name,
            insert=insert,
            name=self.artifact_id,
            context=self.context,
            where=self.where,
            watched=self.columns,
        )

    def _tried(self) -> Statement:
        text = sql.compose(
            _TRY,
            table=self._table,
            regclass=sql.regclass(self.table, self.context.schema),
            drop=sql.join((sql.composed(item.sql) for item in self.drop), ";\n    "),
        )
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def _locked(self) -> Statement:
        text = sql.compose("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=self._table)
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def _counted(self) -> Statement:
        text = sql.compose(
            "SELECT set_config({kept}, ({digest})::text, false)",
            kept=sql.literal(KEPT),
            digest=digest(self._archive),
        )
        return Statement(text, Lock.NONE, scans=True)

    def _last(self, copying: Copying) -> Statement:
        noted = sql.clause(
            "\n    WHERE EXISTS (SELECT FROM {journal} AS j WHERE {same})",
            journal=self.context.table(copying.journal),
            same=sql.join(
                (
                    sql.clause("j.{name} = _zanith_row.{name}", name=sql.ident(name))
                    for name in self.key
                ),
                " AND ",
            ),
        )
        some = digest(self._archive, noted)
        total = sql.join(
            sql.clause(
                "_zanith_all[{n}] - _zanith_old[{n}] + _zanith_new[{n}]", n=sql.literal(number)
            )
            for number in (1, 2, 3)
        )
        keep = sql.clause(
            "PERFORM set_config({kept}, _zanith_all::text, false);", kept=sql.literal(KEPT)
        )
        return copying.last(
            declare=sql.clause(
                "DECLARE\n  _zanith_all numeric[] := current_setting({kept})::numeric[];\n"
                "  _zanith_old numeric[];\n  _zanith_new numeric[];\n",
                kept=sql.literal(KEPT),
            ),
            before=sql.clause("_zanith_old := ({digest});", digest=some),
            after=sql.clause(
                "_zanith_new := ({digest});\n    _zanith_all := ARRAY[{total}];\n    {keep}",
                digest=some,
                total=total,
                keep=keep,
            ),
            whole=sql.clause(
                "_zanith_all := ({digest});\n    {keep}", digest=digest(self._archive), keep=keep
            ),
        )

    def artifact(self, kind: str, column: str, restore: Operation) -> Artifact:
        kept = sql.literal(KEPT)
        statements = restore.statements(self.context)
        return Artifact(
            id=self.artifact_id,
            type=kind,
            table=self.table,
            column=column,
            physical_name=str(self.name),
            recovery_sql=";\n".join(statement.sql for statement in statements) + ";",
            count=sql.compose("SELECT (current_setting({kept})::numeric[])[1]::bigint", kept=kept),
            checksum=sql.compose(_CHECKSUM, text=sql.clause("current_setting({kept})", kept=kept)),
            metadata={"restore": to_data(restore)},
        )


def _pinned() -> Statement:
    return Statement(pinned_spelling(), Lock.NONE)


def key_of(table: Table, without: str = "") -> tuple[str, ...]:
    """The primary key, else a unique constraint over columns that cannot be NULL; () for none.

    `without` is a column that may not be part of it.
    """
    required = {column.name for column in table.columns if not column.nullable} - {without}
    keys = [table.primary_key] if table.primary_key else []
    every: list[PrimaryKey | Unique] = [*keys, *table.uniques]
    for key in every:
        if required.issuperset(key.columns) and not key.deferrable:
            return key.columns
    return ()

"""The SQL texts of an expansion."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django.operations.base import (
    Statement,
)

# Objects that would follow the old column under its hidden name, or for which PostgreSQL refuses
# ALTER TYPE. The query leaves out the parts that the swap recreates, except a partition's own.
GUARD = """\
DO $zanith$ DECLARE found text; BEGIN
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0), ', ') INTO found
  FROM (SELECT {table}::regclass AS relid
        UNION SELECT relid FROM pg_catalog.pg_partition_tree({table}::regclass)) AS t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid AND a.attname = {column}
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = t.relid AND d.refobjsubid = a.attnum
  LEFT JOIN pg_catalog.pg_policy p
    ON d.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = d.objid
  WHERE d.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_proc'::regclass,
                      'pg_catalog.pg_publication_rel'::regclass,
                      'pg_catalog.pg_statistic_ext'::regclass)
    OR p.polrelid <> {table}::regclass
    OR t.relid <> {table}::regclass AND (
      EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = d.objid
        AND d.classid = 'pg_catalog.pg_class'::regclass AND relkind IN ('i', 'I')
        AND NOT relispartition)
      OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE oid = d.objid
        AND d.classid = 'pg_catalog.pg_constraint'::regclass AND coninhcount = 0
        AND contype <> 'n')
      OR EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE oid = d.objid
        AND d.classid = 'pg_catalog.pg_trigger'::regclass AND tgparentid = 0));
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'cannot change the type of %: % depends on it', {target}, found
      USING ERRCODE = 'dependent_objects_still_exist';
  END IF;
  IF row_security_active({table}::regclass) THEN
    RAISE EXCEPTION 'cannot change the type of %: row security hides rows from %', {target},
      current_user USING ERRCODE = 'insufficient_privilege';
  END IF;
END $zanith$"""

# Grants on the column, its options and its statistics target: no graph holds them.
COPY_SETTINGS = """\
DO $zanith$ DECLARE old record; one record; BEGIN
  SELECT * INTO old FROM pg_catalog.pg_attribute
  WHERE attrelid = {table}::regclass AND attname = {column};
  FOR one IN SELECT * FROM aclexplode(old.attacl) LOOP
    EXECUTE format('GRANT %s (%I) ON %s TO %s%s', one.privilege_type, {fresh},
      {table}::regclass,
      CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END,
      CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
  IF old.attstattarget >= 0 THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', {table}::regclass,
      {fresh}, old.attstattarget);
  END IF;
  IF old.attoptions IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', {table}::regclass, {fresh},
      array_to_string(old.attoptions, ', '));
  END IF;
END $zanith$"""

# The index after which CLUSTER orders the rows: no graph holds it.
KEEP_CLUSTERED = """\
DO $zanith$ DECLARE fresh text; BEGIN
  SELECT made INTO fresh FROM (VALUES {pairs}) AS pair (was, made)
  JOIN pg_catalog.pg_index ON indexrelid = to_regclass(was) AND indisclustered;
  IF fresh IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s CLUSTER ON %I', {table}::regclass, fresh);
  END IF;
END $zanith$"""

TOLERANT = """\
BEGIN
    NEW.{fresh} := {value};
  EXCEPTION WHEN OTHERS THEN  -- the backfill reports the invalid value, not this client
    NEW.{fresh} := NULL;
  END;"""


def long(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if item.scans]


def brief(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if not item.scans]

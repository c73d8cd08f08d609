"""The properties that a copy gets from its table: rights, settings, triggers."""

from __future__ import annotations

# Objects that would stay with the old table, or cannot be carried over.
GUARD = """\
DO $zanith$ DECLARE found text; BEGIN
  SELECT string_agg(DISTINCT what, ', ') INTO found FROM (
    SELECT pg_describe_object(d.classid, d.objid, 0) AS what
    FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = {table}::regclass
      AND (d.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_proc'::regclass,
                         'pg_catalog.pg_publication_rel'::regclass,
                         'pg_catalog.pg_statistic_ext'::regclass)
           OR d.classid = 'pg_catalog.pg_policy'::regclass AND EXISTS (
               SELECT FROM pg_catalog.pg_policy p
               WHERE p.oid = d.objid AND p.polrelid <> d.refobjid))
    UNION ALL
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_type t ON t.oid IN (c.reltype, (
        SELECT typarray FROM pg_catalog.pg_type WHERE oid = c.reltype))
    JOIN pg_catalog.pg_depend d
      ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = t.oid AND d.deptype = 'n'
    WHERE c.oid = {table}::regclass
    UNION ALL
    SELECT 'partition or heir ' || i.inhrelid::regclass || ' of ' || i.inhparent::regclass
    FROM pg_catalog.pg_inherits i WHERE {table}::regclass IN (i.inhrelid, i.inhparent)
    UNION ALL
    SELECT 'unfinished change ' || attname FROM pg_catalog.pg_attribute
    WHERE attrelid = {table}::regclass AND attname LIKE '\\_zanith\\_%' AND NOT attisdropped
      AND attname NOT LIKE '\\_zanith\\_dropped\\_%'
    UNION ALL
    SELECT 'row security, which hides rows from ' || current_user
    WHERE row_security_active({table}::regclass)
  ) AS hindrances;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'cannot rebuild %: % is in the way', {target}, found
      USING ERRCODE = 'dependent_objects_still_exist';
  END IF;
END $zanith$"""

# Owner and grants of the table and its columns: no graph holds them.
COPY_GRANTS = """\
DO $zanith$ DECLARE one record; BEGIN
  IF (SELECT relowner FROM pg_catalog.pg_class WHERE oid = {table}::regclass)
     <> (SELECT relowner FROM pg_catalog.pg_class WHERE oid = {copy}::regclass) THEN
    EXECUTE format('ALTER TABLE %s OWNER TO %I', {copy}::regclass, (
      SELECT pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = {table}::regclass));
  END IF;
  FOR one IN
    SELECT g.*, '' AS only FROM pg_catalog.pg_class c, aclexplode(c.relacl) AS g
    WHERE c.oid = {table}::regclass
    UNION ALL
    SELECT g.*, format(' (%I)', a.attname)
    FROM pg_catalog.pg_attribute a, aclexplode(a.attacl) AS g
    WHERE a.attrelid = {table}::regclass AND NOT a.attisdropped AND EXISTS (
      SELECT FROM pg_catalog.pg_attribute n WHERE n.attrelid = {copy}::regclass
        AND n.attname = a.attname)
  LOOP
    EXECUTE format('GRANT %s%s ON %s TO %s%s', one.privilege_type, one.only, {copy}::regclass,
      CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END,
      CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
END $zanith$"""

# Kept columns and indexes of soft drops are in no graph. No session changes the values of these
# columns. The copy gets them from the table, row by row.
CARRY = """\
DO $zanith$ DECLARE one record; _zanith_from text; _zanith_to text; BEGIN
  FOR one IN
    SELECT attname, format_type(atttypid, atttypmod) AS type,
           quote_ident(n.nspname) || '.' || quote_ident(c.collname) AS named
    FROM pg_catalog.pg_attribute
    LEFT JOIN pg_catalog.pg_type t ON t.oid = atttypid
    LEFT JOIN pg_catalog.pg_collation c ON c.oid = attcollation AND c.oid <> t.typcollation
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
    WHERE attrelid = {table}::regclass AND attname LIKE '\\_zanith\\_dropped\\_%'
      AND NOT attisdropped
  LOOP
    EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', {copy}::regclass, one.attname,
      concat_ws(' COLLATE ', one.type, one.named));
    _zanith_from := concat_ws(', ', _zanith_from, format('t.%I', one.attname));
    _zanith_to := concat_ws(', ', _zanith_to, format('NEW.%I', one.attname));
  END LOOP;
  IF _zanith_to IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS %L',
    format('BEGIN SELECT %s INTO %s FROM %s AS t WHERE %s; RETURN NEW; END', _zanith_from,
      _zanith_to, {table}::regclass, {same}));
  EXECUTE format('CREATE TRIGGER %I BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION '
    '{function}()', {trigger}, {copy}::regclass);
  FOR one IN
    SELECT c.relname, pg_get_indexdef(c.oid) AS definition
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {table}::regclass AND c.relname LIKE '\\_zanith\\_dropped\\_%'
  LOOP
    EXECUTE format('CREATE %sINDEX %I ON %s %s',
      CASE WHEN one.definition LIKE 'CREATE UNIQUE%' THEN 'UNIQUE ' END,
      replace(one.relname, '_dropped_', '_moved_'), {copy}::regclass,
      substr(one.definition, position(' USING ' IN one.definition)));
  END LOOP;
END $zanith$"""

CARRIED = """\
DO $zanith$ DECLARE one record; BEGIN
  FOR one IN
    SELECT c.oid::regclass AS name, c.relname
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {table}::regclass AND c.relname LIKE '\\_zanith\\_moved\\_%'
  LOOP
    EXECUTE format('ALTER INDEX %s RENAME TO %I', one.name,
      replace(one.relname, '_moved_', '_dropped_'));
  END LOOP;
  IF to_regprocedure({signature}) IS NOT NULL THEN
    DROP TRIGGER {trigger} ON {name};
    DROP FUNCTION {function}();
  END IF;
END $zanith$"""

# PostgreSQL refuses a BEFORE trigger whose WHEN reads the whole new row of a table with generated
# columns, but keeps one that is older than they are: so it is made before they are added. It is
# disabled until the swap.
CARRY_TRIGGERS = """\
DO $zanith$ DECLARE one record; BEGIN
  FOR one IN
    SELECT t.tgname, pg_get_triggerdef(t.oid) AS definition,
           format(' ON %I.%I ', n.nspname, c.relname) AS place
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid = {table}::regclass AND t.tgname IN ({names})
  LOOP
    EXECUTE overlay(one.definition PLACING format(' ON %s ', {copy}::regclass)
      FROM position(one.place IN one.definition) FOR length(one.place));
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', {copy}::regclass, one.tgname);
  END LOOP;
END $zanith$"""

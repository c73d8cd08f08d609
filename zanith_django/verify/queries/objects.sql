-- The objects that users made, each with what it belongs to: all of them, or of tables only those
-- in %(relations)s. Objects of extensions, indexes of constraints and parts of partitions are left out,
-- and the shadows that other sessions make and drop in the same database.
WITH seen AS (
    SELECT c.oid, c.relkind, c.relfilenode, c.relispartition,
           CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname || '.' END || c.relname
               AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'
      AND (n.nspname = current_schema() OR n.nspname !~ '^_zanith_shadow_')
      AND c.relname <> 'django_migrations' AND n.nspname || '.' || c.relname !~ '_zanith_migration'
      AND c.relname <> '_zanith_schema_snapshots'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
), relations AS (
    SELECT * FROM seen
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
      AND (%(relations)s::bigint[] IS NULL OR oid = ANY (%(relations)s::bigint[]::oid[]))
), attached AS (
    SELECT s.oid, s.relkind, s.name, s.relfilenode, i.indrelid AS relation,
           i.indkey::int2[]::int[] AS columns
    FROM pg_index i JOIN seen s ON s.oid = i.indexrelid
    WHERE NOT s.relispartition
      AND (%(relations)s::bigint[] IS NULL OR i.indrelid = ANY (%(relations)s::bigint[]::oid[]))
    UNION ALL
    SELECT s.oid, s.relkind, s.name, 0, d.refobjid, ARRAY[d.refobjsubid]
    FROM pg_depend d JOIN seen s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
      AND (%(relations)s::bigint[] IS NULL OR d.refobjid = ANY (%(relations)s::bigint[]::oid[]))
)
SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
       WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
       oid::bigint, 0 AS sub, name, oid::bigint AS relation, '{}'::int[] AS columns,
       relfilenode::bigint AS file,
       coalesce((SELECT inhparent FROM pg_inherits WHERE inhrelid = oid AND relispartition), 0)
           ::bigint AS parent
FROM relations
UNION ALL
SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'index' END, oid::bigint, 0, name,
       relation::bigint, columns, relfilenode::bigint, 0
FROM attached
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = attached.oid
                  AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'column', a.attrelid::bigint, a.attnum, a.attname, a.attrelid::bigint,
       ARRAY[a.attnum::int], 0, 0
FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', c.oid::bigint, 0, c.conname, c.conrelid::bigint,
       coalesce(c.conkey::int[], '{}'), 0, 0
FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0 AND c.conislocal
UNION ALL
SELECT 'trigger', t.oid::bigint, 0, t.tgname, t.tgrelid::bigint, '{}', 0, 0
FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 'policy', p.oid::bigint, 0, p.polname, p.polrelid::bigint, '{}', 0, 0
FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
UNION ALL
SELECT 'rule', w.oid::bigint, 0, w.rulename, w.ev_class::bigint, '{}', 0, 0
FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics', s.oid::bigint, 0, s.stxname, s.stxrelid::bigint, s.stxkeys::int2[]::int[], 0, 0
FROM pg_statistic_ext s JOIN relations r ON r.oid = s.stxrelid
UNION ALL
SELECT o.kind, o.oid::bigint, 0, o.name, 0, '{}', 0, 0
FROM (SELECT 'function' AS kind, 'pg_proc'::regclass AS class, oid, proname::text AS name,
             pronamespace AS schema FROM pg_proc
      UNION ALL SELECT 'type', 'pg_type'::regclass, oid, typname, typnamespace FROM pg_type
      WHERE typtype IN ('d', 'e', 'r') OR (typtype = 'c' AND EXISTS (
          SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c'))
      UNION ALL SELECT 'collation', 'pg_collation'::regclass, oid, collname, collnamespace
      FROM pg_collation
      UNION ALL SELECT 'schema', 'pg_namespace'::regclass, oid, nspname, 0 FROM pg_namespace
      UNION ALL SELECT 'extension', 'pg_extension'::regclass, oid, extname, 0 FROM pg_extension
      UNION ALL SELECT 'publication', 'pg_publication'::regclass, oid, pubname, 0
      FROM pg_publication
      UNION ALL SELECT 'event trigger', 'pg_event_trigger'::regclass, oid, evtname, 0
      FROM pg_event_trigger
      UNION ALL SELECT 'server', 'pg_foreign_server'::regclass, oid, srvname, 0
      FROM pg_foreign_server
      UNION ALL SELECT 'sequence', 'pg_class'::regclass, oid, name, 0 FROM seen
      WHERE relkind = 'S' AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = seen.oid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
     ) AS o
WHERE o.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid IN (o.schema, o.oid)
                  AND (n.nspname ~ '^pg_' OR (n.nspname ~ '^_zanith_shadow_'
                       AND n.nspname <> current_schema())))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.deptype = 'e')

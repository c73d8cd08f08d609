-- Tables, partitioned tables and partitions. It passes the list of these tables to the
-- queries after it (zanith.relations). Settings that narrow it, both arrays, unset reads all:
--   set zanith.schemas = '{public,audit}'; set zanith.tables = '{public.users}';
WITH chosen AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.reloptions, c.reltablespace, c.relpersistence,
           c.relrowsecurity, c.relforcerowsecurity, c.relkind, c.relispartition, c.relpartbound,
           c.relreplident
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND c.relname NOT LIKE '\_zanith\_%'
      AND c.relname <> 'django_migrations'
      AND CASE WHEN coalesce(current_setting('zanith.schemas', true), '') = ''
               THEN n.nspname !~ '^(pg_|_zanith_)' AND n.nspname <> 'information_schema'
               ELSE n.nspname = ANY (nullif(current_setting('zanith.schemas', true), '')::text[]) END
      AND (coalesce(current_setting('zanith.tables', true), '') = ''
           -- A hashed subplan: the array is read once, not for every table.
           OR format('%I.%I', n.nspname, c.relname)
              IN (SELECT unnest(nullif(current_setting('zanith.tables', true), '')::text[])))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
),
passed AS MATERIALIZED (
    SELECT set_config('zanith.relations', coalesce(array_agg(oid)::text, '{}'), true) FROM chosen
)
SELECT c.oid,
       c.nspname::text,
       c.relname::text,
       coalesce(comment.description, ''),
       c.reloptions,
       coalesce(place.spcname::text, ''),
       c.relpersistence = 'u',
       c.relrowsecurity,
       c.relforcerowsecurity,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) ELSE '' END,
       c.relispartition,
       parent.names,
       CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) ELSE '' END,
       c.relreplident::text,
       -- A logical slot of this database sends its rows to a subscriber.
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_replication_slots s
                         WHERE s.slot_type = 'logical' AND s.database = current_database())
            THEN (c.nspname, c.relname) IN (SELECT p.schemaname, p.tablename
                                            FROM pg_catalog.pg_publication_tables p)
              OR EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a(relid)
                         JOIN pg_catalog.pg_publication_rel r ON r.prrelid = a.relid)
            ELSE false END
FROM chosen c
CROSS JOIN passed
LEFT JOIN pg_catalog.pg_description comment
       ON comment.classoid = 'pg_catalog.pg_class'::regclass
      AND comment.objoid = c.oid AND comment.objsubid = 0
LEFT JOIN pg_catalog.pg_tablespace place ON place.oid = c.reltablespace
LEFT JOIN (
    SELECT h.inhrelid,
           array_agg(ARRAY[n.nspname::text, p.relname::text] ORDER BY h.inhseqno) AS names
    FROM pg_catalog.pg_inherits h
    JOIN pg_catalog.pg_class p ON p.oid = h.inhparent AND p.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
    GROUP BY h.inhrelid
) parent ON parent.inhrelid = c.oid

-- The sequences that no column owns: models may name them in a default, and pg_dump without
-- tables leaves them out.
SELECT format('CREATE SEQUENCE %I.%I', c.relnamespace::regnamespace, c.relname)
FROM pg_class c
WHERE c.relkind = 'S'
  AND c.relnamespace::regnamespace::text !~ '^pg_'
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e')
  )

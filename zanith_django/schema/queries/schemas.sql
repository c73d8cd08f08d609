-- Schemas that users made: those of zanith.schemas (an array), or all where it is unset.
SELECT n.nspname::text
FROM pg_catalog.pg_namespace n
WHERE CASE WHEN coalesce(current_setting('zanith.schemas', true), '') = ''
           THEN n.nspname <> 'information_schema'
           ELSE n.nspname = ANY (nullif(current_setting('zanith.schemas', true), '')::text[]) END
  AND n.nspname !~ '^(pg_|_zanith_)'
  AND n.nspname <> 'public'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_namespace'::regclass
                    AND d.objid = n.oid AND d.deptype = 'e')

-- Collations made by hand, in the schemas of zanith.schemas (an array; unset: in all of users).
SELECT n.nspname::text,
       coll.collname::text,
       coll.collprovider::text,
       coll.locale,
       coll.collisdeterministic
FROM (
    -- A column that the server's version does not have is taken from here instead.
    SELECT real.* FROM (SELECT NULL AS colllocale, NULL AS colliculocale) AS other,
    LATERAL (SELECT c.*, coalesce(colllocale, colliculocale, c.collcollate) AS locale
             FROM pg_catalog.pg_collation c) AS real
) AS coll
JOIN pg_catalog.pg_namespace n ON n.oid = coll.collnamespace
WHERE CASE WHEN coalesce(current_setting('zanith.schemas', true), '') = ''
           THEN n.nspname !~ '^(pg_|_zanith_)' AND n.nspname <> 'information_schema'
           ELSE n.nspname = ANY (nullif(current_setting('zanith.schemas', true), '')::text[]) END
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_collation'::regclass
                    AND d.objid = coll.oid AND d.deptype = 'e')

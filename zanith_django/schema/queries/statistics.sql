-- Extended statistics on the tables in zanith.relations (an array of oids; unset: on all of users).
SELECT s.stxrelid,
       s.stxname::text,
       pg_catalog.pg_get_statisticsobjdef(s.oid),
       ARRAY(SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
             WHERE o.classid = 'pg_catalog.pg_statistic_ext'::regclass AND o.objid = s.oid
               AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = s.stxrelid
               AND o.refobjsubid > 0)
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = relation.oid

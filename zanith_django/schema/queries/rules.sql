-- Rules of the tables in zanith.relations (an array of oids; unset: of all user tables).
SELECT r.ev_class,
       r.rulename::text,
       pg_catalog.pg_get_ruledef(r.oid),
       r.ev_enabled::text,
       ARRAY(SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
             WHERE o.classid = 'pg_catalog.pg_rewrite'::regclass AND o.objid = r.oid
               AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = r.ev_class
               AND o.refobjsubid > 0)
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_rewrite r ON r.ev_class = relation.oid

-- Triggers that users made on the tables in zanith.relations (an array of oids; unset: on all).
-- Those that a partition has from its parent are left out, and those of a change of ours under way.
SELECT t.tgrelid,
       t.tgname::text,
       pg_catalog.pg_get_triggerdef(t.oid),
       t.tgenabled::text,
       ARRAY(SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
             WHERE o.classid = 'pg_catalog.pg_trigger'::regclass AND o.objid = t.oid
               AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = t.tgrelid
               AND o.refobjsubid > 0)
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_trigger t ON t.tgrelid = relation.oid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND NOT starts_with(t.tgname::text, '_zanith_')

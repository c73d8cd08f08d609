-- Row security policies of the tables in zanith.relations (an array of oids; unset: of all).
SELECT p.polrelid,
       p.polname::text,
       p.polcmd::text,
       ARRAY(SELECT coalesce(role.rolname::text, 'public')
             FROM unnest(p.polroles) AS named(oid)
             LEFT JOIN pg_catalog.pg_roles role ON role.oid = named.oid),
       pg_catalog.pg_get_expr(p.polqual, p.polrelid),
       pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
       p.polpermissive,
       ARRAY(SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
             WHERE o.classid = 'pg_catalog.pg_policy'::regclass AND o.objid = p.oid
               AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = p.polrelid
               AND o.refobjsubid > 0),
       coalesce(comment.description, '')
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_policy p ON p.polrelid = relation.oid
LEFT JOIN pg_catalog.pg_description comment
       ON comment.classoid = 'pg_catalog.pg_policy'::regclass
      AND comment.objoid = p.oid AND comment.objsubid = 0

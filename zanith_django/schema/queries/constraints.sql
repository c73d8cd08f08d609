-- Constraints of the tables in zanith.relations (an array of oids; unset: of all user tables).
-- Those that a partition has from its parent are left out. Of the NOT NULL constraints that
-- PostgreSQL 18 keeps, only those not validated are returned: they guarantee nothing about old rows.
WITH relation AS MATERIALIZED (
    SELECT unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
        SELECT oid FROM pg_catalog.pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
              !~ '^(pg_|information_schema$|_zanith_)'))) AS oid
)
SELECT c.conrelid,
       c.contype::text,
       c.conname::text,
       pg_catalog.array_to_string(c.conkey, ' '),
       CASE WHEN c.contype = 'x' OR c.temporal THEN ARRAY(
           SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
           WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = c.conindid
             AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = c.conrelid
             AND o.refobjsubid > 0) END,
       CASE WHEN i.indnatts > i.indnkeyatts
            THEN pg_catalog.array_to_string((i.indkey::int2[])[i.indnkeyatts : ], ' ') END,
       coalesce(i.indnullsnotdistinct, false),
       CASE WHEN c.condeferred THEN 'deferred' WHEN c.condeferrable THEN 'immediate' ELSE '' END,
       c.convalidated,
       -- ALTER TABLE ... DISABLE TRIGGER ALL leaves a foreign key that nothing enforces.
       c.enforced AND (c.contype <> 'f' OR NOT EXISTS (
           SELECT FROM pg_catalog.pg_trigger t
           WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))),
       c.connoinherit,
       referenced_schema.nspname::text,
       referenced.relname::text,
       c.confrelid,
       pg_catalog.array_to_string(c.confkey, ' '),
       -- Names of columns that the query of columns does not return, since it reads fewer tables.
       CASE WHEN c.contype = 'f' AND others.oid IS NULL THEN ARRAY(
           SELECT r.attname::text
           FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, place)
           JOIN pg_catalog.pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = k.attnum
           ORDER BY k.place) END,
       c.confdeltype::text,
       pg_catalog.array_to_string(c.confdelsetcols, ' '),
       c.confupdtype::text,
       c.confmatchtype::text,
       c.period,
       CASE WHEN c.contype = 'c' THEN pg_catalog.pg_get_expr(c.conbin, c.conrelid)
            WHEN c.contype = 'x' OR c.temporal THEN pg_catalog.pg_get_constraintdef(c.oid) END,
       coalesce(comment.description, ''),
       key.reloptions,
       coalesce(place.spcname::text, '')
FROM (
    -- A column that the server's version does not have is taken from here instead.
    SELECT real.* FROM (SELECT true AS conenforced, false AS conperiod) AS older,
    LATERAL (SELECT c.*, conenforced AS enforced, conperiod AND c.contype <> 'f' AS temporal,
                    conperiod AND c.contype = 'f' AS period
             FROM relation
             JOIN pg_catalog.pg_constraint c ON c.conrelid = relation.oid) AS real
) AS c
LEFT JOIN relation others ON others.oid = c.confrelid
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.conindid AND c.contype IN ('p', 'u', 'x')
LEFT JOIN pg_catalog.pg_class key ON key.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_tablespace place ON place.oid = key.reltablespace
LEFT JOIN pg_catalog.pg_class referenced ON referenced.oid = c.confrelid
LEFT JOIN pg_catalog.pg_namespace referenced_schema
       ON referenced_schema.oid = referenced.relnamespace
LEFT JOIN pg_catalog.pg_description comment
       ON comment.classoid = 'pg_catalog.pg_constraint'::regclass
      AND comment.objoid = c.oid AND comment.objsubid = 0
WHERE c.conparentid = 0
  AND (c.contype IN ('p', 'u', 'f', 'x')
       OR c.contype = 'c' AND c.conislocal
       OR c.contype = 'n' AND NOT c.convalidated)

-- Indexes of the tables in zanith.relations (an array of oids; unset: of all user tables), one
-- row for each of their keys. Left out: indexes of constraints, and those a partition has from
-- its parent.
SELECT i.indrelid,
       i.indexrelid,
       c.relname::text,
       method.amname::text,
       i.indisunique,
       i.indisvalid,
       i.indnullsnotdistinct,
       c.reloptions,
       coalesce(place.spcname::text, ''),
       pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       CASE WHEN i.indexprs IS NOT NULL OR i.indpred IS NOT NULL THEN ARRAY(
           SELECT o.refobjsubid::int4 FROM pg_catalog.pg_depend o
           WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = i.indexrelid
             AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = i.indrelid
             AND o.refobjsubid > 0) END,
       coalesce(comment.description, ''),
       k.attnum > i.indnkeyatts,
       i.indkey[k.attnum - 1]::int4,
       CASE WHEN i.indkey[k.attnum - 1] = 0
            THEN pg_catalog.pg_get_indexdef(i.indexrelid, k.attnum, false) END,
       CASE WHEN usual.oid IS DISTINCT FROM op.oid OR k.attoptions IS NOT NULL
            THEN format('%I.%I', op_schema.nspname, op.opcname) END,
       k.attoptions,
       CASE WHEN k.attnum <= i.indnkeyatts AND i.indcollation[k.attnum - 1] <> 0
             AND i.indcollation[k.attnum - 1] <> coalesce(a.attcollation, 100)
            THEN format('%I.%I', coll_schema.nspname, coll.collname) END,
       i.indoption[k.attnum - 1]::int4
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_index i ON i.indrelid = relation.oid
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
JOIN pg_catalog.pg_am method ON method.oid = c.relam
JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indexrelid
LEFT JOIN pg_catalog.pg_attribute a
       ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.attnum - 1] AND a.attnum <> 0
LEFT JOIN pg_catalog.pg_opclass op
       ON op.oid = i.indclass[k.attnum - 1] AND k.attnum <= i.indnkeyatts
LEFT JOIN pg_catalog.pg_namespace op_schema ON op_schema.oid = op.opcnamespace
-- What CREATE INDEX would have chosen: the default for just this type, else for its kin.
LEFT JOIN pg_catalog.pg_opclass own
       ON own.opcmethod = op.opcmethod AND own.opcdefault
      AND own.opcintype = coalesce(a.atttypid, CASE WHEN op.opckeytype = 0 THEN k.atttypid END)
LEFT JOIN pg_catalog.pg_opclass usual
       ON usual.oid = coalesce(own.oid, CASE WHEN op.opcdefault THEN op.oid END)
LEFT JOIN pg_catalog.pg_collation coll ON coll.oid = i.indcollation[k.attnum - 1]
LEFT JOIN pg_catalog.pg_namespace coll_schema ON coll_schema.oid = coll.collnamespace
LEFT JOIN pg_catalog.pg_tablespace place ON place.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_description comment
       ON comment.classoid = 'pg_catalog.pg_class'::regclass
      AND comment.objoid = i.indexrelid AND comment.objsubid = 0
WHERE NOT i.indisprimary AND NOT i.indisexclusion
  AND (NOT i.indisunique OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_constraint owner
      WHERE owner.conrelid = i.indrelid AND owner.conindid = i.indexrelid
        AND owner.contype IN ('p', 'u', 'x')))
ORDER BY i.indexrelid, k.attnum

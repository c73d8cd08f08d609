-- Columns of the tables in zanith.relations (an array of oids; unset: of all user tables).
-- The sequences that a column owns are returned as the defaults that make it a serial.
SELECT a.attrelid,
       a.attnum,
       a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       NOT a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid),
       CASE WHEN a.atthasdef AND a.attgenerated = '' AND a.atttypid IN (20, 21, 23) THEN (
           SELECT string_agg(format('nextval(%L::regclass)', s.oid::regclass), E'\n')
           FROM pg_catalog.pg_depend o
           JOIN pg_catalog.pg_class s ON s.oid = o.objid AND s.relkind = 'S'
           WHERE o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = a.attrelid
             AND o.refobjsubid = a.attnum AND o.classid = 'pg_catalog.pg_class'::regclass
             AND o.deptype = 'a') END,
       a.attidentity::text,
       a.attgenerated::text,
       CASE WHEN coll.oid IS NULL THEN ''
            ELSE format('%I.%I', collation_schema.nspname, coll.collname) END,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text ELSE '' END,
       a.attcompression::text,
       coalesce(comment.description, ''),
       -- The sequence of an identity or a serial, where it does not count to the column's end.
       CASE WHEN a.attidentity <> '' OR a.atthasdef AND a.atttypid IN (20, 21, 23) THEN (
           SELECT concat_ws(' ',
                      CASE WHEN q.seqmax < CASE a.atttypid
                                           WHEN 21 THEN 32767
                                           WHEN 23 THEN 2147483647
                                           ELSE 9223372036854775807 END
                           THEN 'MAXVALUE ' || q.seqmax END,
                      CASE WHEN q.seqincrement <> 1 THEN 'INCREMENT ' || q.seqincrement END,
                      CASE WHEN q.seqcycle THEN 'CYCLE' END)
           FROM pg_catalog.pg_depend o
           JOIN pg_catalog.pg_sequence q ON q.seqrelid = o.objid
           WHERE o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = a.attrelid
             AND o.refobjsubid = a.attnum AND o.classid = 'pg_catalog.pg_class'::regclass
             AND o.deptype IN ('a', 'i')
           LIMIT 1) END,
       -- Older versions of Django kept such a sequence when a key became a BigAutoField.
       a.atthasdef AND a.attgenerated = '' AND a.atttypid IN (20, 21, 23) AND EXISTS (
           SELECT FROM pg_catalog.pg_constraint k
           WHERE k.conrelid = a.attrelid AND k.contype = 'p' AND a.attnum = ANY (k.conkey)
       ) AND EXISTS (
           SELECT FROM pg_catalog.pg_depend u
           JOIN pg_catalog.pg_class s ON s.oid = u.refobjid AND s.relkind = 'S'
           WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass AND u.objid = d.oid
             AND u.refclassid = 'pg_catalog.pg_class'::regclass
             AND NOT EXISTS (
                 SELECT FROM pg_catalog.pg_depend o
                 WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = s.oid
                   AND o.deptype IN ('a', 'i'))
             AND NOT EXISTS (
                 SELECT FROM pg_catalog.pg_depend o
                 WHERE o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjid = s.oid
                   AND o.classid = 'pg_catalog.pg_attrdef'::regclass AND o.objid <> d.oid))
FROM unnest(coalesce(nullif(current_setting('zanith.relations', true), '')::oid[], ARRAY(
         SELECT oid FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text
               !~ '^(pg_|information_schema$|_zanith_)'))) AS relation(oid)
JOIN pg_catalog.pg_attribute a ON a.attrelid = relation.oid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d
       ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation coll
       ON coll.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_catalog.pg_namespace collation_schema ON collation_schema.oid = coll.collnamespace
LEFT JOIN pg_catalog.pg_description comment
       ON comment.classoid = 'pg_catalog.pg_class'::regclass
      AND comment.objoid = a.attrelid AND comment.objsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- What reads column %(column)s of table %(table)s and takes its new name with it.
SELECT DISTINCT CASE WHEN c.relkind IN ('v', 'm')
       THEN pg_describe_object('pg_class'::regclass, c.oid, 0)
       ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END AS words
FROM pg_depend d
LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
LEFT JOIN pg_class c ON c.oid = w.ev_class
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s AND d.refobjsubid = %(column)s
  AND d.classid IN ('pg_policy'::regclass, 'pg_rewrite'::regclass, 'pg_trigger'::regclass)
ORDER BY words

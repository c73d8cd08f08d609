-- What depends on the tables in zanith.relations (an array of oids) and no model knows: views, rules,
-- functions, policies, statistics, publications, subscriptions, columns of their row types, ...
-- `via` says how: "" reads columns or the table, "row" whole rows or the row type, "key" needs a
-- constraint (`through`), "sequence" the sequence of a column, "text" names it in a text that
-- PostgreSQL does not look into, "trigger" does so in a trigger of the table.
WITH RECURSIVE roots AS MATERIALIZED (
    SELECT c.oid AS root, c.reltype, c.reloftype, c.relname, c.relnamespace
    FROM unnest(nullif(current_setting('zanith.relations', true), '')::oid[]) AS relation(oid)
    JOIN pg_catalog.pg_class c ON c.oid = relation.oid
),
tree AS (
    SELECT root, root AS relid FROM roots
    UNION
    SELECT t.root, i.inhrelid
    FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
),
made_of AS MATERIALIZED (
    SELECT oid AS part, typarray AS whole FROM pg_catalog.pg_type
    WHERE typtype IN ('c', 'd') AND typarray <> 0
    UNION ALL
    SELECT typbasetype, oid FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT a.atttypid, c.reltype
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'c' AND NOT a.attisdropped
),
types AS (
    SELECT t.root, c.reltype AS type
    FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.relid
    UNION
    SELECT t.root, m.whole FROM types t JOIN made_of m ON m.part = t.type
),
-- The objects that another can depend on, and the column that each represents.
held AS (
    SELECT root, relid, 'pg_catalog.pg_class'::regclass::oid AS class, relid AS object,
           ''::text AS via, ''::text AS through, NULL::int AS number
    FROM tree
    UNION ALL
    SELECT root, root, 'pg_catalog.pg_type'::regclass, type, 'row', '', NULL FROM types
    UNION ALL
    SELECT t.root, t.relid, 'pg_catalog.pg_constraint'::regclass, k.oid, 'key', k.conname::text, NULL
    FROM tree t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.relid AND k.contype IN ('p', 'u')
    UNION ALL
    SELECT t.root, t.relid, 'pg_catalog.pg_class'::regclass, s.oid, 'sequence', '', d.refobjsubid
    FROM tree t
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
     AND d.refobjid = t.relid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
     AND d.classid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
),
found AS MATERIALIZED (
    SELECT DISTINCT h.root, h.relid, h.via, h.through, d.classid, d.objid, d.objsubid,
           coalesce(h.number, CASE WHEN h.via = '' THEN d.refobjsubid ELSE 0 END) AS number
    FROM held h
    JOIN pg_catalog.pg_depend d ON d.refclassid = h.class AND d.refobjid = h.object
    WHERE d.deptype IN ('n', 'a')
),
rules AS MATERIALIZED (
    SELECT f.root, f.relid, f.via, f.through, f.number, r.oid, r.rulename, r.ev_class,
           v.relkind, r.ev_action::text LIKE '%:vartype ' || roots.reltype || ' %' AS whole
    FROM found f
    JOIN roots ON roots.root = f.root
    JOIN pg_catalog.pg_rewrite r ON r.oid = f.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
    WHERE f.classid = 'pg_catalog.pg_rewrite'::regclass
),
-- Views on views, each with the one that reads the table itself.
above AS (
    SELECT DISTINCT ev_class AS first, ev_class AS view FROM rules WHERE relkind IN ('v', 'm')
    UNION
    SELECT a.first, r.ev_class
    FROM above a
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
     AND d.refobjid = a.view AND d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.deptype = 'n'
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
),
sources AS MATERIALIZED (
    SELECT p.oid, lower(p.prosrc) AS text, p.prokind
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosqlbody IS NULL AND n.nspname !~ '^(pg_|information_schema$|_zanith_)'
      AND p.proname !~ '^~?_zanith_'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
                      AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid)
),
-- Functions that name a table, as a word of its own, and functions of its triggers.
naming AS MATERIALIZED (
    SELECT r.root, s.oid, s.text, s.prokind, 'text' AS via
    FROM roots r JOIN sources s ON position(lower(r.relname) IN s.text) > 0
     AND s.text ~ ('\m' || regexp_replace(lower(r.relname), '(\W)', '\\\1', 'g') || '\M')
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                      WHERE t.tgrelid = r.root AND t.tgfoid = s.oid AND NOT t.tgisinternal)
    UNION
    SELECT t.tgrelid, s.oid, s.text, s.prokind, 'trigger'
    FROM roots r
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.root AND NOT t.tgisinternal
    JOIN sources s ON s.oid = t.tgfoid
),
slots AS MATERIALIZED (
    SELECT array_agg(concat('slot ', s.slot_name,
                            CASE WHEN NOT s.active THEN ' (not active)' END,
                            ', subscriber ' || nullif(r.application_name, ''))
                     ORDER BY s.slot_name) AS names
    FROM pg_catalog.pg_replication_slots s
    LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
    WHERE s.slot_type = 'logical' AND s.database = current_database()
),
published AS (
    SELECT r.root, p.pubname, NULL::int2[] AS numbers,
           CASE WHEN p.puballtables THEN 'all published' ELSE 'schema published' END AS via
    FROM roots r
    JOIN pg_catalog.pg_publication p ON p.puballtables
      OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n
                 WHERE n.pnpubid = p.oid AND n.pnnspid = r.relnamespace)
    UNION ALL
    SELECT r.root, p.pubname, l.prattrs::int2[], 'published'
    FROM roots r
    JOIN pg_catalog.pg_publication_rel l
      ON l.prrelid IN (SELECT relid FROM tree WHERE tree.root = r.root
                       UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors(r.root) AS a(relid))
    JOIN pg_catalog.pg_publication p ON p.oid = l.prpubid
),
things AS (
    SELECT root, relid, via, through, number, ev_class AS holder, '{}'::text[] AS more,
           CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule' END AS kind,
           CASE WHEN relkind IN ('v', 'm') THEN ev_class::regclass::text
                ELSE format('%I on %s', rulename, ev_class::regclass) END AS name
    FROM rules
    UNION ALL
    SELECT root, relid, 'row', '', 0, ev_class, '{}',
           CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule' END,
           CASE WHEN relkind IN ('v', 'm') THEN ev_class::regclass::text
                ELSE format('%I on %s', rulename, ev_class::regclass) END
    FROM rules WHERE whole AND via = ''
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, NULL, '{}',
           CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           p.oid::regprocedure::text
    FROM found f JOIN pg_catalog.pg_proc p ON p.oid = f.objid
    WHERE f.classid = 'pg_catalog.pg_proc'::regclass
    UNION ALL
    SELECT f.root, f.relid, 'row', '', 0, NULL, '{}', 'function', p.oid::regprocedure::text
    FROM found f
    JOIN roots ON roots.root = f.root
    JOIN pg_catalog.pg_proc p ON p.oid = f.objid
    WHERE f.classid = 'pg_catalog.pg_proc'::regclass AND f.via = ''
      AND p.prosqlbody::text LIKE '%:vartype ' || roots.reltype || ' %'
    UNION ALL
    SELECT f.root, f.relid, f.via, p.polname::text, f.number, p.polrelid, '{}', 'policy',
           format('%I on %s', p.polname, p.polrelid::regclass)
    FROM found f JOIN pg_catalog.pg_policy p ON p.oid = f.objid
    WHERE f.classid = 'pg_catalog.pg_policy'::regclass
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, t.tgrelid, '{}', 'trigger',
           format('%I on %s', t.tgname, t.tgrelid::regclass)
    FROM found f JOIN pg_catalog.pg_trigger t ON t.oid = f.objid
    WHERE f.classid = 'pg_catalog.pg_trigger'::regclass AND NOT t.tgisinternal
      AND t.tgparentid = 0 AND t.tgname !~ '^~?_zanith_'
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, s.stxrelid, '{}', 'statistics',
           format('%s.%I', s.stxnamespace::regnamespace, s.stxname)
    FROM found f JOIN pg_catalog.pg_statistic_ext s ON s.oid = f.objid
    WHERE f.classid = 'pg_catalog.pg_statistic_ext'::regclass
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, NULL, '{}', 'publication',
           quote_ident(p.pubname)
    FROM found f
    JOIN pg_catalog.pg_publication_rel l ON l.oid = f.objid
    JOIN pg_catalog.pg_publication p ON p.oid = l.prpubid
    WHERE f.classid = 'pg_catalog.pg_publication_rel'::regclass AND f.number > 0
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, i.indrelid, '{}', 'index',
           format('%s on %s', c.oid::regclass, i.indrelid::regclass)
    FROM found f
    JOIN pg_catalog.pg_class c ON c.oid = f.objid AND c.relkind IN ('i', 'I')
     AND NOT c.relispartition AND c.relname !~ '^_zanith_'
    JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE f.classid = 'pg_catalog.pg_class'::regclass AND f.relid <> f.root
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, k.conrelid, '{}', 'constraint',
           format('%I of %s', k.conname, k.conrelid::regclass)
    FROM found f
    JOIN pg_catalog.pg_constraint k ON k.oid = f.objid AND k.conrelid = f.relid
     AND k.coninhcount = 0 AND k.conparentid = 0 AND k.contype <> 'n'
    WHERE f.classid = 'pg_catalog.pg_constraint'::regclass AND f.relid <> f.root AND f.via = ''
    UNION ALL
    SELECT t.root, t.relid, '', '', n, k.conrelid, '{}', 'foreign key', k.conname::text
    FROM tree t
    JOIN pg_catalog.pg_constraint k ON k.confrelid = t.relid AND k.contype = 'f' AND k.conparentid = 0
    CROSS JOIN LATERAL unnest(k.confkey) AS n
    WHERE NOT EXISTS (SELECT FROM tree o WHERE o.root = t.root AND o.relid = k.conrelid)
    UNION ALL
    SELECT t.root, t.relid, 'key', c.relname::text, 0, k.conrelid, '{}', 'foreign key', k.conname::text
    FROM tree t
    JOIN pg_catalog.pg_constraint k ON k.confrelid = t.relid AND k.contype = 'f' AND k.conparentid = 0
    JOIN pg_catalog.pg_class c ON c.oid = k.conindid
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, f.number, d.adrelid, '{}', 'default',
           format('%s.%I', d.adrelid::regclass, a.attname)
    FROM found f
    JOIN pg_catalog.pg_attrdef d ON d.oid = f.objid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE f.classid = 'pg_catalog.pg_attrdef'::regclass
      AND NOT EXISTS (SELECT FROM tree t WHERE t.root = f.root AND t.relid = d.adrelid)
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, 0, f.objid, '{}', 'column',
           format('%s.%I', c.oid::regclass, a.attname)
    FROM found f
    JOIN pg_catalog.pg_class c ON c.oid = f.objid AND c.relkind NOT IN ('v', 'S')
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.objsubid
    WHERE f.via = 'row' AND f.classid = 'pg_catalog.pg_class'::regclass AND c.relname !~ '^_zanith_'
    UNION ALL
    SELECT f.root, f.relid, f.via, f.through, 0, NULL, '{}', 'type', f.objid::regtype::text
    FROM found f
    WHERE f.via = 'row' AND f.classid = 'pg_catalog.pg_type'::regclass
    UNION ALL
    SELECT p.root, i.relid, 'heir', '', 0, i.relid, '{}',
           CASE WHEN c.relispartition THEN 'partition' ELSE 'table' END, i.relid::regclass::text
    FROM roots p
    JOIN tree i ON i.root = p.root AND i.relid <> p.root
    JOIN pg_catalog.pg_class c ON c.oid = i.relid
    UNION ALL
    SELECT r.root, r.root, 'parent', '', a.attnum, i.inhparent, '{}', 'table',
           i.inhparent::regclass::text
    FROM roots r
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = r.root
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.root AND a.attinhcount > 0
    UNION ALL
    SELECT r.root, r.root, 'typed', '', 0, NULL, '{}', 'type', r.reloftype::regtype::text
    FROM roots r WHERE r.reloftype <> 0
    UNION ALL
    SELECT n.root, n.root, n.via, '', coalesce(a.attnum, 0), NULL, '{}',
           CASE n.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, n.oid::regprocedure::text
    FROM naming n
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = n.root AND a.attnum > 0
      AND NOT a.attisdropped AND position(lower(a.attname) IN n.text) > 0
      AND n.text ~ ('\m' || regexp_replace(lower(a.attname), '(\W)', '\\\1', 'g') || '\M')
    WHERE n.via = 'text' OR a.attnum > 0
    UNION ALL
    SELECT t.tgrelid, t.tgrelid, 'row', t.tgname::text, 0, t.tgrelid, '{}', 'trigger',
           format('%I on %s', t.tgname, t.tgrelid::regclass)
    FROM roots r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.root
    WHERE NOT t.tgisinternal AND t.tgqual::text LIKE '%:varattno 0 %'
    UNION ALL
    SELECT p.root, p.root, p.via, '',
           coalesce(n, 0), NULL, coalesce(slots.names, '{}'), 'publication', quote_ident(p.pubname)
    FROM published p CROSS JOIN slots LEFT JOIN LATERAL unnest(p.numbers) AS n ON true
    UNION ALL
    SELECT r.root, r.root, 'subscribed', '', 0, NULL, '{}', 'subscription', quote_ident(s.subname)
    FROM roots r
    JOIN pg_catalog.pg_subscription_rel l ON l.srrelid = r.root
    JOIN pg_catalog.pg_subscription s ON s.oid = l.srsubid
)
SELECT t.root,
       t.kind,
       t.name,
       t.via,
       t.through,
       coalesce(array_agg(DISTINCT a.attname::text) FILTER (WHERE a.attnum > 0), '{}'),
       t.holder IS NOT DISTINCT FROM t.root,
       (SELECT ARRAY[n.nspname::text, c.relname::text]
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = t.holder),
       t.more || ARRAY(
           SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END
                  || c.oid::regclass
           FROM above JOIN pg_catalog.pg_class c ON c.oid = above.view
           WHERE above.first = t.holder AND above.view <> t.holder AND t.kind LIKE '%view'
           ORDER BY 1)
FROM things t
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid AND a.attnum = t.number
GROUP BY t.root, t.kind, t.name, t.via, t.through, t.holder, t.more
ORDER BY t.root, t.kind, t.name, t.via, t.through

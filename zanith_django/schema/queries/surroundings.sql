-- What users made that a graph does not have, with the SQL that makes it; NULL if it has none here.
-- Under an empty search_path all names are qualified. What usually needs what comes after it.
WITH mine AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^(pg_|_zanith_)' AND nspname <> 'information_schema'
), found AS (
    SELECT 1 AS place, 'pg_class'::regclass AS class, c.oid,
           format('CREATE SEQUENCE %I.%I AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s '
                  'CACHE %s%s', n.nspname, c.relname, format_type(s.seqtypid, NULL),
                  s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                  CASE WHEN s.seqcycle THEN ' CYCLE' END) AS sql
    FROM pg_catalog.pg_class c
    JOIN mine n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 2, 'pg_type'::regclass, t.oid,
           format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
                  (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                   FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
    FROM pg_catalog.pg_type t JOIN mine n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
    UNION ALL
    SELECT 2, 'pg_type'::regclass, t.oid,
           format('CREATE DOMAIN %I.%I AS %s%s%s%s%s', n.nspname, t.typname,
                  format_type(t.typbasetype, t.typtypmod),
                  (SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
                   FROM pg_catalog.pg_collation l
                   JOIN pg_catalog.pg_namespace cn ON cn.oid = l.collnamespace
                   JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
                   WHERE l.oid = t.typcollation AND t.typcollation <> b.typcollation),
                  ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
                  (SELECT string_agg(format(' CONSTRAINT %I %s', x.conname,
                                            pg_get_constraintdef(x.oid)), '' ORDER BY x.conname)
                   FROM pg_catalog.pg_constraint x WHERE x.contypid = t.oid AND x.contype = 'c'))
    FROM pg_catalog.pg_type t JOIN mine n ON n.oid = t.typnamespace WHERE t.typtype = 'd'
    UNION ALL
    SELECT 2, 'pg_type'::regclass, t.oid,
           format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
                  (SELECT string_agg(format('%I %s', a.attname,
                                            format_type(a.atttypid, a.atttypmod)), ', '
                                     ORDER BY a.attnum)
                   FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
    FROM pg_catalog.pg_type t JOIN mine n ON n.oid = t.typnamespace
    JOIN pg_catalog.pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
    UNION ALL
    SELECT 3, 'pg_type'::regclass, t.oid,
           CASE WHEN r.rngcanonical = 0 AND r.rngsubdiff = 0 AND r.rngcollation IN (0, 100)
                THEN format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I)',
                            n.nspname, t.typname, format_type(r.rngsubtype, NULL),
                            o.nspname, c.opcname) END
    FROM pg_catalog.pg_type t JOIN mine n ON n.oid = t.typnamespace
    JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
    JOIN pg_catalog.pg_opclass c ON c.oid = r.rngsubopc
    JOIN pg_catalog.pg_namespace o ON o.oid = c.opcnamespace
    UNION ALL
    SELECT 2, 'pg_type'::regclass, t.oid, NULL
    FROM pg_catalog.pg_type t JOIN mine n ON n.oid = t.typnamespace
    WHERE t.typtype = 'b' AND t.typelem = 0
    UNION ALL
    SELECT 4, 'pg_proc'::regclass, p.oid,
           CASE WHEN p.prokind <> 'a' AND l.lanname NOT IN ('c', 'internal')
                THEN pg_get_functiondef(p.oid) END
    FROM pg_catalog.pg_proc p JOIN mine n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                        AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')
    UNION ALL
    SELECT 5, 'pg_operator'::regclass, o.oid, NULL
    FROM pg_catalog.pg_operator o JOIN mine n ON n.oid = o.oprnamespace
    UNION ALL
    SELECT 5, 'pg_opclass'::regclass, o.oid, NULL
    FROM pg_catalog.pg_opclass o JOIN mine n ON n.oid = o.opcnamespace
    UNION ALL
    SELECT 5, 'pg_cast'::regclass, c.oid, NULL
    FROM pg_catalog.pg_cast c
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d  -- that of a range type
                      WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid
                        AND d.deptype = 'i')
    UNION ALL
    SELECT 5, 'pg_ts_config'::regclass, t.oid, NULL
    FROM pg_catalog.pg_ts_config t JOIN mine n ON n.oid = t.cfgnamespace
    UNION ALL
    SELECT 6, 'pg_class'::regclass, c.oid, NULL
    FROM pg_catalog.pg_class c JOIN mine n ON n.oid = c.relnamespace WHERE c.relkind = 'f'
    UNION ALL
    SELECT 7, 'pg_class'::regclass, c.oid,
           format('CREATE VIEW %I.%I%s AS %s', n.nspname, c.relname,
                  ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
                  pg_get_viewdef(c.oid))
    FROM pg_catalog.pg_class c JOIN mine n ON n.oid = c.relnamespace WHERE c.relkind = 'v'
    UNION ALL
    SELECT 7, 'pg_class'::regclass, c.oid,
           format('CREATE MATERIALIZED VIEW %I.%I%s AS %s', n.nspname, c.relname,
                  ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
                  pg_get_viewdef(c.oid))
    FROM pg_catalog.pg_class c JOIN mine n ON n.oid = c.relnamespace WHERE c.relkind = 'm'
    UNION ALL
    SELECT 8, 'pg_class'::regclass, i.indexrelid, pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid AND c.relkind = 'm'
    JOIN mine n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 9, 'pg_trigger'::regclass, t.oid,
           pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format(
               '; ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
               CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                    ELSE 'ENABLE ALWAYS' END, t.tgname) END
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN mine n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND NOT starts_with(t.tgname::text, '_zanith_')
    UNION ALL
    SELECT 9, 'pg_rewrite'::regclass, r.oid,
           pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE format(
               ' ALTER TABLE %I.%I %s RULE %I', n.nspname, c.relname,
               CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                    ELSE 'ENABLE ALWAYS' END, r.rulename) END
    FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN mine n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' OR c.relkind NOT IN ('v', 'm')
    UNION ALL
    SELECT 9, 'pg_statistic_ext'::regclass, s.oid, pg_get_statisticsobjdef(s.oid)
    FROM pg_catalog.pg_statistic_ext s JOIN mine n ON n.oid = s.stxnamespace
    UNION ALL
    SELECT 10, 'pg_publication'::regclass, p.oid,
           CASE WHEN p.puballtables OR p.tables IS NOT NULL
                THEN format('CREATE PUBLICATION %I FOR %s WITH (publish = %L, '
                            'publish_via_partition_root = %s)', p.pubname,
                            CASE WHEN p.puballtables THEN 'ALL TABLES' ELSE p.tables END,
                            concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
                                      CASE WHEN p.pubupdate THEN 'update' END,
                                      CASE WHEN p.pubdelete THEN 'delete' END,
                                      CASE WHEN p.pubtruncate THEN 'truncate' END),
                            p.pubviaroot::text) END
    FROM (SELECT b.*, (
              SELECT 'TABLE ' || string_agg(format('ONLY %I.%I', n.nspname, c.relname), ', ')
              FROM pg_catalog.pg_publication_rel r
              JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE r.prpubid = b.oid
              HAVING bool_and(to_jsonb(r) ->> 'prqual' IS NULL
                              AND to_jsonb(r) ->> 'prattrs' IS NULL)
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s
                                 WHERE s.pnpubid = b.oid)
          ) AS tables
          FROM pg_catalog.pg_publication b) AS p
    UNION ALL
    SELECT 11, 'pg_event_trigger'::regclass, e.oid,
           format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', e.evtname, e.evtevent,
                  (SELECT format(' WHEN TAG IN (%s)', string_agg(quote_literal(tag), ', '))
                   FROM unnest(e.evttags) AS tag HAVING count(*) > 0),
                  e.evtfoid::regproc)
    FROM pg_catalog.pg_event_trigger e WHERE e.evtenabled <> 'D'
)
SELECT pg_describe_object(class, oid, 0), sql
FROM found
WHERE oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = class AND d.objid = found.oid AND d.deptype = 'e')
ORDER BY place, oid

-- What the session's transaction did so far: its number, bytes of WAL (of all sessions), changes of
-- catalogs, and of each table its locks and the rows that were written. Counters of rows are flushed
-- at the end of each transaction: they would count once more in the next one.
WITH locks AS MATERIALIZED (
    SELECT locktype, relation, mode, virtualtransaction
    FROM pg_locks
    WHERE pid = pg_backend_pid() AND granted AND (locktype = 'virtualxid' OR database = (
        SELECT oid FROM pg_database WHERE datname = current_database()))
)
SELECT (SELECT min(virtualtransaction) FROM locks WHERE locktype = 'virtualxid'),
       (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
       (SELECT sum(pg_stat_get_xact_tuples_inserted(c) + pg_stat_get_xact_tuples_updated(c)
                   + pg_stat_get_xact_tuples_deleted(c))::bigint
        FROM unnest('{pg_class,pg_attribute,pg_constraint,pg_trigger,pg_policy,pg_rewrite,
            pg_statistic_ext,pg_proc,pg_type,pg_collation,pg_namespace,pg_extension,pg_publication,
            pg_event_trigger,pg_foreign_server}'::regclass[]) AS c),
       (SELECT coalesce(json_agg(json_build_array(relation::bigint, modes,
            pg_stat_get_xact_tuples_inserted(relation), pg_stat_get_xact_tuples_updated(relation),
            pg_stat_get_xact_tuples_deleted(relation))), '[]')
        FROM (SELECT relation, json_agg(DISTINCT mode) AS modes FROM locks
              WHERE locktype = 'relation' AND relation >= 16384 GROUP BY relation) AS l),
       pg_stat_force_next_flush()

"""Statements, and what each of them does to the tables of `statement_tables`."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.postgres.locks import Lock

LOCKS = {
    "AS": Lock.ACCESS_SHARE,
    "RS": Lock.ROW_SHARE,
    "RX": Lock.ROW_EXCLUSIVE,
    "SUX": Lock.SHARE_UPDATE_EXCLUSIVE,
    "S": Lock.SHARE,
    "SRX": Lock.SHARE_ROW_EXCLUSIVE,
    "EX": Lock.EXCLUSIVE,
    "AX": Lock.ACCESS_EXCLUSIVE,
}


@dataclass(frozen=True)
class Case:
    """`locks` is "t AX, r SRX", `codes` the reasons but for those that only name a safe form;
    `work` are tables whose rows it goes through. `measured` is false for a statement that a test
    cannot run in a transaction, or not without what it names; before version `since` the server
    takes a weaker lock."""

    sql: str
    locks: str = ""
    codes: str = ""
    work: str = ""
    rewrites: str = ""
    measured: bool = True
    outside: bool = False
    since: int = 0

    @property
    def expected_locks(self) -> dict[str, Lock]:
        pairs = (each.rsplit(" ", 1) for each in self.locks.split(", ") if each)
        return {name: LOCKS[lock] for name, lock in pairs}


_INDEXES = "changes_column_type rebuilds_indexes"


def _rewrite(sql: str, codes: str = "changes_column_type rewrites_table", locks: str = "") -> Case:
    return Case(sql, locks or "t AX", codes, "t", "t")


def _outside(sql: str, locks: str, codes: str, work: str = "t", rewrites: str = "") -> Case:
    return Case(sql, locks, codes, work, rewrites, measured=False, outside=True)


def _unknown(sql: str, codes: str = "raw_sql") -> Case:
    return Case(sql, codes=codes, measured=False)


CASES = (
    # --- columns
    Case("ALTER TABLE t ADD COLUMN z integer", "t AX"),
    Case("ALTER TABLE t ADD COLUMN z integer NOT NULL DEFAULT 5", "t AX"),
    Case("ALTER TABLE t ADD COLUMN z timestamptz NOT NULL DEFAULT statement_timestamp()", "t AX"),
    Case("ALTER TABLE t ADD COLUMN z timestamptz DEFAULT CURRENT_TIMESTAMP", "t AX"),
    Case("ALTER TABLE IF EXISTS absent ADD COLUMN z integer"),
    Case("ALTER TABLE t ADD COLUMN IF NOT EXISTS a integer", "t AX"),
    _rewrite("ALTER TABLE t ADD COLUMN z float8 DEFAULT random()", "rewrites_table"),
    _rewrite("ALTER TABLE t ADD COLUMN z uuid DEFAULT gen_random_uuid()", "rewrites_table"),
    _rewrite("ALTER TABLE t ADD COLUMN z bigserial", "rewrites_table"),
    _rewrite("ALTER TABLE t ADD COLUMN z bigint GENERATED ALWAYS AS IDENTITY", "rewrites_table"),
    _rewrite(
        "ALTER TABLE t ADD COLUMN z integer GENERATED ALWAYS AS (a * 2) STORED", "rewrites_table"
    ),
    Case("ALTER TABLE t ADD COLUMN z integer CHECK (z > 0)", "t AX", work="t"),
    Case("ALTER TABLE t ADD COLUMN z integer UNIQUE", "t AX", "adds_unique_constraint", "t"),
    Case(
        "ALTER TABLE t ADD COLUMN z integer DEFAULT 1 UNIQUE",
        "t AX",
        "adds_unique_constraint will_fail_on_data",
        "t",
        measured=False,
    ),
    Case(
        "ALTER TABLE t ADD COLUMN z integer NOT NULL",
        "t AX",
        "adds_required_column_without_default will_fail_on_data",
        measured=False,
    ),
    Case("ALTER TABLE t ADD COLUMN z bigint REFERENCES r", "t AX, r SRX", "adds_foreign_key"),
    Case(
        "ALTER TABLE t ADD COLUMN z bigint DEFAULT 1 REFERENCES r",
        "t AX, r SRX",
        "adds_foreign_key",
        "t",
    ),
    Case("ALTER TABLE t DROP COLUMN a", "t AX", "drops_column_with_data irreversible"),
    Case("ALTER TABLE t DROP COLUMN r_id", "t AX, r AX", "drops_column_with_data irreversible"),
    Case(
        "ALTER TABLE t DROP COLUMN id CASCADE",
        "t AX, child AX",
        "drops_column_with_data irreversible drops_foreign_key",
        measured=False,
    ),
    Case("ALTER TABLE t DROP COLUMN IF EXISTS absent", "t AX"),
    Case("ALTER TABLE t RENAME COLUMN a TO aa", "t AX", "rename_column"),
    Case(
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "t AX",
        _NULL := ("changes_column_nullable_to_not_null"),
        "t",
    ),
    Case("ALTER TABLE t ALTER COLUMN b SET NOT NULL", "t AX", _NULL),
    Case("ALTER TABLE t ALTER COLUMN f SET NOT NULL", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN f DROP NOT NULL", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN a SET DEFAULT 4", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN f DROP DEFAULT", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN a SET STATISTICS 100", "t SUX"),
    Case("ALTER TABLE t ALTER COLUMN d SET STORAGE EXTERNAL", "t AX"),
    # --- types
    Case("ALTER TABLE t ALTER COLUMN b TYPE varchar(100)", "t AX", "scans_table", "t"),
    Case("ALTER TABLE t ALTER COLUMN b TYPE text", "t AX", "scans_table", "t"),
    Case('ALTER TABLE t ALTER COLUMN "d" TYPE varchar USING "d"::varchar', "t AX"),
    Case("ALTER TABLE w ALTER COLUMN a TYPE varchar(20)", "w AX", _INDEXES, "w"),
    Case("ALTER TABLE w ALTER COLUMN b TYPE text", "w AX", _INDEXES, "w"),
    Case("ALTER TABLE w ALTER COLUMN c TYPE varchar(20)", "w AX", _INDEXES, "w"),
    Case("ALTER TABLE w ALTER COLUMN d TYPE varchar(20)", "w AX", "scans_table", "w"),
    Case("ALTER TABLE p ALTER COLUMN v TYPE varchar", "p AX, p1 AX, p2 AX", _INDEXES, "p p1 p2"),
    Case("ALTER TABLE t ALTER COLUMN d TYPE varchar", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN c TYPE numeric(12, 2)", "t AX"),
    Case("ALTER TABLE t ALTER COLUMN c TYPE numeric", "t AX"),
    _rewrite("ALTER TABLE t ALTER COLUMN a TYPE bigint"),
    _rewrite("ALTER TABLE t ALTER COLUMN a TYPE smallint", "narrows_column_type rewrites_table"),
    _rewrite("ALTER TABLE t ALTER COLUMN b TYPE varchar(20)", "narrows_column_type rewrites_table"),
    _rewrite(
        "ALTER TABLE t ALTER COLUMN d TYPE varchar(100)", "narrows_column_type rewrites_table"
    ),
    _rewrite(
        "ALTER TABLE t ALTER COLUMN c TYPE numeric(10, 4)", "narrows_column_type rewrites_table"
    ),
    _rewrite("ALTER TABLE t ALTER COLUMN tags TYPE varchar(20)[]"),
    _rewrite("ALTER TABLE t ALTER COLUMN flag TYPE integer USING flag::integer"),
    _rewrite("ALTER TABLE t ALTER COLUMN d TYPE jsonb USING to_jsonb(d)"),
    _rewrite("ALTER TABLE t ALTER COLUMN e TYPE date"),
    _rewrite("ALTER TABLE t ALTER COLUMN b TYPE text USING upper(b)"),
    _rewrite(
        "ALTER TABLE t ALTER COLUMN id TYPE bigint",
        locks="t AX, child AX",
    ),
    _rewrite(
        "ALTER TABLE t ALTER COLUMN r_id TYPE integer",
        "narrows_column_type rewrites_table",
        "t AX, r AX",
    ),
    Case('ALTER TABLE q ALTER COLUMN v TYPE text COLLATE "C"', "q AX"),
    # --- constraints
    Case("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", "t AX", "adds_check", "t"),
    Case("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID", "t AX", "adds_check"),
    Case("ALTER TABLE t VALIDATE CONSTRAINT a_positive", "t SUX", "scans_table", "t"),
    Case("ALTER TABLE t ADD UNIQUE (a)", "t AX", "adds_unique_constraint", "t"),
    Case("ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX t_u", "t AX", "adds_unique_constraint"),
    Case("ALTER TABLE q ADD PRIMARY KEY (id)", "q AX", "adds_unique_constraint", "q"),
    Case(
        "ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t",
        "child SRX, t SRX",
        "adds_foreign_key",
        "child",
    ),
    Case(
        "ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t NOT VALID",
        "child SRX, t SRX",
        "adds_foreign_key",
    ),
    Case("ALTER TABLE t DROP CONSTRAINT t_r_fk", "t AX, r AX", "drops_foreign_key"),
    Case("ALTER TABLE t DROP CONSTRAINT a_positive", "t AX"),
    Case("ALTER TABLE r DROP CONSTRAINT r_code_key", "r AX", "drops_unique_constraint"),
    Case("ALTER TABLE t RENAME CONSTRAINT a_positive TO a_more", "t AX"),
    # --- indexes
    Case("CREATE INDEX t_d ON t (d)", "t S", "adds_index", "t"),
    Case("CREATE INDEX IF NOT EXISTS t_d ON t (d)", "t S", "accepts_existing adds_index", "t"),
    Case("CREATE INDEX IF NOT EXISTS t_a ON t (d)", "t S"),
    Case("CREATE UNIQUE INDEX t_d ON t (lower(d))", "t S", "adds_unique_constraint", "t"),
    _outside("CREATE INDEX CONCURRENTLY t_d ON t (d)", "t SUX", "adds_index"),
    _outside(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_d ON t (d)",
        "t SUX",
        "accepts_existing adds_index",
    ),
    Case("DROP INDEX t_a", "t AX", "drops_index_blocking"),
    Case(
        "DROP INDEX t_u CASCADE",
        "t AX",
        "drops_index_blocking drops_unique_constraint drops_with_cascade",
    ),
    _outside("REINDEX TABLE p", "p S, p1 S, p2 S", "reindexes", "p p1 p2"),
    _outside("DROP INDEX CONCURRENTLY t_a", "t SUX", "drops_index", work=""),
    Case("DROP INDEX IF EXISTS absent"),
    Case("ALTER INDEX t_a RENAME TO t_aa"),
    Case("REINDEX TABLE t", "t S", "reindexes", "t", measured=False),
    _outside("REINDEX INDEX CONCURRENTLY t_a", "t SUX", "adds_index"),
    Case("CLUSTER t USING t_a", "t AX", "rewrites_table", "t", "t"),
    _outside("VACUUM (FULL, ANALYZE) t", "t AX", "rewrites_table", "t", "t"),
    _outside("VACUUM t", "t SUX", "scans_table", work=""),
    Case("ANALYZE t", "t SUX", "scans_table", measured=False),
    # --- tables
    Case("CREATE TABLE n (id integer PRIMARY KEY)", "n AX"),
    Case("CREATE TABLE n (id bigint REFERENCES r)", "n AX, r SRX"),
    Case("CREATE TABLE IF NOT EXISTS n (id integer)", "n AX", "accepts_existing"),
    Case("CREATE TABLE IF NOT EXISTS t (id integer)"),
    Case("CREATE TABLE n AS SELECT * FROM t WHERE false", "n AX, t AS"),
    Case("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)", "p3 AX, p AX"),
    Case(
        "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (200) TO (300)",
        "p SUX, q AX",
        "adds_index",
        "q",
    ),
    Case(
        "ALTER TABLE p ATTACH PARTITION q2 FOR VALUES FROM (200) TO (300)",
        "p SUX, q2 AX",
        "adds_index",
        "q2",
    ),
    Case("ALTER TABLE pw ATTACH PARTITION q2 FOR VALUES FROM (200) TO (300)", "pw SUX, q2 AX"),
    Case(
        "ALTER TABLE p ATTACH PARTITION q2 FOR VALUES FROM (250) TO (300)",
        "p SUX, q2 AX",
        "adds_index",
        "q2",
    ),
    Case("ALTER TABLE p DETACH PARTITION p1", "p AX, p1 AX", "detaches_partition"),
    Case("ALTER TABLE s DETACH PARTITION s1", "s AX, s1 AX, sd AX", "detaches_partition"),
    Case("DROP TABLE s1", "s AX, s1 AX, sd AX", "drops_table_with_data irreversible"),
    Case("ALTER TABLE heir INHERIT q", "q SUX, heir AX", measured=False),
    Case("ALTER TABLE heir NO INHERIT elder", "heir AX, elder AS", "detaches_partition"),
    Case("ALTER TABLE t ALTER COLUMN id SET GENERATED ALWAYS", "t AX"),
    Case("ALTER TYPE pair DROP ATTRIBUTE one", "", "drops_column_with_data irreversible"),
    Case("ALTER TABLE p ADD COLUMN z integer", "p AX, p1 AX, p2 AX"),
    Case("CREATE INDEX p_v ON p (v)", "p S, p1 S, p2 S", "adds_index", "p p1 p2"),
    Case("CREATE INDEX p_v ON ONLY p (v)", "p S", "adds_index"),
    Case(
        "ALTER TABLE p ADD PRIMARY KEY (id)",
        "p AX, p1 AX, p2 AX",
        "adds_unique_constraint",
        "p p1 p2",
        since=180000,
    ),
    Case(
        "DROP TABLE t CASCADE",
        "t AX, r AX, child AX",
        "drops_table_with_data irreversible drops_foreign_key",
    ),
    Case("DROP TABLE child", "child AX, t AX", "drops_table_with_data irreversible"),
    Case('DROP TABLE other."My.Table"', "other.My.Table AX", "drops_table_with_data irreversible"),
    Case("TRUNCATE q", "q AX", "deletes_all_rows irreversible"),
    Case("TRUNCATE t CASCADE", "t AX, child AX", "deletes_all_rows irreversible"),
    Case("ALTER TABLE t RENAME TO tt", "t AX", "rename_table"),
    Case("ALTER TABLE q SET SCHEMA other", "q AX", "rename_table"),
    Case("ALTER TABLE q SET UNLOGGED", "q AX", "rewrites_table unlogged_table", "q", "q"),
    Case("ALTER TABLE t SET (fillfactor = 90)", "t SUX"),
    Case("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "t AX", "rls_change"),
    Case("ALTER TABLE t OWNER TO CURRENT_USER", "t AX", "changes_rights"),
    Case("LOCK TABLE t", "t AX", "locks_reads"),
    Case("LOCK TABLE t IN SHARE MODE", "t S", "locks_writes"),
    Case("LOCK TABLE t IN ROW SHARE MODE", "t RS"),
    Case("COMMENT ON TABLE t IS 'x'", "t SUX"),
    Case("COMMENT ON COLUMN t.a IS 'x'", "t SUX"),
    # --- rows
    Case("UPDATE t SET a = 1", "t RX", "updates_all_rows", "t"),
    Case("UPDATE t SET a = 1 WHERE true", "t RX", "updates_all_rows", "t"),
    Case("UPDATE t SET a = 1 WHERE b IS NULL", "t RX", "requires_backfill", "t"),
    Case(
        "UPDATE p SET v = upper(v) WHERE v <> ''",
        "p RX, p1 RX, p2 RX",
        "requires_backfill",
        "p p1 p2",
    ),
    Case("DELETE FROM child", "child RX", _ALL := "deletes_all_rows irreversible", "child"),
    Case("DELETE FROM child WHERE id < 0", "child RX", "deletes_rows irreversible", "child"),
    Case(
        "DELETE FROM root WHERE id < 0",
        "root RX, leaf RX, twig RX",
        "deletes_rows irreversible requires_backfill",
        "root leaf twig",
    ),
    Case("INSERT INTO q VALUES (1, 'x')", "q RX", "inserts_rows"),
    Case("INSERT INTO q SELECT id, d FROM t", "q RX, t AS", "requires_backfill", "q"),
    Case(
        "WITH gone AS (DELETE FROM child RETURNING id) INSERT INTO q SELECT id, '' FROM gone",
        "child RX, q RX",
        "deletes_all_rows irreversible requires_backfill",
        "child q",
    ),
    Case(
        "MERGE INTO q USING t ON q.id = t.id WHEN MATCHED THEN DELETE",
        "q RX, t AS",
        "deletes_rows irreversible requires_backfill",
        "q",
    ),
    Case("SELECT count(*) FROM t", "t AS"),
    Case("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "t AS"),
    Case("SELECT ts_headline(d, websearch_to_tsquery('x')) FROM t", "t AS"),
    Case("SELECT id FROM t FOR UPDATE", "t RS", "locks_rows locks_writes"),
    Case("SELECT id FROM t WHERE id = 1 FOR UPDATE", "t RS", "locks_rows"),
    Case("SELECT id FROM t FOR KEY SHARE", "t RS", "locks_rows"),
    Case("DECLARE c CURSOR FOR SELECT * FROM t", "t AS"),
    Case("COPY (DELETE FROM child RETURNING id) TO STDOUT", "child RX", _ALL, "child", "", False),
    Case("PREPARE d AS DELETE FROM child", "child RX", _ALL, "child"),
    Case("EXPLAIN ANALYZE DELETE FROM child", "child RX", _ALL, "child"),
    Case("EXPLAIN DELETE FROM child", measured=False),
    Case("COPY q FROM STDIN", "q RX", "inserts_rows", measured=False),
    # --- other objects
    Case("CREATE SCHEMA more"),
    Case("CREATE TYPE colour AS ENUM ('red')"),
    Case("ALTER TYPE mood ADD VALUE 'great'"),
    Case("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", "", "renames_object breaks_running_code"),
    Case("DROP TYPE pair", "", "drops_object"),
    Case(
        "DROP TYPE mood CASCADE",
        "moody AX",
        "drops_with_cascade drops_column_with_data irreversible",
    ),
    Case("ALTER DOMAIN plain SET NOT NULL", "dom S", "locks_writes breaks_running_code", "dom"),
    Case("ALTER DOMAIN pos VALIDATE CONSTRAINT pos_ck", "dom S", "locks_writes", "dom"),
    Case("ALTER DOMAIN pos DROP CONSTRAINT pos_ck", "", "changes_object"),
    # --- sequences
    *(
        Case(sql, "", "resets_sequence")
        for sql in (
            "SELECT setval('t_id_seq', 10)",
            "SELECT setval(pg_get_serial_sequence('ser', 'id'), (SELECT 1))",
            "DO $$ BEGIN PERFORM setval('ser_id_seq', 1); END $$",
        )
    ),
    *(
        Case(f"ALTER SEQUENCE ser_id_seq {change}", "ser SRX", "resets_sequence")
        for change in ("RESTART", "RESTART WITH 1000", "INCREMENT BY -1", "MAXVALUE 60")
    ),
    Case("SELECT setval('t_id_seq', (SELECT max(id) FROM t))", "t AS"),
    Case("SELECT setval('t_id_seq', nextval('t_id_seq') + 1000)"),
    Case("ALTER SEQUENCE ser_id_seq AS bigint NO MAXVALUE CACHE 10", "ser SRX", "changes_object"),
    Case("ALTER TABLE t ALTER COLUMN id RESTART WITH 1", "t AX", "resets_sequence"),
    Case(
        "ALTER TABLE r ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY", "r AX", "resets_sequence"
    ),
    Case("ALTER TABLE r ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (START 9)", "r AX"),
    # --- replication
    Case("ALTER TABLE q REPLICA IDENTITY FULL", "q AX"),
    Case("ALTER TABLE child REPLICA IDENTITY NOTHING", "child AX"),
    Case("ALTER PUBLICATION pub DROP TABLE child", "child SUX", "stops_subscribers"),
    Case("ALTER PUBLICATION pub SET (publish = 'insert')", "", "stops_subscribers"),
    Case("ALTER PUBLICATION pub ADD TABLE root", "root SUX", "changes_object"),
    Case("ALTER PUBLICATION pub ADD TABLE w", "w SUX", "changes_object breaks_running_code"),
    Case("CREATE PUBLICATION ins FOR TABLE w WITH (publish = 'insert')", "w SUX", "changes_object"),
    Case("DROP PUBLICATION pub", "", "drops_object stops_subscribers"),
    # --- rules and functions
    Case(
        "CREATE RULE a AS ON INSERT TO q DO INSTEAD NOTHING",
        "q AX",
        "changes_trigger breaks_running_code",
    ),
    Case("CREATE RULE a AS ON INSERT TO q DO ALSO NOTIFY q", "q AX", "changes_trigger"),
    Case("ALTER TABLE lows DISABLE RULE lows_rule", "lows AX", "changes_trigger"),
    Case("ALTER FUNCTION low(text) STRICT", "", "changes_object changes_used_function"),
    Case("ALTER FUNCTION busy() STRICT", "", "changes_object"),
    Case("DROP VIEW v CASCADE", "", "drops_view drops_with_cascade"),
    Case("DROP STATISTICS q_st", "q SUX", "drops_object"),
    Case("DROP VIEW v", "", "drops_view", measured=False),
    Case("REFRESH MATERIALIZED VIEW m", "m AX", "locks_reads", measured=False),
    Case(
        "ALTER MATERIALIZED VIEW m SET ACCESS METHOD heap",
        "m AX",
        "changes_object locks_reads",
        measured=False,
    ),
    Case("ALTER STATISTICS q_st SET STATISTICS 5", measured=False),
    Case(
        "CREATE TRIGGER g AFTER INSERT ON q EXECUTE FUNCTION tsvector_update_trigger()",
        "q SRX",
        "changes_trigger",
        measured=False,
    ),
    Case(
        "DROP SCHEMA other CASCADE",
        "other.My.Table AX",
        "drops_with_cascade irreversible drops_table_with_data",
    ),
    Case(
        "REVOKE SELECT ON t FROM PUBLIC",
        "t AS",
        "changes_rights breaks_running_code",
        since=180000,
    ),
    Case("GRANT SELECT ON t TO PUBLIC", "t AS", since=180000),
    Case("GRANT pg_monitor TO CURRENT_USER", "", "changes_rights"),
    Case("REVOKE pg_monitor FROM CURRENT_USER", "", "changes_rights breaks_running_code"),
    Case("ALTER ROLE CURRENT_USER CREATEDB", "", "changes_rights"),
    Case("ALTER ROLE CURRENT_USER CONNECTION LIMIT 1", "", "changes_rights breaks_running_code"),
    Case("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC", "", "changes_rights"),
    Case("SAVEPOINT x"),
    Case("SET LOCAL lock_timeout = '1s'"),
    Case("SET CONSTRAINTS ALL IMMEDIATE"),
    # --- what is not known
    _unknown("SELECT busy()", "raw_sql calls_functions"),
    _unknown("CALL something()", "raw_sql calls_functions"),
    _unknown("DO $$ DECLARE x int; BEGIN x := busy(); END $$", "raw_sql calls_functions"),
    _unknown("SELECT set_config('session_replication_role', 'replica', true)"),
    Case(
        "UPDATE pg_attribute SET attnotnull = false WHERE attname = 'z'",
        "pg_attribute RX",
        "raw_sql requires_backfill",
        "pg_attribute",
        measured=False,
    ),
    _unknown("SELECT pg_terminate_backend(1)", "raw_sql calls_functions"),
    _unknown("COMMIT", "ends_transaction"),
    _unknown("SET session_replication_role = replica"),
    _outside("ALTER SYSTEM SET work_mem = '1GB'", "", "raw_sql", ""),
    _unknown("not SQL at all"),
    _unknown("DROP EVERYTHING", "raw_sql may_drop"),
    _unknown("ALTER TABLE t ALTER CONSTRAINT t_r_fk ENFORCED", "raw_sql"),
    _unknown("ALTER TABLE t ALTER CONSTRAINT t_r_fk NOT ENFORCED", "raw_sql"),
    _outside("DO $$ BEGIN COMMIT; END $$", "", "", ""),
)

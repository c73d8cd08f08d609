-- What makes PostgreSQL print the same text in every session, for the current transaction only, and
-- keeps a role's short timeouts from ending it.
-- The queries name their tables in the order in which to join them: to look for a better one takes
-- longer than to read a small schema.
-- Its parameters: the default schema (NULL: the session's own), an array of schemas to read, and
-- two arrays side by side with schemas and names of tables to read (NULL: all; '': the default).
WITH known AS MATERIALIZED (
    SELECT coalesce(%s::text, current_schema()::text, 'public') AS default_schema
)
SELECT default_schema,
       set_config('search_path', 'pg_catalog', true),
       set_config('quote_all_identifiers', 'off', true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('bytea_output', 'hex', true),
       set_config('DateStyle', 'ISO, YMD', true),
       set_config('IntervalStyle', 'postgres', true),
       set_config('TimeZone', 'UTC', true),
       set_config('extra_float_digits', '1', true),
       set_config('jit', 'off', true),
       set_config('statement_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL  -- PostgreSQL 17
            THEN set_config('transaction_timeout', '0', true) END,
       set_config('join_collapse_limit', '1', true),
       set_config('zanith.schemas', coalesce(%s::text[]::text, ''), true),
       set_config('zanith.tables', coalesce((
           SELECT array_agg(format('%%I.%%I', coalesce(nullif(s, ''), default_schema), t))::text
           FROM unnest(%s::text[], %s::text[]) AS wanted(s, t)), ''), true)
FROM known

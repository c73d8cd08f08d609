-- How much a schema holds: tables, columns, constraints, indexes (of materialised views too).
WITH tables AS (
    SELECT c.oid, c.relkind
    FROM pg_class c
    WHERE c.relkind IN ('r', 'p', 'm')
      AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
      AND c.relpersistence <> 't'
      AND c.relname NOT LIKE '\_zanith\_%'
      AND c.relnamespace::regnamespace::text !~ '^pg_'
)
SELECT
    (SELECT count(*) FROM tables WHERE relkind <> 'm'),
    (SELECT count(*) FROM pg_attribute
     WHERE attrelid IN (SELECT oid FROM tables WHERE relkind <> 'm') AND attnum > 0 AND NOT attisdropped),
    (SELECT count(*) FROM pg_constraint
     WHERE conrelid IN (SELECT oid FROM tables) AND contype <> 'n'),
    (SELECT count(*) FROM pg_index WHERE indrelid IN (SELECT oid FROM tables))

WITH customers AS (
    SELECT id, row_number() OVER () AS n FROM customers_customer
),
chosen AS (
    SELECT i, 1 + floor(random() * (SELECT count(*) FROM customers_customer))::bigint AS n
    FROM generate_series(1, %(rows)s) AS i
)
INSERT INTO customers_address (customer_id, kind, lines, postcode, city, country, is_default)
SELECT
    id,
    CASE WHEN i %% 4 = 0 THEN 'billing' ELSE 'delivery' END,
    ARRAY[(1 + i %% 180) || ' ' || (ARRAY['Mill Lane', 'High Street', 'Station Road', 'Church Walk'])[1 + i %% 4]],
    (1000 + i %% 9000)::text || ' ' || chr(65 + i %% 26) || chr(65 + (i / 26) %% 26),
    (ARRAY['Utrecht', 'Ghent', 'Leeds', 'Lyon', 'Bremen'])[1 + i %% 5],
    (ARRAY['NL', 'BE', 'GB', 'FR', 'DE'])[1 + i %% 5],
    false
FROM chosen JOIN customers USING (n)

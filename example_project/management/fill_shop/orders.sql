WITH customers AS (
    SELECT id, joined_at, row_number() OVER () AS n FROM customers_customer
),
chosen AS (
    SELECT
        i,
        1 + floor(random() * (SELECT count(*) FROM customers_customer))::bigint AS n,
        random() AS age
    FROM generate_series(
        (SELECT coalesce(max(number), 100000) + 1 FROM orders_order),
        (SELECT coalesce(max(number), 100000) + %(rows)s FROM orders_order)
    ) AS i
),
placed AS (
    SELECT
        i,
        id AS customer_id,
        joined_at + age * (now() - joined_at) AS placed_at,
        -- Open orders are recent ones.
        CASE WHEN age > 0.98 THEN 1 WHEN age > 0.95 THEN 2 WHEN i %% 25 = 0 THEN 9 ELSE 3 END AS status
    FROM chosen JOIN customers USING (n)
)
INSERT INTO orders_order
    (id, number, customer_id, delivery_address_id, status, total, note, time_to_ship, placed_at, paid_at)
SELECT
    gen_random_uuid(),
    i,
    customer_id,
    address.id,
    status,
    0,
    CASE WHEN i %% 30 = 0 THEN 'Please ring twice.' ELSE '' END,
    CASE WHEN status = 3 THEN interval '4 hours' * (1 + i %% 20) END,
    placed_at,
    CASE WHEN status IN (2, 3) THEN placed_at + interval '1 minute' * (i %% 90) END
FROM placed
LEFT JOIN LATERAL (
    SELECT id FROM customers_address AS a WHERE a.customer_id = placed.customer_id LIMIT 1
) AS address ON true

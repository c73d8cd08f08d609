-- For orders that have none yet, whose totals follow.
WITH orders AS (
    SELECT id, row_number() OVER () AS o
    FROM orders_order
    WHERE NOT EXISTS (SELECT FROM orders_orderline AS l WHERE l.order_id = orders_order.id)
),
products AS (
    SELECT id, price, row_number() OVER () AS n FROM catalog_product
),
chosen AS (
    SELECT
        i,
        1 + i %% (SELECT greatest(count(*), 1) FROM orders) AS o,
        1 + floor(random() * (SELECT count(*) FROM catalog_product))::bigint AS n
    FROM generate_series(1, %(rows)s) AS i
),
lines AS (
    INSERT INTO orders_orderline (order_id, product_id, quantity, unit_price)
    SELECT orders.id, products.id, 1 + i %% 3, price
    FROM chosen JOIN products USING (n) JOIN orders USING (o)
    ON CONFLICT DO NOTHING
    RETURNING order_id, amount
),
totals AS (
    UPDATE orders_order
    SET total = sums.total
    FROM (SELECT order_id, sum(amount) AS total FROM lines GROUP BY order_id) AS sums
    WHERE orders_order.id = sums.order_id
)
SELECT FROM lines

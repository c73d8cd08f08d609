INSERT INTO orders_payment (order_id, provider, provider_reference, amount, response, received_at)
SELECT
    id,
    (ARRAY['card', 'transfer', 'wallet'])[1 + number %% 3],
    CASE WHEN number %% 3 <> 1 THEN 'R-' || number END,
    total,
    CASE WHEN number %% 3 <> 1 THEN jsonb_build_object('status', 'captured') END,
    paid_at
FROM orders_order AS o
WHERE paid_at IS NOT NULL AND NOT EXISTS (SELECT FROM orders_payment AS p WHERE p.order_id = o.id)
ORDER BY number
LIMIT %(rows)s

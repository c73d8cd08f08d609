INSERT INTO customers_loyaltycard (customer_id, number, points)
SELECT id, 'L' || lpad(id::text, 15, '0'), floor(1500 * random() * random())::int
FROM customers_customer AS c
WHERE NOT EXISTS (SELECT FROM customers_loyaltycard AS l WHERE l.customer_id = c.id)
ORDER BY id
LIMIT %(rows)s

-- Some customers that have no company yet get one.
INSERT INTO customers_businesscustomer (customer_ptr_id, company, vat_number, payment_term)
SELECT
    c.id,
    split_part(c.name, ' ', 2) || (ARRAY[' Ltd', ' & Sons', ' Trading', ' Group'])[1 + c.id %% 4],
    CASE WHEN c.id %% 5 = 0 THEN '' ELSE 'NL' || lpad(c.id::text, 9, '0') || 'B01' END,
    CASE WHEN c.id %% 2 = 0 THEN interval '30 days' END
FROM customers_customer AS c
WHERE NOT EXISTS (SELECT FROM customers_businesscustomer AS b WHERE b.customer_ptr_id = c.id)
ORDER BY c.id DESC
LIMIT %(rows)s

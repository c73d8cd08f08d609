WITH products AS (
    SELECT id, row_number() OVER () AS n FROM catalog_product
),
tags AS (
    SELECT id, row_number() OVER (ORDER BY id) AS t, count(*) OVER () AS total FROM catalog_tag
),
chosen AS (
    SELECT i, 1 + floor(random() * (SELECT count(*) FROM catalog_product))::bigint AS n
    FROM generate_series(1, %(rows)s) AS i
)
INSERT INTO catalog_product_tags (product_id, tag_id)
SELECT products.id, tags.id
FROM chosen JOIN products USING (n) JOIN tags ON t = 1 + i %% total
ON CONFLICT DO NOTHING

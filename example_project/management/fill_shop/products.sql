WITH words AS (
    SELECT
        ARRAY['Small', 'Large', 'Blue', 'Green', 'Folding', 'Classic', 'Light', 'Sturdy'] AS adjective,
        ARRAY['oak', 'steel', 'linen', 'glass', 'cotton'] AS material,
        ARRAY['teapot', 'lamp', 'chair', 'notebook', 'basket', 'tent', 'kettle', 'shelf', 'rug', 'clock'] AS thing
),
shelves AS (
    SELECT id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS total
    FROM catalog_category
    WHERE parent_id IS NOT NULL
),
makers AS (
    SELECT id, row_number() OVER (ORDER BY name) AS n, count(*) OVER () AS total FROM catalog_brand
),
products AS (
    SELECT
        i,
        adjective[1 + i %% 8] || ' ' || material[1 + (i / 8) %% 5] || ' ' || thing[1 + (i / 40) %% 10] AS name,
        round((3 + 200 * random() * random())::numeric, 2) AS price
    FROM words, generate_series(
        (SELECT coalesce(max(id), 0) + 1 FROM catalog_product),
        (SELECT coalesce(max(id), 0) + %(rows)s FROM catalog_product)
    ) AS i
)
INSERT INTO catalog_product
    (sku, name, slug, description, category_id, brand_id, status, price, cost, stock, attributes, search, created_at)
SELECT
    'S' || lpad(i::text, 8, '0'),
    p.name,
    lower(replace(p.name, ' ', '-')) || '-' || i,
    'Made to last. ' || p.name || ', number ' || i || ' of its line.',
    shelves.id,
    makers.id,
    CASE WHEN i %% 20 = 0 THEN 2 WHEN i %% 15 = 0 THEN 0 ELSE 1 END,
    price,
    CASE WHEN i %% 9 <> 0 THEN round(price * 0.6, 2) END,
    floor(40 * random())::int,
    jsonb_build_object('grams', 50 + i %% 4000, 'colours', jsonb_build_array('blue', 'green')),
    setweight(to_tsvector('english', p.name), 'A'),
    now() - random() * interval '3 years'
FROM products AS p
JOIN shelves ON shelves.n = 1 + i %% shelves.total
LEFT JOIN makers ON makers.n = 1 + i %% makers.total AND i %% 6 <> 0

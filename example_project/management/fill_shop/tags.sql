INSERT INTO catalog_tag (slug)
SELECT unnest(ARRAY['gift', 'handmade', 'recycled', 'bestseller', 'limited', 'vegan', 'fair-trade', 'last-pieces'])
ON CONFLICT (slug) DO NOTHING

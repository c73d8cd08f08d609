INSERT INTO catalog_brand (id, name, website)
SELECT gen_random_uuid(), name, 'https://' || lower(name) || '.example/'
FROM unnest(ARRAY['Aldermoor', 'Birchwell', 'Calder', 'Dunmere', 'Elmstone', 'Foxglove', 'Granby']) AS b (name)
ON CONFLICT (name) DO NOTHING

-- Five departments with four shelves each, once.
WITH departments AS (
    INSERT INTO catalog_category (name, position)
    SELECT name, position
    FROM unnest(ARRAY['Kitchen', 'Garden', 'Books', 'Office', 'Outdoor']) WITH ORDINALITY AS d (name, position)
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO catalog_category (name, parent_id, position)
SELECT shelf, departments.id, position
FROM departments,
    unnest(ARRAY['New', 'Classics', 'For children', 'Second hand']) WITH ORDINALITY AS s (shelf, position)

WITH names AS (
    SELECT
        ARRAY['Ada', 'Ben', 'Chloe', 'Dario', 'Emma', 'Femi', 'Grace', 'Hugo', 'Ines', 'Jonas', 'Kim', 'Luca'] AS first,
        ARRAY['Ahlberg', 'Brown', 'Costa', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Haas', 'Ito', 'Jansen'] AS last
),
people AS (
    SELECT
        i,
        first[1 + i %% 12] || ' ' || last[1 + (i / 12) %% 10] AS name,
        now() - random() * interval '3 years' AS joined_at
    FROM names, generate_series(
        (SELECT coalesce(max(id), 0) + 1 FROM customers_customer),
        (SELECT coalesce(max(id), 0) + %(rows)s FROM customers_customer)
    ) AS i
)
INSERT INTO customers_customer
    (email, name, level, preferences, interests, last_seen_at, last_seen_ip, joined_at)
SELECT
    lower(replace(name, ' ', '.')) || i || '@example.org',
    name,
    CASE WHEN i %% 10 = 0 THEN 3 WHEN i %% 3 = 0 THEN 2 ELSE 1 END,
    jsonb_build_object('newsletter', i %% 2 = 0, 'language', (ARRAY['en', 'nl', 'fr', 'de'])[1 + i %% 4]),
    (ARRAY['tea', 'books', 'garden', 'cycling', 'chess'])[1 + i %% 3:2 + i %% 4],
    CASE WHEN i %% 4 <> 0 THEN joined_at + random() * (now() - joined_at) END,
    CASE WHEN i %% 4 <> 0 THEN ('10.' || i %% 250 || '.' || (i / 250) %% 250 || '.7')::inet END,
    joined_at
FROM people

-- The last week of every month, two years back and one ahead; the exclusion constraint keeps them apart.
INSERT INTO catalog_saleperiod (name, period, discount_percent)
SELECT
    to_char(month, 'FMMonth YYYY'),
    tstzrange(month + interval '3 weeks', month + interval '4 weeks'),
    10 + 5 * (extract(month FROM month)::int %% 4)
FROM generate_series(
    date_trunc('month', now()) - interval '2 years', date_trunc('month', now()) + interval '1 year', interval '1 month'
) AS month
ON CONFLICT DO NOTHING

-- Prices have up to 12 decimals, and lines of the models `package` and of SKUs with a multiplier have values of their own: `packages` (then
-- `unit_price` is that of a package, and the amount is packages x unit_price), `multiplier` and `usage_quantity` (the usage before it, on the
-- first line of its usage), and `corrects_kind` of an adjustment where that is not `usage`.

CREATE OR REPLACE VIEW dash_lines AS
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       CAST(g.value ->> 'first_line' AS BIGINT) + l.place - 1 AS line_no, (g.value ->> 'appid') COLLATE "C" AS appid,
       (g.value ->> 'kind') COLLATE "C" AS kind, (g.value ->> 'card') COLLATE "C" AS card,
       CAST(g.value ->> 'card_version' AS DATE) AS card_version, (g.value ->> 'region') COLLATE "C" AS region,
       (l.value ->> 0) COLLATE "C" AS sku, (l.value ->> 1) COLLATE "C" AS meter,
       (l.value ->> 2) COLLATE "C" AS unit, CAST(l.value ->> 3 AS BIGINT) AS records,
       CAST(l.value ->> 4 AS NUMERIC) AS quantity, CAST(l.value ->> 5 AS NUMERIC) AS unit_price,
       CASE WHEN l.value ->> 4 IS NOT NULL THEN COALESCE(CAST(l.value -> 7 ->> 'discount_percent' AS NUMERIC), 0) END
           AS discount_percent,
       CAST(l.value ->> 6 AS NUMERIC) AS amount, (l.value -> 7 ->> 'corrects_statement') COLLATE "C" AS corrects_statement,
       CAST(l.value -> 7 ->> 'corrects_line' AS BIGINT) AS corrects_line,
       (l.value ->> 2) COLLATE "C" AS price_unit, s.month, CAST(s.month || '-01' AS DATE) AS month_start,
       CAST(l.value -> 7 ->> 'packages' AS BIGINT) AS packages, CAST(l.value -> 7 ->> 'multiplier' AS NUMERIC) AS multiplier,
       CAST(l.value -> 7 ->> 'usage_quantity' AS NUMERIC) AS usage_quantity,
       (l.value -> 7 ->> 'corrects_kind') COLLATE "C" AS corrects_kind
FROM statement s JOIN document d ON d.document = s.document,
     jsonb_array_elements(CASE WHEN LEFT(d.body, 1) = '{' THEN CAST(d.body AS JSONB) -> 'groups' END) AS g (value),
     jsonb_array_elements(g.value -> 'lines') WITH ORDINALITY AS l (value, place)
WHERE jsonb_typeof(g.value) = 'object' AND jsonb_typeof(l.value) = 'array'
UNION ALL
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       CAST(g.value ->> 0 AS BIGINT) + l.place - 1 AS line_no, NULLIF(g.value ->> 1, '') COLLATE "C" AS appid,
       (g.value ->> 2) COLLATE "C" AS kind, NULLIF(g.value ->> 3, '') COLLATE "C" AS card,
       CAST(NULLIF(g.value ->> 4, '') AS DATE) AS card_version, NULLIF(g.value ->> 5, '') COLLATE "C" AS region,
       NULLIF(l.value ->> 0, '') COLLATE "C" AS sku, NULLIF(g.value ->> 6, '') COLLATE "C" AS meter,
       NULLIF(g.value ->> 7, '') COLLATE "C" AS unit, CAST(NULLIF(l.value ->> 1, '') AS BIGINT) AS records,
       CAST(NULLIF(l.value ->> 2, '') AS NUMERIC) AS quantity, CAST(NULLIF(l.value ->> 3, '') AS NUMERIC) AS unit_price,
       CASE WHEN l.value ->> 2 <> '' THEN COALESCE(CAST(NULLIF(l.value ->> 6, '') AS NUMERIC), 0) END AS discount_percent,
       CAST(l.value ->> 4 AS NUMERIC) AS amount, NULLIF(l.value ->> 7, '') COLLATE "C" AS corrects_statement,
       CAST(NULLIF(l.value ->> 8, '') AS BIGINT) AS corrects_line,
       NULLIF(g.value ->> 7, '') COLLATE "C" AS price_unit, s.month, CAST(s.month || '-01' AS DATE) AS month_start,
       CAST(NULL AS BIGINT) AS packages, CAST(NULL AS NUMERIC) AS multiplier, CAST(NULL AS NUMERIC) AS usage_quantity,
       CAST(NULL AS TEXT) COLLATE "C" AS corrects_kind
FROM statement s JOIN document d ON d.document = s.document,
     jsonb_array_elements(CASE WHEN LEFT(d.body, 1) = '[' THEN CAST(d.body AS JSONB) END) AS g (value),
     jsonb_array_elements(g.value -> 8) WITH ORDINALITY AS l (value, place)
WHERE jsonb_typeof(g.value) = 'array' AND jsonb_typeof(l.value) = 'array';

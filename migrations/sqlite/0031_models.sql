-- Prices have up to 12 decimals, and lines of the models `package` and of SKUs with a multiplier have values of their own: `packages` (then
-- `unit_price` is that of a package, and the amount is packages x unit_price), `multiplier` and `usage_quantity` (the usage before it, on the
-- first line of its usage), and `corrects_kind` of an adjustment where that is not `usage`.

DROP VIEW dash_lines;
CREATE VIEW dash_lines AS
SELECT s.statement_id, s.uin, s.period_start, s.period_end, s.currency,
       CAST(g.value ->> '$.first_line' AS INTEGER) + l.key AS line_no,
       g.value ->> '$.appid' AS appid, g.value ->> '$.kind' AS kind, g.value ->> '$.card' AS card,
       g.value ->> '$.card_version' AS card_version, g.value ->> '$.region' AS region, l.value ->> 0 AS sku,
       l.value ->> 1 AS meter, l.value ->> 2 AS unit,
       l.value ->> 3 AS records, l.value ->> 4 AS quantity, l.value ->> 5 AS unit_price,
       CASE WHEN l.value ->> 4 IS NOT NULL THEN COALESCE(l.value ->> '$[7].discount_percent', '0') END AS discount_percent,
       l.value ->> 6 AS amount, CAST(l.value ->> 6 AS REAL) AS amount_for_charts,
       l.value ->> '$[7].corrects_statement' AS corrects_statement, l.value ->> '$[7].corrects_line' AS corrects_line,
       l.value ->> 2 AS price_unit, s.month, s.month || '-01' AS month_start,
       l.value ->> '$[7].packages' AS packages, l.value ->> '$[7].multiplier' AS multiplier,
       l.value ->> '$[7].usage_quantity' AS usage_quantity, l.value ->> '$[7].corrects_kind' AS corrects_kind
FROM statement s JOIN document d ON d.document = s.document, json_each(d.body, '$.groups') g, json_each(g.value, '$.lines') l
UNION ALL
SELECT s.statement_id, s.uin, s.period_start, s.period_end, s.currency, CAST(g.value ->> 0 AS INTEGER) + l.key AS line_no,
       NULLIF(g.value ->> 1, '') AS appid, g.value ->> 2 AS kind, NULLIF(g.value ->> 3, '') AS card,
       NULLIF(g.value ->> 4, '') AS card_version, NULLIF(g.value ->> 5, '') AS region, NULLIF(l.value ->> 0, '') AS sku,
       NULLIF(g.value ->> 6, '') AS meter, NULLIF(g.value ->> 7, '') AS unit,
       CAST(NULLIF(l.value ->> 1, '') AS INTEGER) AS records, NULLIF(l.value ->> 2, '') AS quantity,
       NULLIF(l.value ->> 3, '') AS unit_price,
       CASE WHEN l.value ->> 2 <> '' THEN COALESCE(NULLIF(l.value ->> 6, ''), '0') END AS discount_percent, l.value ->> 4 AS amount,
       CAST(l.value ->> 4 AS REAL) AS amount_for_charts, NULLIF(l.value ->> 7, '') AS corrects_statement,
       CAST(NULLIF(l.value ->> 8, '') AS INTEGER) AS corrects_line,
       NULLIF(g.value ->> 7, '') AS price_unit, s.month, s.month || '-01' AS month_start,
       NULL AS packages, NULL AS multiplier, NULL AS usage_quantity, NULL AS corrects_kind
FROM statement s JOIN document d ON d.document = s.document,
     json_each(CASE WHEN SUBSTR(d.body, 1, 1) = '[' THEN d.body ELSE '[]' END) g, json_each(g.value, '$[8]') l;

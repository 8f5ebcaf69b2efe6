-- What dashboards need beside a number: its month as a date, its unit, and how far the usage of a draft reaches. Views are replaced, not
-- made anew: the rights of those who read them stay. So new columns stand last.

-- The last day with usage in a draft; none without usage, and in those of an earlier program until the next night.
ALTER TABLE draft ADD COLUMN usage_through TEXT COLLATE "C";

-- Where the units of SKUs are looked up: once for a query that asks for them.
CREATE INDEX usage_total_sku ON usage_total (unit, sku);

-- Usage per account, day, app, region and SKU: see 0009. `unit` is that of `raw_units` and `billable_units`, `ms` or `count`; NULL where a
-- SKU has been measured in both.
CREATE OR REPLACE VIEW dash_usage AS
SELECT u.uin, u.month,
       CAST(u.month || '-' || CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 0 AS BIGINT) ELSE p.sums >> 1 & 31 END AS DATE) AS day,
       a.key COLLATE "C" AS appid, r.key COLLATE "C" AS region, s.key COLLATE "C" AS sku,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 2 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 3 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END AS raw_units,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 1 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END
           AS billable_units,
       CASE WHEN s.key COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN s.key COLLATE "C" NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN s.key COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       CAST(u.month || '-01' AS DATE) AS month_start
FROM usage_daily u, jsonb_each(CAST(u.days AS JSONB)) AS a, jsonb_each(a.value) AS r, jsonb_each(r.value) AS s,
     jsonb_array_elements(s.value) AS d (value),
     LATERAL (SELECT CASE jsonb_typeof(d.value) WHEN 'number' THEN CAST(d.value AS BIGINT) END AS sums) AS p
WHERE jsonb_typeof(a.value) = 'object' AND jsonb_typeof(r.value) = 'object' AND jsonb_typeof(s.value) = 'array';

-- The same by SKU and day alone.
CREATE OR REPLACE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month,
       CAST(u.month || '-' || CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 0 AS BIGINT) ELSE p.sums >> 1 & 31 END AS DATE) AS day,
       s.key COLLATE "C" AS sku,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 2 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 3 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END AS raw_units,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 1 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END
           AS billable_units,
       CASE WHEN s.key COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN s.key COLLATE "C" NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN s.key COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       CAST(u.month || '-01' AS DATE) AS month_start
FROM usage_daily u, jsonb_each(CAST(COALESCE(u.sku_days, u.days) AS JSONB)) AS a, jsonb_each(a.value) AS r, jsonb_each(r.value) AS s,
     jsonb_array_elements(s.value) AS d (value),
     LATERAL (SELECT CASE jsonb_typeof(d.value) WHEN 'number' THEN CAST(d.value AS BIGINT) END AS sums) AS p
WHERE jsonb_typeof(a.value) = 'object' AND jsonb_typeof(r.value) = 'object' AND jsonb_typeof(s.value) = 'array';

-- Usage per day, task type, region and SKU, over all accounts.
CREATE OR REPLACE VIEW dash_totals AS
SELECT month, CAST(day AS DATE) AS day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units,
       CAST(month || '-01' AS DATE) AS month_start
FROM usage_total;

-- Charges per account and period. `usage_through` is the last day whose usage is in them.
CREATE OR REPLACE VIEW dash_charges AS
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end,
       CAST('closed' AS TEXT) COLLATE "C" AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, CAST(0 AS BIGINT) AS unpriced, statement_id,
       CAST(closed_at AS TIMESTAMPTZ) AS as_of,
       CAST(period_end AS DATE) - 1 AS usage_through, CAST(month || '-01' AS DATE) AS month_start
FROM statement
UNION ALL
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end,
       CAST('draft' AS TEXT) COLLATE "C" AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, unpriced, NULL AS statement_id,
       CAST(as_of AS TIMESTAMPTZ) AS as_of,
       CAST(usage_through AS DATE) AS usage_through, CAST(month || '-01' AS DATE) AS month_start
FROM draft;

-- What accounts come to in a month.
CREATE OR REPLACE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, total AS total_for_charts, records, drafts, CAST(month || '-01' AS DATE) AS month_start
FROM account_month;

-- Lines of closed statements. `price_unit` is that of `quantity` and `unit_price`; the older name of the same is `unit`.
CREATE OR REPLACE VIEW dash_lines AS
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
       NULLIF(g.value ->> 7, '') COLLATE "C" AS price_unit, s.month, CAST(s.month || '-01' AS DATE) AS month_start
FROM statement s JOIN document d ON d.document = s.document, jsonb_array_elements(CAST(d.body AS JSONB)) AS g (value),
     jsonb_array_elements(g.value -> 8) WITH ORDINALITY AS l (value, place)
WHERE jsonb_typeof(g.value) = 'array' AND jsonb_typeof(l.value) = 'array';

CREATE OR REPLACE VIEW dash_blocked AS
SELECT uin, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, why, unpriced,
       CAST(SUBSTR(period_start, 1, 7) || '-01' AS DATE) AS month_start
FROM blocked_period;

-- Both sides of the books by the UTC day on which their batches were committed. `raw_ms` and `uplift` are milliseconds.
CREATE VIEW dash_control_days AS
SELECT CAST(SUBSTR(b.committed_at, 1, 10) AS DATE) AS day, c.status,
       CAST(SUM(c.records) AS BIGINT) AS records, CAST(SUM(c.raw_ms) AS BIGINT) AS raw_ms,
       CAST(SUM(c.raw_count) AS BIGINT) AS raw_count, CAST(SUM(c.uplift) AS BIGINT) AS uplift,
       CAST(SUBSTR(SUBSTR(b.committed_at, 1, 10), 1, 7) || '-01' AS DATE) AS month_start
FROM control_total c JOIN batch b ON b.batch = c.batch GROUP BY SUBSTR(b.committed_at, 1, 10), c.status;

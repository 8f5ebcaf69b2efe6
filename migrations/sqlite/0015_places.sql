-- What dashboards need beside a number: its month as a date, its unit, and how far the usage of a draft reaches. New columns stand last, so
-- that those that were there stay in their places.

-- The last day with usage in a draft; none without usage, and in those of an earlier program until the next night.
ALTER TABLE draft ADD COLUMN usage_through TEXT;

-- Where the units of SKUs are looked up: once for a query that asks for them.
CREATE INDEX usage_total_sku ON usage_total (unit, sku);

-- Usage per account, day, app, region and SKU: see 0009. `unit` is that of `raw_units` and `billable_units`, `ms` or `count`; NULL where a
-- SKU has been measured in both.
DROP VIEW dash_usage;
CREATE VIEW dash_usage AS
SELECT u.uin, u.month, u.month || SUBSTR('-01-02-03-04-05-06-07-08-09-10-11-12-13-14-15-16-17-18-19-20-21-22-23-24-25-26-27-28-29-30-31',
                                         3 * (CASE d.type WHEN 'integer' THEN d.value >> 1 & 31 ELSE d.value ->> 0 END) - 2, 3) AS day,
       a.key AS appid, r.key AS region, s.key AS sku,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 2 WHEN d.value & 1 THEN d.value >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 3 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS raw_units,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 1 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS billable_units,
       CASE WHEN s.key IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN s.key NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN s.key IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       u.month || '-01' AS month_start
FROM usage_daily u, json_each(u.days) a, json_each(a.value) r, json_each(r.value) s, json_each(s.value) d;

-- The same by SKU and day alone.
DROP VIEW dash_usage_by_sku;
CREATE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month, u.month || SUBSTR('-01-02-03-04-05-06-07-08-09-10-11-12-13-14-15-16-17-18-19-20-21-22-23-24-25-26-27-28-29-30-31',
                                         3 * (CASE d.type WHEN 'integer' THEN d.value >> 1 & 31 ELSE d.value ->> 0 END) - 2, 3) AS day,
       s.key AS sku,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 2 WHEN d.value & 1 THEN d.value >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 3 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS raw_units,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 1 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS billable_units,
       CASE WHEN s.key IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN s.key NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN s.key IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       u.month || '-01' AS month_start
FROM usage_daily u, json_each(COALESCE(u.sku_days, u.days)) a, json_each(a.value) r, json_each(r.value) s, json_each(s.value) d;

-- Usage per day, task type, region and SKU, over all accounts.
DROP VIEW dash_totals;
CREATE VIEW dash_totals AS
SELECT month, day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units,
       month || '-01' AS month_start FROM usage_total;

-- Charges per account and period. `usage_through` is the last day whose usage is in them.
DROP VIEW dash_charges;
CREATE VIEW dash_charges AS
SELECT uin, month, period_start, period_end, CAST('closed' AS TEXT) AS state, currency,
       usage_amount, adjustment_amount, rounding, total,
       CAST(total AS REAL) AS total_for_charts, line_count, records, CAST(0 AS INTEGER) AS unpriced, statement_id,
       closed_at AS as_of,
       DATE(period_end, '-1 day') AS usage_through, month || '-01' AS month_start
FROM statement
UNION ALL
SELECT uin, month, period_start, period_end, CAST('draft' AS TEXT) AS state, currency,
       usage_amount, adjustment_amount, rounding, total,
       CAST(total AS REAL) AS total_for_charts, line_count, records, unpriced, CAST(NULL AS TEXT) AS statement_id,
       as_of,
       usage_through AS usage_through, month || '-01' AS month_start
FROM draft;

-- What accounts come to in a month.
DROP VIEW dash_top_accounts;
CREATE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, CAST(total AS REAL) AS total_for_charts, records, drafts, month || '-01' AS month_start
FROM account_month;

-- Lines of closed statements. `price_unit` is that of `quantity` and `unit_price`; the older name of the same is `unit`.
DROP VIEW dash_lines;
CREATE VIEW dash_lines AS
SELECT s.statement_id, s.uin, s.period_start, s.period_end, s.currency, CAST(g.value ->> 0 AS INTEGER) + l.key AS line_no,
       NULLIF(g.value ->> 1, '') AS appid, g.value ->> 2 AS kind, NULLIF(g.value ->> 3, '') AS card,
       NULLIF(g.value ->> 4, '') AS card_version, NULLIF(g.value ->> 5, '') AS region, NULLIF(l.value ->> 0, '') AS sku,
       NULLIF(g.value ->> 6, '') AS meter, NULLIF(g.value ->> 7, '') AS unit,
       CAST(NULLIF(l.value ->> 1, '') AS INTEGER) AS records, NULLIF(l.value ->> 2, '') AS quantity,
       NULLIF(l.value ->> 3, '') AS unit_price,
       CASE WHEN l.value ->> 2 <> '' THEN COALESCE(NULLIF(l.value ->> 6, ''), '0') END AS discount_percent, l.value ->> 4 AS amount,
       CAST(l.value ->> 4 AS REAL) AS amount_for_charts, NULLIF(l.value ->> 7, '') AS corrects_statement,
       CAST(NULLIF(l.value ->> 8, '') AS INTEGER) AS corrects_line,
       NULLIF(g.value ->> 7, '') AS price_unit, s.month, s.month || '-01' AS month_start
FROM statement s JOIN document d ON d.document = s.document, json_each(d.body) g, json_each(g.value, '$[8]') l;

DROP VIEW dash_blocked;
CREATE VIEW dash_blocked AS
SELECT uin, period_start, period_end, why, unpriced,
       SUBSTR(period_start, 1, 7) || '-01' AS month_start
FROM blocked_period;

-- Both sides of the books by the UTC day on which their batches were committed. `raw_ms` and `uplift` are milliseconds.
CREATE VIEW dash_control_days AS
SELECT SUBSTR(b.committed_at, 1, 10) AS day, c.status,
       SUM(c.records) AS records, SUM(c.raw_ms) AS raw_ms,
       SUM(c.raw_count) AS raw_count, SUM(c.uplift) AS uplift,
       SUBSTR(SUBSTR(b.committed_at, 1, 10), 1, 7) || '-01' AS month_start
FROM control_total c JOIN batch b ON b.batch = c.batch GROUP BY SUBSTR(b.committed_at, 1, 10), c.status;

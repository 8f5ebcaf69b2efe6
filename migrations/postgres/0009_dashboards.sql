-- Views for dashboards. Their columns are a promise: README describes them, and a test pins their names and kinds on each engine. Rows of
-- usage are additive: a metering adds a row, a void adds a negative one; sum them. A view runs with its owner's rights, so a reader needs
-- none on the tables (see dashboards/). Text is in the order of its bytes, as in the tables.

-- Usage per account, day, app, region and SKU. Filter by `uin` and `month`. Most sums of a day are one number; see meter/days.rs. The
-- conditions always hold: without them the planner takes each level for a hundred rows, and compiles the query for longer than it runs.
CREATE VIEW dash_usage AS
SELECT u.uin, u.month,
       CAST(u.month || '-' || CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 0 AS BIGINT) ELSE p.sums >> 1 & 31 END AS DATE) AS day,
       a.key COLLATE "C" AS appid, r.key COLLATE "C" AS region, s.key COLLATE "C" AS sku,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 2 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 3 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END AS raw_units,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 1 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END
           AS billable_units
FROM usage_daily u, jsonb_each(CAST(u.days AS JSONB)) AS a, jsonb_each(a.value) AS r, jsonb_each(r.value) AS s,
     jsonb_array_elements(s.value) AS d (value),
     LATERAL (SELECT CASE jsonb_typeof(d.value) WHEN 'number' THEN CAST(d.value AS BIGINT) END AS sums) AS p
WHERE jsonb_typeof(a.value) = 'object' AND jsonb_typeof(r.value) = 'object' AND jsonb_typeof(s.value) = 'array';

-- The same by SKU and day alone: what an account used over all its apps and regions, in a moment for large accounts too.
CREATE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month,
       CAST(u.month || '-' || CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 0 AS BIGINT) ELSE p.sums >> 1 & 31 END AS DATE) AS day,
       s.key COLLATE "C" AS sku,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 2 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 3 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END AS raw_units,
       CASE WHEN p.sums IS NULL THEN CAST(d.value ->> 1 AS BIGINT) WHEN p.sums & 1 = 1 THEN p.sums >> 24 ELSE p.sums >> 6 END
           AS billable_units
FROM usage_daily u, jsonb_each(CAST(COALESCE(u.sku_days, u.days) AS JSONB)) AS a, jsonb_each(a.value) AS r, jsonb_each(r.value) AS s,
     jsonb_array_elements(s.value) AS d (value),
     LATERAL (SELECT CASE jsonb_typeof(d.value) WHEN 'number' THEN CAST(d.value AS BIGINT) END AS sums) AS p
WHERE jsonb_typeof(a.value) = 'object' AND jsonb_typeof(r.value) = 'object' AND jsonb_typeof(s.value) = 'array';

-- Usage per day, task type, region and SKU, over all accounts. Filter by `month`.
CREATE VIEW dash_totals AS
SELECT month, CAST(day AS DATE) AS day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units
FROM usage_total;

-- Charges per account and period: closed ones as stated, open ones as they were drafted. Filter by `month` (of the period's start) or
-- `uin`.
CREATE VIEW dash_charges AS
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end,
       CAST('closed' AS TEXT) COLLATE "C" AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, CAST(0 AS BIGINT) AS unpriced, statement_id,
       CAST(closed_at AS TIMESTAMPTZ) AS as_of
FROM statement
UNION ALL
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end,
       CAST('draft' AS TEXT) COLLATE "C" AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, unpriced, NULL AS statement_id,
       CAST(as_of AS TIMESTAMPTZ) AS as_of
FROM draft;

-- What accounts come to in a month, over all their periods that begin in it. Filter by `month` and `currency`, order by `total`.
CREATE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, total AS total_for_charts, records, drafts FROM account_month;

-- Lines of closed statements; what a line does not have is NULL. Filter by `uin` or `statement_id`. `g` is what lines that stand one
-- after another have in common, `l` a line; see close/document.rs. The conditions always hold, as above.
CREATE VIEW dash_lines AS
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       CAST(g.value ->> 0 AS BIGINT) + l.place - 1 AS line_no, NULLIF(g.value ->> 1, '') COLLATE "C" AS appid,
       (g.value ->> 2) COLLATE "C" AS kind, NULLIF(g.value ->> 3, '') COLLATE "C" AS card,
       CAST(NULLIF(g.value ->> 4, '') AS DATE) AS card_version, NULLIF(g.value ->> 5, '') COLLATE "C" AS region,
       NULLIF(l.value ->> 0, '') COLLATE "C" AS sku, NULLIF(g.value ->> 6, '') COLLATE "C" AS meter,
       NULLIF(g.value ->> 7, '') COLLATE "C" AS unit, CAST(NULLIF(l.value ->> 1, '') AS BIGINT) AS records,
       CAST(NULLIF(l.value ->> 2, '') AS NUMERIC) AS quantity, CAST(NULLIF(l.value ->> 3, '') AS NUMERIC) AS unit_price,
       CASE WHEN l.value ->> 2 <> '' THEN COALESCE(CAST(NULLIF(l.value ->> 6, '') AS NUMERIC), 0) END AS discount_percent,
       CAST(l.value ->> 4 AS NUMERIC) AS amount, NULLIF(l.value ->> 7, '') COLLATE "C" AS corrects_statement,
       CAST(NULLIF(l.value ->> 8, '') AS BIGINT) AS corrects_line
FROM statement s JOIN document d ON d.document = s.document, jsonb_array_elements(CAST(d.body AS JSONB)) AS g (value),
     jsonb_array_elements(g.value -> 8) WITH ORDINALITY AS l (value, place)
WHERE jsonb_typeof(g.value) = 'array' AND jsonb_typeof(l.value) = 'array';

-- Pipeline health.
CREATE VIEW dash_runs AS SELECT run, command, CAST(as_of AS TIMESTAMPTZ) AS as_of, exit_code FROM run;

CREATE VIEW dash_held_days AS SELECT CAST(day AS DATE) AS day, code, sentence, needs_person FROM held_day;

CREATE VIEW dash_blocked AS
SELECT uin, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, why, unpriced FROM blocked_period;

CREATE VIEW dash_quarantine AS
SELECT code, COUNT(*) AS line_count, CAST(MIN(received_at) AS TIMESTAMPTZ) AS first_received_at,
       CAST(MAX(received_at) AS TIMESTAMPTZ) AS last_received_at
FROM quarantine WHERE accepted_by IS NULL GROUP BY code;

CREATE VIEW dash_conflicts AS
SELECT state, COUNT(*) AS conflicts, CAST(MIN(utc_day) AS DATE) AS first_day, CAST(MAX(utc_day) AS DATE) AS last_day
FROM conflict GROUP BY state;

-- Both sides of the books: `received`, and the eight statuses whose sum it is.
CREATE VIEW dash_control_totals AS
SELECT status, CAST(SUM(records) AS BIGINT) AS records, CAST(SUM(raw_ms) AS BIGINT) AS raw_ms,
       CAST(SUM(raw_count) AS BIGINT) AS raw_count, CAST(SUM(uplift) AS BIGINT) AS uplift
FROM control_total GROUP BY status;

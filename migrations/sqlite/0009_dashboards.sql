-- Views for dashboards. Their columns are a promise: README describes them, and a test pins their names and kinds on each engine. Rows of
-- usage are additive: a metering adds a row, a void adds a negative one; sum them. Amounts, quantities and prices are exact decimals as
-- text: SUM reads them as they are, and `+ 0` makes a number of one to sort by. The columns `..._for_charts` are REAL, and rounded.

-- Usage per account, day, app, region and SKU. Filter by `uin` and `month`. Most sums of a day are one number; see meter/days.rs.
CREATE VIEW dash_usage AS
SELECT u.uin, u.month, u.month || SUBSTR('-01-02-03-04-05-06-07-08-09-10-11-12-13-14-15-16-17-18-19-20-21-22-23-24-25-26-27-28-29-30-31',
                                         3 * (CASE d.type WHEN 'integer' THEN d.value >> 1 & 31 ELSE d.value ->> 0 END) - 2, 3) AS day,
       a.key AS appid, r.key AS region, s.key AS sku,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 2 WHEN d.value & 1 THEN d.value >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 3 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS raw_units,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 1 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS billable_units
FROM usage_daily u, json_each(u.days) a, json_each(a.value) r, json_each(r.value) s, json_each(s.value) d;

-- The same by SKU and day alone: what an account used over all its apps and regions, in a moment for large accounts too.
CREATE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month, u.month || SUBSTR('-01-02-03-04-05-06-07-08-09-10-11-12-13-14-15-16-17-18-19-20-21-22-23-24-25-26-27-28-29-30-31',
                                         3 * (CASE d.type WHEN 'integer' THEN d.value >> 1 & 31 ELSE d.value ->> 0 END) - 2, 3) AS day,
       s.key AS sku,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 2 WHEN d.value & 1 THEN d.value >> 6 & 262143 ELSE 1 END AS records,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 3 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS raw_units,
       CASE WHEN d.type <> 'integer' THEN d.value ->> 1 WHEN d.value & 1 THEN d.value >> 24 ELSE d.value >> 6 END AS billable_units
FROM usage_daily u, json_each(COALESCE(u.sku_days, u.days)) a, json_each(a.value) r, json_each(r.value) s, json_each(s.value) d;

-- Usage per day, task type, region and SKU, over all accounts. Filter by `month`.
CREATE VIEW dash_totals AS
SELECT month, day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units FROM usage_total;

-- Charges per account and period: closed ones as stated, open ones as they were drafted. Filter by `month` (of the period's start) or
-- `uin`.
CREATE VIEW dash_charges AS
SELECT uin, month, period_start, period_end, CAST('closed' AS TEXT) AS state, currency,
       usage_amount, adjustment_amount, rounding, total,
       CAST(total AS REAL) AS total_for_charts, line_count, records, CAST(0 AS INTEGER) AS unpriced, statement_id,
       closed_at AS as_of
FROM statement
UNION ALL
SELECT uin, month, period_start, period_end, CAST('draft' AS TEXT) AS state, currency,
       usage_amount, adjustment_amount, rounding, total,
       CAST(total AS REAL) AS total_for_charts, line_count, records, unpriced, CAST(NULL AS TEXT) AS statement_id,
       as_of
FROM draft;

-- What accounts come to in a month, over all their periods that begin in it. Filter by `month` and `currency`, order by `total` (SQLite:
-- `total_for_charts`).
CREATE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, CAST(total AS REAL) AS total_for_charts, records, drafts FROM account_month;

-- Lines of closed statements; what a line does not have is NULL. Filter by `uin` or `statement_id`. `g` is what lines that stand one
-- after another have in common, `l` a line; see close/document.rs.
CREATE VIEW dash_lines AS
SELECT s.statement_id, s.uin, s.period_start, s.period_end, s.currency, CAST(g.value ->> 0 AS INTEGER) + l.key AS line_no,
       NULLIF(g.value ->> 1, '') AS appid, g.value ->> 2 AS kind, NULLIF(g.value ->> 3, '') AS card,
       NULLIF(g.value ->> 4, '') AS card_version, NULLIF(g.value ->> 5, '') AS region, NULLIF(l.value ->> 0, '') AS sku,
       NULLIF(g.value ->> 6, '') AS meter, NULLIF(g.value ->> 7, '') AS unit,
       CAST(NULLIF(l.value ->> 1, '') AS INTEGER) AS records, NULLIF(l.value ->> 2, '') AS quantity,
       NULLIF(l.value ->> 3, '') AS unit_price,
       CASE WHEN l.value ->> 2 <> '' THEN COALESCE(NULLIF(l.value ->> 6, ''), '0') END AS discount_percent, l.value ->> 4 AS amount,
       CAST(l.value ->> 4 AS REAL) AS amount_for_charts, NULLIF(l.value ->> 7, '') AS corrects_statement,
       CAST(NULLIF(l.value ->> 8, '') AS INTEGER) AS corrects_line
FROM statement s JOIN document d ON d.document = s.document, json_each(d.body) g, json_each(g.value, '$[8]') l;

-- Pipeline health.
CREATE VIEW dash_runs AS SELECT run, command, as_of, exit_code FROM run;

CREATE VIEW dash_held_days AS SELECT day, code, sentence, needs_person FROM held_day;

CREATE VIEW dash_blocked AS SELECT uin, period_start, period_end, why, unpriced FROM blocked_period;

CREATE VIEW dash_quarantine AS
SELECT code, COUNT(*) AS line_count, MIN(received_at) AS first_received_at, MAX(received_at) AS last_received_at
FROM quarantine WHERE accepted_by IS NULL GROUP BY code;

CREATE VIEW dash_conflicts AS
SELECT state, COUNT(*) AS conflicts, MIN(utc_day) AS first_day, MAX(utc_day) AS last_day FROM conflict GROUP BY state;

-- Both sides of the books: `received`, and the eight statuses whose sum it is.
CREATE VIEW dash_control_totals AS
SELECT status, SUM(records) AS records, SUM(raw_ms) AS raw_ms, SUM(raw_count) AS raw_count, SUM(uplift) AS uplift
FROM control_total GROUP BY status;

-- What dashboards need beside a number: its month as a date, its unit, and how far the usage of a draft reaches. Views are replaced, not
-- made anew, and new columns stand last, so that those that were there stay in their places.

-- The last day with usage in a draft; none without usage, and in those of an earlier program until the next night.
ALTER TABLE draft ADD COLUMN usage_through VARCHAR(10) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Where the units of SKUs are looked up: once for a query that asks for them.
CREATE INDEX usage_total_sku ON usage_total (sku, unit);

-- Usage per account, day, app, region and SKU: see 0009. `unit` is that of `raw_units` and `billable_units`, `ms` or `count`; NULL where a
-- SKU has been measured in both.
CREATE OR REPLACE VIEW dash_usage AS
SELECT u.uin, u.month, CAST(CONCAT(u.month, '-', CASE WHEN l.raw_units IS NULL THEN l.sums >> 1 & 31 ELSE l.day END) AS DATE) AS day,
       l.appid, l.region, l.sku,
       CASE WHEN l.raw_units IS NOT NULL THEN l.records WHEN l.sums & 1 THEN CAST(l.sums >> 6 & 262143 AS SIGNED) ELSE 1 END AS records,
       CASE WHEN l.raw_units IS NOT NULL THEN l.raw_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS raw_units,
       CASE WHEN l.raw_units IS NOT NULL THEN l.billable_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS billable_units,
       k.unit, CAST(CONCAT(u.month, '-01') AS DATE) AS month_start
FROM usage_daily u CROSS JOIN JSON_TABLE(
    REPLACE(REPLACE(REPLACE(REPLACE(u.days, '{"', '[["'), ',"', '],["'), '":', '",'), '}', ']]'), '$[*]' COLUMNS (
    appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
    NESTED PATH '$[1][*]' COLUMNS (
        region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
        NESTED PATH '$[1][*]' COLUMNS (
            sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
            NESTED PATH '$[1][*]' COLUMNS (
                sums BIGINT PATH '$',
                day VARCHAR(20) PATH '$[0]',
                billable_units BIGINT PATH '$[1]',
                records BIGINT PATH '$[2]',
                raw_units BIGINT PATH '$[3]'
            )
        )
    )
)) AS l LEFT JOIN (
    SELECT sku, MIN(unit) AS unit FROM usage_total GROUP BY sku HAVING MIN(unit) = MAX(unit)
) AS k ON k.sku = l.sku;

-- The same by SKU and day alone.
CREATE OR REPLACE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month, CAST(CONCAT(u.month, '-', CASE WHEN l.raw_units IS NULL THEN l.sums >> 1 & 31 ELSE l.day END) AS DATE) AS day,
       l.sku,
       CASE WHEN l.raw_units IS NOT NULL THEN l.records WHEN l.sums & 1 THEN CAST(l.sums >> 6 & 262143 AS SIGNED) ELSE 1 END AS records,
       CASE WHEN l.raw_units IS NOT NULL THEN l.raw_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS raw_units,
       CASE WHEN l.raw_units IS NOT NULL THEN l.billable_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS billable_units,
       k.unit, CAST(CONCAT(u.month, '-01') AS DATE) AS month_start
FROM usage_daily u CROSS JOIN JSON_TABLE(
    REPLACE(REPLACE(REPLACE(REPLACE(COALESCE(u.sku_days, u.days), '{"', '[["'), ',"', '],["'), '":', '",'), '}', ']]'), '$[*]' COLUMNS (
    appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
    NESTED PATH '$[1][*]' COLUMNS (
        region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
        NESTED PATH '$[1][*]' COLUMNS (
            sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
            NESTED PATH '$[1][*]' COLUMNS (
                sums BIGINT PATH '$',
                day VARCHAR(20) PATH '$[0]',
                billable_units BIGINT PATH '$[1]',
                records BIGINT PATH '$[2]',
                raw_units BIGINT PATH '$[3]'
            )
        )
    )
)) AS l LEFT JOIN (
    SELECT sku, MIN(unit) AS unit FROM usage_total GROUP BY sku HAVING MIN(unit) = MAX(unit)
) AS k ON k.sku = l.sku;

-- Usage per day, task type, region and SKU, over all accounts.
CREATE OR REPLACE VIEW dash_totals AS
SELECT month, CAST(day AS DATE) AS day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units,
       CAST(CONCAT(month, '-01') AS DATE) AS month_start
FROM usage_total;

-- Charges per account and period. `usage_through` is the last day whose usage is in them.
CREATE OR REPLACE VIEW dash_charges AS
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, 'closed' AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, 0 AS unpriced, statement_id,
       CAST(REPLACE(LEFT(closed_at, 19), 'T', ' ') AS DATETIME) AS as_of,
       DATE_SUB(CAST(period_end AS DATE), INTERVAL 1 DAY) AS usage_through, CAST(CONCAT(month, '-01') AS DATE) AS month_start
FROM statement
UNION ALL
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, 'draft' AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, unpriced, NULL AS statement_id,
       CAST(REPLACE(LEFT(as_of, 19), 'T', ' ') AS DATETIME) AS as_of,
       CAST(usage_through AS DATE) AS usage_through, CAST(CONCAT(month, '-01') AS DATE) AS month_start
FROM draft;

-- What accounts come to in a month.
CREATE OR REPLACE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, total AS total_for_charts, records, drafts, CAST(CONCAT(month, '-01') AS DATE) AS month_start
FROM account_month;

-- Lines of closed statements. `price_unit` is that of `quantity` and `unit_price`; the older name of the same is `unit`.
CREATE OR REPLACE VIEW dash_lines AS
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       l.first_line + CAST(l.place AS SIGNED) - 1 AS line_no, NULLIF(l.appid, '') AS appid, l.kind, NULLIF(l.card, '') AS card,
       CAST(NULLIF(l.card_version, '') AS DATE) AS card_version, NULLIF(l.region, '') AS region, NULLIF(l.sku, '') AS sku,
       NULLIF(l.meter, '') AS meter, NULLIF(l.unit, '') AS unit,
       CAST(NULLIF(l.records, '') AS SIGNED) AS records, CAST(NULLIF(l.quantity, '') AS DECIMAL(38, 10)) AS quantity,
       CAST(NULLIF(l.unit_price, '') AS DECIMAL(38, 10)) AS unit_price,
       CAST(CASE WHEN l.quantity <> '' THEN COALESCE(NULLIF(l.discount_percent, ''), '0') END AS DECIMAL(38, 10)) AS discount_percent,
       CAST(l.amount AS DECIMAL(38, 10)) AS amount,
       NULLIF(l.corrects_statement, '') AS corrects_statement, CAST(NULLIF(l.corrects_line, '') AS SIGNED) AS corrects_line,
       NULLIF(l.unit, '') AS price_unit, s.month, CAST(CONCAT(s.month, '-01') AS DATE) AS month_start
FROM statement s JOIN document d ON d.document = s.document, JSON_TABLE(d.body, '$[*]' COLUMNS (
    first_line BIGINT PATH '$[0]',
    appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[1]',
    kind VARCHAR(32) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[2]',
    card VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[3]',
    card_version VARCHAR(10) PATH '$[4]',
    region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[5]',
    meter VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[6]',
    unit VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[7]',
    NESTED PATH '$[8][*]' COLUMNS (
        place FOR ORDINALITY,
        sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
        records VARCHAR(20) PATH '$[1]',
        quantity VARCHAR(64) PATH '$[2]',
        unit_price VARCHAR(64) PATH '$[3]',
        amount VARCHAR(64) PATH '$[4]',
        discount_percent VARCHAR(64) PATH '$[6]',
        corrects_statement VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[7]',
        corrects_line VARCHAR(20) PATH '$[8]'
    )
)) AS l;

CREATE OR REPLACE VIEW dash_blocked AS
SELECT uin, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, why, unpriced,
       CAST(CONCAT(LEFT(period_start, 7), '-01') AS DATE) AS month_start
FROM blocked_period;

-- Both sides of the books by the UTC day on which their batches were committed. `raw_ms` and `uplift` are milliseconds.
CREATE VIEW dash_control_days AS
SELECT CAST(LEFT(b.committed_at, 10) AS DATE) AS day, c.status,
       CAST(SUM(c.records) AS SIGNED) AS records, CAST(SUM(c.raw_ms) AS SIGNED) AS raw_ms,
       CAST(SUM(c.raw_count) AS SIGNED) AS raw_count, CAST(SUM(c.uplift) AS SIGNED) AS uplift,
       CAST(CONCAT(LEFT(LEFT(b.committed_at, 10), 7), '-01') AS DATE) AS month_start
FROM control_total c JOIN batch b ON b.batch = c.batch GROUP BY LEFT(b.committed_at, 10), c.status;

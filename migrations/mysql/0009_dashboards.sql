-- Views for dashboards. Their columns are a promise: README describes them, and a test pins their names and kinds on each engine. Rows of
-- usage are additive: a metering adds a row, a void adds a negative one; sum them. A view runs with its definer's rights, so a reader
-- needs none on the tables (see dashboards/). Text out of JSON has the tables' collation: another would take `a` and `A` for one SKU.

-- Usage per account, day, app, region and SKU. Filter by `uin` and `month`. Most sums of a day are one number; see meter/days.rs.
-- JSON_TABLE cannot give keys, so the objects are read as arrays: {"a":{"b":x,"c":y}} as [["a",[["b",x],["c",y]]]]. No name has a sign
-- that this changes.
CREATE VIEW dash_usage AS
SELECT u.uin, u.month, CAST(CONCAT(u.month, '-', CASE WHEN l.raw_units IS NULL THEN l.sums >> 1 & 31 ELSE l.day END) AS DATE) AS day,
       l.appid, l.region, l.sku,
       CASE WHEN l.raw_units IS NOT NULL THEN l.records WHEN l.sums & 1 THEN CAST(l.sums >> 6 & 262143 AS SIGNED) ELSE 1 END AS records,
       CASE WHEN l.raw_units IS NOT NULL THEN l.raw_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS raw_units,
       CASE WHEN l.raw_units IS NOT NULL THEN l.billable_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS billable_units
FROM usage_daily u, JSON_TABLE(
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
)) AS l;

-- The same by SKU and day alone: what an account used over all its apps and regions, in a moment for large accounts too.
CREATE VIEW dash_usage_by_sku AS
SELECT u.uin, u.month, CAST(CONCAT(u.month, '-', CASE WHEN l.raw_units IS NULL THEN l.sums >> 1 & 31 ELSE l.day END) AS DATE) AS day,
       l.sku,
       CASE WHEN l.raw_units IS NOT NULL THEN l.records WHEN l.sums & 1 THEN CAST(l.sums >> 6 & 262143 AS SIGNED) ELSE 1 END AS records,
       CASE WHEN l.raw_units IS NOT NULL THEN l.raw_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS raw_units,
       CASE WHEN l.raw_units IS NOT NULL THEN l.billable_units WHEN l.sums & 1 THEN CAST(l.sums >> 24 AS SIGNED)
            ELSE CAST(l.sums >> 6 AS SIGNED) END AS billable_units
FROM usage_daily u, JSON_TABLE(
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
)) AS l;

-- Usage per day, task type, region and SKU, over all accounts. Filter by `month`.
CREATE VIEW dash_totals AS
SELECT month, CAST(day AS DATE) AS day, task_type, region, sku, unit, records, raw AS raw_units, billable AS billable_units
FROM usage_total;

-- Charges per account and period: closed ones as stated, open ones as they were drafted. Filter by `month` (of the period's start) or
-- `uin`.
CREATE VIEW dash_charges AS
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, 'closed' AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, 0 AS unpriced, statement_id,
       CAST(REPLACE(LEFT(closed_at, 19), 'T', ' ') AS DATETIME) AS as_of
FROM statement
UNION ALL
SELECT uin, month, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, 'draft' AS state, currency,
       usage_amount, adjustment_amount, rounding, total, line_count, records, unpriced, NULL AS statement_id,
       CAST(REPLACE(LEFT(as_of, 19), 'T', ' ') AS DATETIME) AS as_of
FROM draft;

-- What accounts come to in a month, over all their periods that begin in it. Filter by `month` and `currency`, order by `total`.
CREATE VIEW dash_top_accounts AS
SELECT month, currency, uin, total, total AS total_for_charts, records, drafts FROM account_month;

-- Lines of closed statements; what a line does not have is NULL. Filter by `uin` or `statement_id`. What lines that stand one after
-- another have in common stands before them; see close/document.rs.
CREATE VIEW dash_lines AS
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       l.first_line + CAST(l.place AS SIGNED) - 1 AS line_no, NULLIF(l.appid, '') AS appid, l.kind, NULLIF(l.card, '') AS card,
       CAST(NULLIF(l.card_version, '') AS DATE) AS card_version, NULLIF(l.region, '') AS region, NULLIF(l.sku, '') AS sku,
       NULLIF(l.meter, '') AS meter, NULLIF(l.unit, '') AS unit,
       CAST(NULLIF(l.records, '') AS SIGNED) AS records, CAST(NULLIF(l.quantity, '') AS DECIMAL(38, 10)) AS quantity,
       CAST(NULLIF(l.unit_price, '') AS DECIMAL(38, 10)) AS unit_price,
       CAST(CASE WHEN l.quantity <> '' THEN COALESCE(NULLIF(l.discount_percent, ''), '0') END AS DECIMAL(38, 10)) AS discount_percent,
       CAST(l.amount AS DECIMAL(38, 10)) AS amount,
       NULLIF(l.corrects_statement, '') AS corrects_statement, CAST(NULLIF(l.corrects_line, '') AS SIGNED) AS corrects_line
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

-- Pipeline health.
CREATE VIEW dash_runs AS
SELECT run, command, CAST(REPLACE(LEFT(as_of, 19), 'T', ' ') AS DATETIME) AS as_of, exit_code FROM run;

CREATE VIEW dash_held_days AS SELECT CAST(day AS DATE) AS day, code, sentence, needs_person FROM held_day;

CREATE VIEW dash_blocked AS
SELECT uin, CAST(period_start AS DATE) AS period_start, CAST(period_end AS DATE) AS period_end, why, unpriced FROM blocked_period;

CREATE VIEW dash_quarantine AS
SELECT code, COUNT(*) AS line_count, CAST(REPLACE(LEFT(MIN(received_at), 19), 'T', ' ') AS DATETIME) AS first_received_at,
       CAST(REPLACE(LEFT(MAX(received_at), 19), 'T', ' ') AS DATETIME) AS last_received_at
FROM quarantine WHERE accepted_by IS NULL GROUP BY code;

CREATE VIEW dash_conflicts AS
SELECT state, COUNT(*) AS conflicts, CAST(MIN(utc_day) AS DATE) AS first_day, CAST(MAX(utc_day) AS DATE) AS last_day
FROM conflict GROUP BY state;

-- Both sides of the books: `received`, and the eight statuses whose sum it is.
CREATE VIEW dash_control_totals AS
SELECT status, CAST(SUM(records) AS SIGNED) AS records, CAST(SUM(raw_ms) AS SIGNED) AS raw_ms,
       CAST(SUM(raw_count) AS SIGNED) AS raw_count, CAST(SUM(uplift) AS SIGNED) AS uplift
FROM control_total GROUP BY status;

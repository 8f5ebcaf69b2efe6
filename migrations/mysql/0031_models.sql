-- Prices have up to 12 decimals, and lines of the models `package` and of SKUs with a multiplier have values of their own: `packages` (then
-- `unit_price` is that of a package, and the amount is packages x unit_price), `multiplier` and `usage_quantity` (the usage before it, on the
-- first line of its usage), and `corrects_kind` of an adjustment where that is not `usage`.

CREATE OR REPLACE VIEW dash_lines AS
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       l.first_line + CAST(l.place AS SIGNED) - 1 AS line_no, l.appid, l.kind, l.card, CAST(l.card_version AS DATE) AS card_version,
       l.region, l.sku, l.meter, l.unit, l.records, CAST(l.quantity AS DECIMAL(38, 10)) AS quantity,
       CAST(l.unit_price AS DECIMAL(38, 12)) AS unit_price,
       CAST(CASE WHEN l.quantity IS NOT NULL THEN COALESCE(l.discount_percent, '0') END AS DECIMAL(38, 10)) AS discount_percent,
       CAST(l.amount AS DECIMAL(38, 10)) AS amount, l.corrects_statement, l.corrects_line,
       l.unit AS price_unit, s.month, CAST(CONCAT(s.month, '-01') AS DATE) AS month_start,
       l.packages, CAST(l.multiplier AS DECIMAL(38, 4)) AS multiplier, CAST(l.usage_quantity AS DECIMAL(38, 10)) AS usage_quantity,
       l.corrects_kind
FROM statement s JOIN document d ON d.document = s.document, JSON_TABLE(d.body, '$.groups[*]' COLUMNS (
    first_line BIGINT PATH '$.first_line',
    kind VARCHAR(32) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$.kind',
    appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$.appid',
    card VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$.card',
    card_version VARCHAR(10) PATH '$.card_version',
    region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$.region',
    NESTED PATH '$.lines[*]' COLUMNS (
        place FOR ORDINALITY,
        sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
        meter VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[1]',
        unit VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[2]',
        records BIGINT PATH '$[3]',
        quantity VARCHAR(64) PATH '$[4]',
        unit_price VARCHAR(64) PATH '$[5]',
        discount_percent VARCHAR(64) PATH '$[7].discount_percent',
        amount VARCHAR(64) PATH '$[6]',
        corrects_statement VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[7].corrects_statement',
        corrects_line BIGINT PATH '$[7].corrects_line',
        packages BIGINT PATH '$[7].packages',
        multiplier VARCHAR(64) PATH '$[7].multiplier',
        usage_quantity VARCHAR(64) PATH '$[7].usage_quantity',
        corrects_kind VARCHAR(32) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[7].corrects_kind'
    )
)) AS l
UNION ALL
SELECT s.statement_id, s.uin, CAST(s.period_start AS DATE) AS period_start, CAST(s.period_end AS DATE) AS period_end, s.currency,
       l.first_line + CAST(l.place AS SIGNED) - 1 AS line_no, NULLIF(l.appid, '') AS appid, l.kind, NULLIF(l.card, '') AS card,
       CAST(NULLIF(l.card_version, '') AS DATE) AS card_version, NULLIF(l.region, '') AS region, NULLIF(l.sku, '') AS sku,
       NULLIF(l.meter, '') AS meter, NULLIF(l.unit, '') AS unit,
       CAST(NULLIF(l.records, '') AS SIGNED) AS records, CAST(NULLIF(l.quantity, '') AS DECIMAL(38, 10)) AS quantity,
       CAST(NULLIF(l.unit_price, '') AS DECIMAL(38, 12)) AS unit_price,
       CAST(CASE WHEN l.quantity <> '' THEN COALESCE(NULLIF(l.discount_percent, ''), '0') END AS DECIMAL(38, 10)) AS discount_percent,
       CAST(l.amount AS DECIMAL(38, 10)) AS amount,
       NULLIF(l.corrects_statement, '') AS corrects_statement, CAST(NULLIF(l.corrects_line, '') AS SIGNED) AS corrects_line,
       NULLIF(l.unit, '') AS price_unit, s.month, CAST(CONCAT(s.month, '-01') AS DATE) AS month_start,
       NULL AS packages, NULL AS multiplier, NULL AS usage_quantity, NULL AS corrects_kind
FROM statement s JOIN document d ON d.document = s.document, JSON_TABLE(
    CASE WHEN LEFT(d.body, 1) = '[' THEN d.body ELSE '[]' END, '$[*]' COLUMNS (
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

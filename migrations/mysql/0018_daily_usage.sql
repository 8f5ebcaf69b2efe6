-- Usage for dashboards in plain JSON: `days` is [[appid, region, sku, [[day, records, raw, billable], ...]], ...], with the day of the month.
-- Before, most sums of a day were one number with bits for each of them, which every reader had to take apart. The days without apps and
-- regions (`sku_days`) go: only large accounts of a month that was metered at once had them, and the views are fast enough without.
-- Rows have no seal any more: `verify` holds them against the usage files, from which they can be made again.

-- GROUP_CONCAT makes the text of an account's month; one that is longer than it may make (and `max_allowed_packet`) fails, and is not cut off.
SET SESSION group_concat_max_len = 1073741824;
UPDATE usage_daily u SET u.days = (
    SELECT CONCAT('[', GROUP_CONCAT('[', JSON_QUOTE(l.appid), ',', JSON_QUOTE(l.region), ',', JSON_QUOTE(l.sku), ',[', (
        SELECT GROUP_CONCAT(CASE WHEN d.raw_units IS NOT NULL THEN CONCAT('[', d.day, ',', d.records, ',', d.raw_units, ',', d.billable_units, ']')
                                 WHEN d.sums & 1
                                 THEN CONCAT('[', d.sums >> 1 & 31, ',', d.sums >> 6 & 262143, ',', d.sums >> 24, ',', d.sums >> 24, ']')
                                 ELSE CONCAT('[', d.sums >> 1 & 31, ',1,', d.sums >> 6, ',', d.sums >> 6, ']') END ORDER BY d.place SEPARATOR ',')
        FROM JSON_TABLE(l.days, '$[*]' COLUMNS (
            place FOR ORDINALITY, sums BIGINT PATH '$', day BIGINT PATH '$[0]', billable_units BIGINT PATH '$[1]', records BIGINT PATH '$[2]',
            raw_units BIGINT PATH '$[3]'
        )) AS d
    ), ']]' ORDER BY l.app_place, l.region_place, l.sku_place SEPARATOR ','), ']')
    FROM JSON_TABLE(REPLACE(REPLACE(REPLACE(REPLACE(u.days, '{"', '[["'), ',"', '],["'), '":', '",'), '}', ']]'), '$[*]' COLUMNS (
        app_place FOR ORDINALITY,
        appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
        NESTED PATH '$[1][*]' COLUMNS (
            region_place FOR ORDINALITY,
            region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
            NESTED PATH '$[1][*]' COLUMNS (
                sku_place FOR ORDINALITY,
                sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
                days JSON PATH '$[1]'
            )
        )
    )) AS l
);
SET SESSION group_concat_max_len = DEFAULT;

-- Usage per account, day, app, region and SKU: see 0015.
CREATE OR REPLACE VIEW dash_usage AS
SELECT u.uin, u.month, CAST(CONCAT(u.month, '-', l.day) AS DATE) AS day, l.appid, l.region, l.sku, l.records, l.raw_units, l.billable_units,
       k.unit, CAST(CONCAT(u.month, '-01') AS DATE) AS month_start
FROM usage_daily u CROSS JOIN JSON_TABLE(u.days, '$[*]' COLUMNS (
    appid VARCHAR(20) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[0]',
    region VARCHAR(64) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[1]',
    sku VARCHAR(255) /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */ PATH '$[2]',
    NESTED PATH '$[3][*]' COLUMNS (
        day VARCHAR(2) PATH '$[0]', records BIGINT PATH '$[1]', raw_units BIGINT PATH '$[2]', billable_units BIGINT PATH '$[3]'
    )
)) AS l LEFT JOIN (
    SELECT sku, MIN(unit) AS unit FROM usage_total GROUP BY sku HAVING MIN(unit) = MAX(unit)
) AS k ON k.sku = l.sku;

-- The same without apps and regions.
CREATE OR REPLACE VIEW dash_usage_by_sku AS
SELECT uin, month, day, sku, records, raw_units, billable_units, unit, month_start FROM dash_usage;

ALTER TABLE usage_daily DROP COLUMN sku_days, DROP COLUMN seal;
DELETE FROM tally WHERE name = 'usage_daily';

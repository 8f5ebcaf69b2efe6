-- Usage for dashboards in plain JSON: `days` is [[appid, region, sku, [[day, records, raw, billable], ...]], ...], with the day of the month.
-- Before, most sums of a day were one number with bits for each of them, which every reader had to take apart. The days without apps and
-- regions (`sku_days`) go: only large accounts of a month that was metered at once had them, and the views are fast enough without.
-- Rows have no seal any more: `verify` holds them against the usage files, from which they can be made again.

DROP VIEW dash_usage;
DROP VIEW dash_usage_by_sku;

CREATE TABLE usage_daily_plain (
    month    TEXT NOT NULL, -- 'YYYY-MM' of its account-local days
    uin      TEXT NOT NULL,
    metering INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    days     TEXT NOT NULL,
    PRIMARY KEY (uin, month, metering)
);
INSERT INTO usage_daily_plain (month, uin, metering, records, days)
SELECT u.month, u.uin, u.metering, u.records, (
    SELECT json_group_array(json_array(a.key, r.key, s.key, (
        SELECT json_group_array(CASE WHEN d.type <> 'integer' THEN json_array(d.value ->> 0, d.value ->> 2, d.value ->> 3, d.value ->> 1)
                                     WHEN d.value & 1
                                     THEN json_array(d.value >> 1 & 31, d.value >> 6 & 262143, d.value >> 24, d.value >> 24)
                                     ELSE json_array(d.value >> 1 & 31, 1, d.value >> 6, d.value >> 6) END)
        FROM json_each(s.value) d
    ))) FROM json_each(u.days) a, json_each(a.value) r, json_each(r.value) s
) FROM usage_daily u ORDER BY u.rowid;
DROP TABLE usage_daily;
ALTER TABLE usage_daily_plain RENAME TO usage_daily;
CREATE INDEX usage_daily_metering ON usage_daily (metering);
DELETE FROM tally WHERE name = 'usage_daily';

-- Usage per account, day, app, region and SKU: see 0015.
CREATE VIEW dash_usage AS
SELECT u.uin, u.month, u.month || PRINTF('-%02d', d.value ->> 0) AS day,
       g.value ->> 0 AS appid, g.value ->> 1 AS region, g.value ->> 2 AS sku,
       d.value ->> 1 AS records, d.value ->> 2 AS raw_units, d.value ->> 3 AS billable_units,
       CASE WHEN g.value ->> 2 IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN g.value ->> 2 NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN g.value ->> 2 IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       u.month || '-01' AS month_start
FROM usage_daily u, json_each(u.days) g, json_each(g.value, '$[3]') d;

-- The same without apps and regions.
CREATE VIEW dash_usage_by_sku AS
SELECT uin, month, day, sku, records, raw_units, billable_units, unit, month_start FROM dash_usage;

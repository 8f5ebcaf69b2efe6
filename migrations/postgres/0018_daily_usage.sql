-- Usage for dashboards in plain JSON: `days` is [[appid, region, sku, [[day, records, raw, billable], ...]], ...], with the day of the month.
-- Before, most sums of a day were one number with bits for each of them, which every reader had to take apart. The days without apps and
-- regions (`sku_days`) go: only large accounts of a month that was metered at once had them, and the views are fast enough without.
-- Rows have no seal any more: `verify` holds them against the usage files, from which they can be made again.

UPDATE usage_daily u SET days = (
    SELECT '[' || string_agg('[' || CAST(to_json(a.key) AS TEXT) || ',' || CAST(to_json(r.key) AS TEXT) || ',' || CAST(to_json(s.key) AS TEXT)
                             || ',[' || (
        SELECT string_agg(CASE WHEN p.sums IS NULL
                               THEN format('[%s,%s,%s,%s]', d.value ->> 0, d.value ->> 2, d.value ->> 3, d.value ->> 1)
                               WHEN p.sums & 1 = 1
                               THEN format('[%s,%s,%s,%s]', p.sums >> 1 & 31, p.sums >> 6 & 262143, p.sums >> 24, p.sums >> 24)
                               ELSE format('[%s,1,%s,%s]', p.sums >> 1 & 31, p.sums >> 6, p.sums >> 6) END, ',' ORDER BY d.place)
        FROM json_array_elements(s.value) WITH ORDINALITY AS d (value, place),
             LATERAL (SELECT CASE json_typeof(d.value) WHEN 'number' THEN CAST(CAST(d.value AS TEXT) AS BIGINT) END AS sums) AS p
    ) || ']]', ',' ORDER BY a.place, r.place, s.place) || ']'
    FROM json_each(CAST(u.days AS JSON)) WITH ORDINALITY AS a (key, value, place),
         json_each(a.value) WITH ORDINALITY AS r (key, value, place), json_each(r.value) WITH ORDINALITY AS s (key, value, place)
);

-- Usage per account, day, app, region and SKU: see 0015. The condition always holds: without it the planner takes each level for a hundred
-- rows, and compiles the query for longer than it runs.
CREATE OR REPLACE VIEW dash_usage AS
SELECT u.uin, u.month, CAST(u.month || '-' || (d.value ->> 0) AS DATE) AS day,
       (g.value ->> 0) COLLATE "C" AS appid, (g.value ->> 1) COLLATE "C" AS region, (g.value ->> 2) COLLATE "C" AS sku,
       CAST(d.value ->> 1 AS BIGINT) AS records, CAST(d.value ->> 2 AS BIGINT) AS raw_units,
       CAST(d.value ->> 3 AS BIGINT) AS billable_units,
       CASE WHEN (g.value ->> 2) COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'ms')
            THEN CASE WHEN (g.value ->> 2) COLLATE "C" NOT IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'ms' END
            WHEN (g.value ->> 2) COLLATE "C" IN (SELECT t.sku FROM usage_total t WHERE t.unit = 'count') THEN 'count' END AS unit,
       CAST(u.month || '-01' AS DATE) AS month_start
FROM usage_daily u, jsonb_array_elements(CAST(u.days AS JSONB)) AS g (value), jsonb_array_elements(g.value -> 3) AS d (value)
WHERE jsonb_typeof(g.value) = 'array';

-- The same without apps and regions.
CREATE OR REPLACE VIEW dash_usage_by_sku AS
SELECT uin, month, day, sku, records, raw_units, billable_units, unit, month_start FROM dash_usage;

ALTER TABLE usage_daily DROP COLUMN sku_days, DROP COLUMN seal;
DELETE FROM tally WHERE name = 'usage_daily';

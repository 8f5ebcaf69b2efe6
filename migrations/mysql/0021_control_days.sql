-- MySQL's sessions have ONLY_FULL_GROUP_BY, and with it the day may be selected only as it is grouped: its date is made from it outside.
-- MariaDB reads either. (Nothing of that in the other dialects: the number is this one's alone.)
CREATE OR REPLACE VIEW dash_control_days AS
SELECT CAST(days.day AS DATE) AS day, days.status, days.records, days.raw_ms, days.raw_count, days.uplift,
       CAST(CONCAT(LEFT(days.day, 7), '-01') AS DATE) AS month_start
FROM (SELECT LEFT(b.committed_at, 10) AS day, c.status,
             CAST(SUM(c.records) AS SIGNED) AS records, CAST(SUM(c.raw_ms) AS SIGNED) AS raw_ms,
             CAST(SUM(c.raw_count) AS SIGNED) AS raw_count, CAST(SUM(c.uplift) AS SIGNED) AS uplift
      FROM control_total c JOIN batch b ON b.batch = c.batch GROUP BY LEFT(b.committed_at, 10), c.status) AS days;

-- Which raw files are real. A file that no row names is an orphan.
CREATE TABLE segment (
    path     VARCHAR(255) NOT NULL PRIMARY KEY, -- below the data folder
    kind     VARCHAR(32) NOT NULL,             -- 'usage' or 'log' (service-log fields)
    day      VARCHAR(10) NOT NULL,             -- UTC day
    batch_lo BIGINT NOT NULL,
    batch_hi BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    digest   VARCHAR(64) NOT NULL,             -- SHA-256 of the file
    seal     BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX segment_day ON segment (kind, day);
CREATE INDEX segment_batch ON segment (kind, batch_hi);

-- Files no row names any more, to be removed once the commit that dropped them is certain.
CREATE TABLE dropped_file (
    path VARCHAR(255) NOT NULL PRIMARY KEY,
    seal BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

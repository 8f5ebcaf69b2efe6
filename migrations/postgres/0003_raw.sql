-- Which raw files are real. A file that no row names is an orphan.
CREATE TABLE segment (
    path     TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- below the data folder
    kind     TEXT COLLATE "C" NOT NULL,             -- 'usage' or 'log' (service-log fields)
    day      TEXT COLLATE "C" NOT NULL,             -- UTC day
    batch_lo BIGINT NOT NULL,
    batch_hi BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL,             -- SHA-256 of the file
    seal     BIGINT NOT NULL
);
CREATE INDEX segment_day ON segment (kind, day);
CREATE INDEX segment_batch ON segment (kind, batch_hi);

-- Files no row names any more, to be removed once the commit that dropped them is certain.
CREATE TABLE dropped_file (
    path TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seal BIGINT NOT NULL
);

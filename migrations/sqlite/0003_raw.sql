-- Which raw files are real. A file that no row names is an orphan.
CREATE TABLE segment (
    path     TEXT NOT NULL PRIMARY KEY, -- below the data folder
    kind     TEXT NOT NULL,             -- 'usage' or 'log' (service-log fields)
    day      TEXT NOT NULL,             -- UTC day
    batch_lo INTEGER NOT NULL,
    batch_hi INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    digest   TEXT NOT NULL,             -- SHA-256 of the file
    seal     INTEGER NOT NULL
);
CREATE INDEX segment_day ON segment (kind, day);
CREATE INDEX segment_batch ON segment (kind, batch_hi);

-- Files no row names any more, to be removed once the commit that dropped them is certain.
CREATE TABLE dropped_file (
    path TEXT NOT NULL PRIMARY KEY,
    seal INTEGER NOT NULL
);

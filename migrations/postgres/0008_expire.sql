-- What is gone, and what proves it.

-- A mark is for good. Ingest, retry and metering check it in their own transactions.
CREATE TABLE expired_day (
    day        TEXT COLLATE "C" NOT NULL, -- UTC
    kind       TEXT COLLATE "C" NOT NULL, -- 'usage' or 'log'
    expired_at TEXT COLLATE "C" NOT NULL,
    row_count  BIGINT NOT NULL,
    duration_ms TEXT COLLATE "C" NOT NULL, -- sum, a decimal integer of any size
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, kind)
);
-- What stands for a day's raw rows: made a night before they may go, and for good once they have gone.
CREATE TABLE proved_day (
    day        TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- UTC
    row_count  BIGINT NOT NULL, -- of its segments; the proof is of the day as it is while this is their sum, for rows are only added
    duration_ms TEXT COLLATE "C" NOT NULL, -- sum, a decimal integer of any size
    accounts   BIGINT NOT NULL, -- rows of proved_account
    seal       BIGINT NOT NULL
);
-- Per account: rows sorted by source and id, independent of files. See expire/proof.rs for the digest's bytes.
CREATE TABLE proved_account (
    day        TEXT COLLATE "C" NOT NULL,
    uin        TEXT COLLATE "C" NOT NULL,
    row_count  BIGINT NOT NULL,
    duration_ms TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, uin)
);
-- Days that are due but held, as the last run saw them.
CREATE TABLE held_day (
    day        TEXT COLLATE "C" NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    sentence   TEXT COLLATE "C" NOT NULL,
    needs_person BIGINT NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, code)
);
-- A person's word that a day's unmetered records and conflicts may go unresolved.
CREATE TABLE waiver (
    day       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    reason    TEXT COLLATE "C" NOT NULL,
    waived_at TEXT COLLATE "C" NOT NULL,
    seal      BIGINT NOT NULL
);
-- Months of this ledger's own rows that are gone by the settings `keep_usage_months` and `keep_statement_months`.
CREATE TABLE expired_month (
    kind       TEXT COLLATE "C" NOT NULL, -- 'usage' (usage_daily and usage_total) or 'lines' (documents of statements)
    month      TEXT COLLATE "C" NOT NULL, -- of the days, or of the periods' starts
    expired_at TEXT COLLATE "C" NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (kind, month)
);

-- What is gone, and what proves it.

-- A mark is for good. Ingest, retry and metering check it in their own transactions.
CREATE TABLE expired_day (
    day        TEXT NOT NULL, -- UTC
    kind       TEXT NOT NULL, -- 'usage' or 'log'
    expired_at TEXT NOT NULL,
    row_count  INTEGER NOT NULL,
    duration_ms TEXT NOT NULL, -- sum, a decimal integer of any size
    seal       INTEGER NOT NULL,
    PRIMARY KEY (day, kind)
);
-- What stands for a day's raw rows: made a night before they may go, and for good once they have gone.
CREATE TABLE proved_day (
    day        TEXT NOT NULL PRIMARY KEY, -- UTC
    row_count  INTEGER NOT NULL, -- of its segments; the proof is of the day as it is while this is their sum, for rows are only added
    duration_ms TEXT NOT NULL, -- sum, a decimal integer of any size
    accounts   INTEGER NOT NULL, -- rows of proved_account
    seal       INTEGER NOT NULL
);
-- Per account: rows sorted by source and id, independent of files. See expire/proof.rs for the digest's bytes.
CREATE TABLE proved_account (
    day        TEXT NOT NULL,
    uin        TEXT NOT NULL,
    row_count  INTEGER NOT NULL,
    duration_ms TEXT NOT NULL,
    digest     TEXT NOT NULL,
    seal       INTEGER NOT NULL,
    PRIMARY KEY (day, uin)
) WITHOUT ROWID;
-- Days that are due but held, as the last run saw them.
CREATE TABLE held_day (
    day        TEXT NOT NULL,
    code       TEXT NOT NULL,
    sentence   TEXT NOT NULL,
    needs_person INTEGER NOT NULL,
    seal       INTEGER NOT NULL,
    PRIMARY KEY (day, code)
);
-- A person's word that a day's unmetered records and conflicts may go unresolved.
CREATE TABLE waiver (
    day       TEXT NOT NULL PRIMARY KEY,
    reason    TEXT NOT NULL,
    waived_at TEXT NOT NULL,
    seal      INTEGER NOT NULL
);
-- Months of this ledger's own rows that are gone by the settings `keep_usage_months` and `keep_statement_months`.
CREATE TABLE expired_month (
    kind       TEXT NOT NULL, -- 'usage' (usage_daily and usage_total) or 'lines' (documents of statements)
    month      TEXT NOT NULL, -- of the days, or of the periods' starts
    expired_at TEXT NOT NULL,
    seal       INTEGER NOT NULL,
    PRIMARY KEY (kind, month)
);

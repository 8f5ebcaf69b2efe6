-- What is gone, and what proves it.

-- A mark is for good. Ingest, retry and metering check it in their own transactions.
CREATE TABLE expired_day (
    day        VARCHAR(10) NOT NULL, -- UTC
    kind       VARCHAR(32) NOT NULL, -- 'usage' or 'log'
    expired_at VARCHAR(40) NOT NULL,
    row_count  BIGINT NOT NULL,
    duration_ms VARCHAR(64) NOT NULL, -- sum, a decimal integer of any size
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, kind)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
-- What stands for a day's raw rows: made a night before they may go, and for good once they have gone.
CREATE TABLE proved_day (
    day        VARCHAR(10) NOT NULL PRIMARY KEY, -- UTC
    row_count  BIGINT NOT NULL, -- of its segments; the proof is of the day as it is while this is their sum, for rows are only added
    duration_ms VARCHAR(64) NOT NULL, -- sum, a decimal integer of any size
    accounts   BIGINT NOT NULL, -- rows of proved_account
    seal       BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
-- Per account: rows sorted by source and id, independent of files. See expire/proof.rs for the digest's bytes.
CREATE TABLE proved_account (
    day        VARCHAR(10) NOT NULL,
    uin        VARCHAR(20) NOT NULL,
    row_count  BIGINT NOT NULL,
    duration_ms VARCHAR(64) NOT NULL,
    digest     VARCHAR(64) NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, uin)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
-- Days that are due but held, as the last run saw them.
CREATE TABLE held_day (
    day        VARCHAR(10) NOT NULL,
    code       VARCHAR(64) NOT NULL,
    sentence   TEXT NOT NULL,
    needs_person BIGINT NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (day, code)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
-- A person's word that a day's unmetered records and conflicts may go unresolved.
CREATE TABLE waiver (
    day       VARCHAR(10) NOT NULL PRIMARY KEY,
    reason    TEXT NOT NULL,
    waived_at VARCHAR(40) NOT NULL,
    seal      BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
-- Months of this ledger's own rows that are gone by the settings `keep_usage_months` and `keep_statement_months`.
CREATE TABLE expired_month (
    kind       VARCHAR(32) NOT NULL, -- 'usage' (usage_daily and usage_total) or 'lines' (documents of statements)
    month      VARCHAR(7) NOT NULL, -- of the days, or of the periods' starts
    expired_at VARCHAR(40) NOT NULL,
    seal       BIGINT NOT NULL,
    PRIMARY KEY (kind, month)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

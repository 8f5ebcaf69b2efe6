-- What every stage shares: numbers, writers, leases, runs.
--
-- Types: BIGINT, VARCHAR and LONGTEXT in the order of their bytes without padding (the collation that does so has one name in MySQL
-- and another in MariaDB; each reads its own comment), LONGBLOB; money is DECIMAL(38, 10): exact, and wide enough for any total.
-- Dates are text 'YYYY-MM-DD' and instants text RFC 3339 in UTC, as in the embedded ledger: one text of SQL serves every engine,
-- and the views for dashboards give real dates. `uin` and `appid` are text: they are names made of digits and reach 2^64-1.
--
-- Every table but `tally`, `counter`, `intake`, `lease` and `write_lock` has a `seal`: a hash over the other columns of its row, made when the row is
-- written (ledger/seal.rs). `verify` makes it again, so that a number changed by hand or by a bad disk is found and named.

-- How many rows each sealed table has, and the sum of their seals (modulo 2^64): a row that is gone is missed.
CREATE TABLE tally (
    name      VARCHAR(128) NOT NULL PRIMARY KEY,
    row_count BIGINT NOT NULL,
    seals     BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- A counter row is updated first in the transaction that uses its number. The row lock lasts until the commit, so
-- numbers come in commit order and a higher one never commits before a lower one.
CREATE TABLE counter (
    name  VARCHAR(128) NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
INSERT INTO counter (name, value) VALUES ('intake', 0), ('batch', 0), ('metering', 0), ('closing', 0), ('export', 0), ('run', 0), ('quarantine', 0), ('card', 0),
    ('conflict', 0), ('resolution', 0), ('audit', 0), ('agreement', 0), ('document', 0), ('summed', 0);

-- A writer registers its intake before it writes a file. `fenced` set by the sweeper: files of this intake were
-- removed, so its commit must fail.
CREATE TABLE intake (
    intake        BIGINT NOT NULL PRIMARY KEY,
    stage         VARCHAR(64) NOT NULL,
    registered_at BIGINT NOT NULL, -- seconds since 1970, the database's own clock
    state         VARCHAR(32) NOT NULL     -- 'open', 'committed', 'fenced'
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX intake_state ON intake (state);

-- One writer per step. Times are the database's own; the token rises with each new holder and every transaction of
-- a guarded stage checks it.
CREATE TABLE lease (
    name         VARCHAR(128) NOT NULL PRIMARY KEY,
    owner        TEXT NOT NULL,    -- for people; empty when nobody has it
    process      BIGINT NOT NULL, -- its number ...
    place        VARCHAR(128) NOT NULL,    -- ... and where that number means something: the running system and its set of processes
    token        BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
INSERT INTO lease (name, owner, process, place, token, heartbeat_at) VALUES ('books', '', 0, '', 0, 0);

-- One row per nightly run: what a person reads in the morning.
CREATE TABLE run (
    run        BIGINT NOT NULL PRIMARY KEY,
    command    VARCHAR(64) NOT NULL,
    as_of      VARCHAR(40) NOT NULL,
    exit_code  BIGINT NOT NULL,
    report     LONGTEXT NOT NULL, -- JSON
    text       LONGTEXT NOT NULL, -- the same as it was printed
    seal       BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- What people decided: resolutions, waivers, corrections of prices, accounts and terms. Never expires.
CREATE TABLE audit (
    entry   BIGINT NOT NULL PRIMARY KEY,
    at      VARCHAR(40) NOT NULL,
    who     TEXT NOT NULL,
    action  VARCHAR(64) NOT NULL, -- such as 'conflict replace'
    subject TEXT NOT NULL, -- what it is about
    detail  LONGTEXT NOT NULL, -- JSON
    reason  TEXT NOT NULL,
    seal    BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Every writing transaction locks this row first, so that one writes at a time, as in the embedded ledger.
CREATE TABLE write_lock (
    one BIGINT NOT NULL PRIMARY KEY
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
INSERT INTO write_lock (one) VALUES (1);

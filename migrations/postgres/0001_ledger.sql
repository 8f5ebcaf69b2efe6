-- What every stage shares: numbers, writers, leases, runs.
--
-- Types: BIGINT, TEXT in the order of its bytes (COLLATE "C"), BYTEA; money is NUMERIC(38, 10): exact, and wide enough for any total.
-- Dates are TEXT 'YYYY-MM-DD' and instants TEXT RFC 3339 in UTC, as in the embedded ledger: one text of SQL serves every engine,
-- and the views for dashboards give real dates. `uin` and `appid` are TEXT: they are names made of digits and reach 2^64-1.
--
-- Every table but `tally`, `counter`, `intake`, `lease` and `write_lock` has a `seal`: a hash over the other columns of its row, made when the row is
-- written (ledger/seal.rs). `verify` makes it again, so that a number changed by hand or by a bad disk is found and named.

-- How many rows each sealed table has, and the sum of their seals (modulo 2^64): a row that is gone is missed.
CREATE TABLE tally (
    name      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    row_count BIGINT NOT NULL,
    seals     BIGINT NOT NULL
);

-- A counter row is updated first in the transaction that uses its number. The row lock lasts until the commit, so
-- numbers come in commit order and a higher one never commits before a lower one.
CREATE TABLE counter (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('intake', 0), ('batch', 0), ('metering', 0), ('closing', 0), ('export', 0), ('run', 0), ('quarantine', 0), ('card', 0),
    ('conflict', 0), ('resolution', 0), ('audit', 0), ('agreement', 0), ('document', 0), ('summed', 0);

-- A writer registers its intake before it writes a file. `fenced` set by the sweeper: files of this intake were
-- removed, so its commit must fail.
CREATE TABLE intake (
    intake        BIGINT NOT NULL PRIMARY KEY,
    stage         TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT NOT NULL, -- seconds since 1970, the database's own clock
    state         TEXT COLLATE "C" NOT NULL     -- 'open', 'committed', 'fenced'
);
CREATE INDEX intake_state ON intake (state);

-- One writer per step. Times are the database's own; the token rises with each new holder and every transaction of
-- a guarded stage checks it.
CREATE TABLE lease (
    name         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner        TEXT COLLATE "C" NOT NULL,    -- for people; empty when nobody has it
    process      BIGINT NOT NULL, -- its number ...
    place        TEXT COLLATE "C" NOT NULL,    -- ... and where that number means something: the running system and its set of processes
    token        BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL
);
INSERT INTO lease (name, owner, process, place, token, heartbeat_at) VALUES ('books', '', 0, '', 0, 0);

-- One row per nightly run: what a person reads in the morning.
CREATE TABLE run (
    run        BIGINT NOT NULL PRIMARY KEY,
    command    TEXT COLLATE "C" NOT NULL,
    as_of      TEXT COLLATE "C" NOT NULL,
    exit_code  BIGINT NOT NULL,
    report     TEXT COLLATE "C" NOT NULL, -- JSON
    text       TEXT COLLATE "C" NOT NULL, -- the same as it was printed
    seal       BIGINT NOT NULL
);

-- What people decided: resolutions, waivers, corrections of prices, accounts and terms. Never expires.
CREATE TABLE audit (
    entry   BIGINT NOT NULL PRIMARY KEY,
    at      TEXT COLLATE "C" NOT NULL,
    who     TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL, -- such as 'conflict replace'
    subject TEXT COLLATE "C" NOT NULL, -- what it is about
    detail  TEXT COLLATE "C" NOT NULL, -- JSON
    reason  TEXT COLLATE "C" NOT NULL,
    seal    BIGINT NOT NULL
);

-- Every writing transaction locks this row first, so that one writes at a time, as in the embedded ledger.
CREATE TABLE write_lock (
    one BIGINT NOT NULL PRIMARY KEY
);
INSERT INTO write_lock (one) VALUES (1);

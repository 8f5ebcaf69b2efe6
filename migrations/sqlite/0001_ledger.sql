-- What every stage shares: numbers, writers, leases, runs.
--
-- Types are the portable few: INTEGER (64 bit), TEXT, BLOB. Money and quantities are TEXT holding a plain decimal:
-- SQLite has no exact decimal, and a REAL would round. Dates are TEXT 'YYYY-MM-DD', instants TEXT RFC 3339 in UTC.
-- `uin` and `appid` are TEXT: they are names made of digits and reach 2^64-1, which no INTEGER column holds.
--
-- Every table but `tally`, `counter`, `intake` and `lease` has a `seal`: a hash over the other columns of its row, made when the row is
-- written (ledger/seal.rs). `verify` makes it again, so that a number changed by hand or by a bad disk is found and named.

-- How many rows each sealed table has, and the sum of their seals (modulo 2^64): a row that is gone is missed.
CREATE TABLE tally (
    name      TEXT NOT NULL PRIMARY KEY,
    row_count INTEGER NOT NULL,
    seals     INTEGER NOT NULL
);

-- A counter row is updated first in the transaction that uses its number. The row lock lasts until the commit, so
-- numbers come in commit order and a higher one never commits before a lower one.
CREATE TABLE counter (
    name  TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO counter (name, value) VALUES ('intake', 0), ('batch', 0), ('metering', 0), ('closing', 0), ('export', 0), ('run', 0), ('quarantine', 0), ('card', 0),
    ('conflict', 0), ('resolution', 0), ('audit', 0), ('agreement', 0), ('document', 0), ('summed', 0);

-- A writer registers its intake before it writes a file. `fenced` set by the sweeper: files of this intake were
-- removed, so its commit must fail.
CREATE TABLE intake (
    intake        INTEGER NOT NULL PRIMARY KEY,
    stage         TEXT NOT NULL,
    registered_at INTEGER NOT NULL, -- seconds since 1970, the database's own clock
    state         TEXT NOT NULL     -- 'open', 'committed', 'fenced'
);
CREATE INDEX intake_state ON intake (state);

-- One writer per step. Times are the database's own; the token rises with each new holder and every transaction of
-- a guarded stage checks it.
CREATE TABLE lease (
    name         TEXT NOT NULL PRIMARY KEY,
    owner        TEXT NOT NULL,    -- for people; empty when nobody has it
    process      INTEGER NOT NULL, -- its number ...
    place        TEXT NOT NULL,    -- ... and where that number means something: the running system and its set of processes
    token        INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
);
INSERT INTO lease (name, owner, process, place, token, heartbeat_at) VALUES ('books', '', 0, '', 0, 0);

-- One row per nightly run: what a person reads in the morning.
CREATE TABLE run (
    run        INTEGER NOT NULL PRIMARY KEY,
    command    TEXT NOT NULL,
    as_of      TEXT NOT NULL,
    exit_code  INTEGER NOT NULL,
    report     TEXT NOT NULL, -- JSON
    text       TEXT NOT NULL, -- the same as it was printed
    seal       INTEGER NOT NULL
);

-- What people decided: resolutions, waivers, corrections of prices, accounts and terms. Never expires.
CREATE TABLE audit (
    entry   INTEGER NOT NULL PRIMARY KEY,
    at      TEXT NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL, -- such as 'conflict replace'
    subject TEXT NOT NULL, -- what it is about
    detail  TEXT NOT NULL, -- JSON
    reason  TEXT NOT NULL,
    seal    INTEGER NOT NULL
);

-- What metering made of the batches.

CREATE TABLE metering (
    metering   INTEGER NOT NULL PRIMARY KEY,
    batch_lo   INTEGER NOT NULL, -- first batch metered by it
    batch_hi   INTEGER NOT NULL, -- last; batch_lo - 1 when it only tried unmetered records again
    metered_at TEXT NOT NULL,
    card_hi    INTEGER NOT NULL, -- the last card import it knew
    seal       INTEGER NOT NULL
);

CREATE TABLE usage_file (
    path     TEXT NOT NULL PRIMARY KEY,
    metering INTEGER NOT NULL REFERENCES metering (metering),
    day_min  TEXT NOT NULL,      -- account-local days
    day_max  TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    digest   TEXT NOT NULL,      -- SHA-256 of the file
    seal     INTEGER NOT NULL
);

-- Sorted identity keys; see meter/key_run.rs for the file format.
CREATE TABLE key_run (
    path    TEXT NOT NULL PRIMARY KEY,
    metering INTEGER NOT NULL,
    key_count INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    seal    INTEGER NOT NULL
);

-- Records no meter took, kept whole until a card places them.
CREATE TABLE unmetered_file (
    path     TEXT NOT NULL PRIMARY KEY,
    metering INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    digest   TEXT NOT NULL,
    seal     INTEGER NOT NULL
);
-- ... and the list of them for people. Rows of a metering replace nothing: they go with their file.
CREATE TABLE unmetered (
    path       TEXT NOT NULL REFERENCES unmetered_file (path),
    uin        TEXT NOT NULL,
    utc_day    TEXT NOT NULL,
    task_type  TEXT NOT NULL,
    parameters TEXT NOT NULL,
    code       TEXT NOT NULL,
    sentence   TEXT NOT NULL,
    records    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    seal       INTEGER NOT NULL
);
CREATE INDEX unmetered_path ON unmetered (path);

-- Control totals by batch and status: rows add up (a later metering may move a record from one status to another).
CREATE TABLE control_total (
    metering   INTEGER NOT NULL,
    batch      INTEGER NOT NULL,
    status     TEXT NOT NULL,    -- 'received', or one of the eight statuses
    records    INTEGER NOT NULL,
    raw_ms     INTEGER NOT NULL,
    raw_count  INTEGER NOT NULL,
    uplift     INTEGER NOT NULL, -- billable minus raw, metered records only
    seal       INTEGER NOT NULL,
    PRIMARY KEY (metering, batch, status)
);
CREATE INDEX control_total_batch ON control_total (batch);

-- Usage for dashboards, additive: what a metering added to an account's days of a month. A night brings an account one row, not
-- one for each day, app, region and SKU: rows of a month would cost more to write than the month costs to meter.
-- `days` is JSON, {appid: {region: {sku: [sums of a day, ...]}}}; the view dash_usage unfolds it, and meter/days.rs says what sums look
-- like, and why. `sku_days` is the same with the apps and regions added up, for dash_usage_by_sku; it stands before `days`, which may be long.
CREATE TABLE usage_daily (
    month    TEXT NOT NULL, -- 'YYYY-MM' of its account-local days
    uin      TEXT NOT NULL,
    metering INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    sku_days TEXT, -- none where it is not much shorter
    days     TEXT NOT NULL,
    seal     INTEGER NOT NULL,
    PRIMARY KEY (uin, month, metering)
);
CREATE INDEX usage_daily_metering ON usage_daily (metering);

-- The same over all accounts, with the task type: small, whatever the number of accounts.
CREATE TABLE usage_total (
    month     TEXT NOT NULL,
    day       TEXT NOT NULL, -- account-local
    metering  INTEGER NOT NULL,
    task_type TEXT NOT NULL,
    region    TEXT NOT NULL,
    sku       TEXT NOT NULL,
    unit      TEXT NOT NULL, -- of raw and billable: 'ms' or 'count'
    records   INTEGER NOT NULL,
    raw       INTEGER NOT NULL,
    billable  INTEGER NOT NULL,
    seal      INTEGER NOT NULL,
    PRIMARY KEY (month, day, metering, task_type, region, sku, unit)
);

-- A later row of an identity with other content. The first committed stands; a person resolves it.
CREATE TABLE conflict (
    conflict    INTEGER NOT NULL PRIMARY KEY,
    batch       INTEGER NOT NULL,
    line        INTEGER NOT NULL,
    source      TEXT NOT NULL,
    id          TEXT NOT NULL,
    first_batch INTEGER NOT NULL,
    first_line  INTEGER NOT NULL,
    uin         TEXT,
    utc_day     TEXT NOT NULL, -- of the later row
    first_utc_day TEXT NOT NULL,
    state       TEXT NOT NULL, -- 'open', 'kept', 'replaced', 'repeated' (equal to one that was resolved), 'expired'
    resolution  INTEGER,       -- in the order of the decisions
    metering    INTEGER,       -- the metering that moved the books; only of 'replaced'
    seal        INTEGER NOT NULL,
    UNIQUE (batch, line)
);
CREATE INDEX conflict_identity ON conflict (source, id);
CREATE INDEX conflict_state ON conflict (state);

-- What somebody took back. An id whose raw has expired may be used again, and taken back again.
CREATE TABLE void (
    source  TEXT NOT NULL,
    target  TEXT NOT NULL, -- the id taken back
    id      TEXT NOT NULL, -- the void's own
    batch   INTEGER NOT NULL,
    line    INTEGER NOT NULL,
    state   TEXT NOT NULL, -- 'waiting' for its record, 'applied', 'refused' (a void of a void)
    utc_day TEXT,          -- the target's day, once known
    listed_at TEXT NOT NULL,
    took_batch INTEGER,    -- the row that it took back
    took_line INTEGER,
    metering INTEGER,      -- the metering that took the record back
    seal    INTEGER NOT NULL,
    PRIMARY KEY (batch, line)
);
CREATE INDEX void_target ON void (source, target);

-- Usage that came for a period after its close, or left it; it waits for an adjustment and holds its day.
CREATE TABLE late_usage (
    metering INTEGER NOT NULL,
    uin      TEXT NOT NULL,
    day      TEXT NOT NULL, -- account-local
    records  INTEGER NOT NULL,
    billable INTEGER NOT NULL,
    closing  INTEGER,          -- the closing that billed it; none while it waits
    seal     INTEGER NOT NULL,
    PRIMARY KEY (metering, uin, day)
);
CREATE INDEX late_usage_waiting ON late_usage (day) WHERE closing IS NULL;
CREATE INDEX late_usage_closing ON late_usage (uin, closing);

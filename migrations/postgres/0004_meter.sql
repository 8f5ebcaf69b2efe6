-- What metering made of the batches.

CREATE TABLE metering (
    metering   BIGINT NOT NULL PRIMARY KEY,
    batch_lo   BIGINT NOT NULL, -- first batch metered by it
    batch_hi   BIGINT NOT NULL, -- last; batch_lo - 1 when it only tried unmetered records again
    metered_at TEXT COLLATE "C" NOT NULL,
    card_hi    BIGINT NOT NULL, -- the last card import it knew
    seal       BIGINT NOT NULL
);

CREATE TABLE usage_file (
    path     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    metering BIGINT NOT NULL REFERENCES metering (metering),
    day_min  TEXT COLLATE "C" NOT NULL,      -- account-local days
    day_max  TEXT COLLATE "C" NOT NULL,
    row_count BIGINT NOT NULL,
    bytes    BIGINT NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL,      -- SHA-256 of the file
    seal     BIGINT NOT NULL
);

-- Sorted identity keys; see meter/key_run.rs for the file format.
CREATE TABLE key_run (
    path    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    metering BIGINT NOT NULL,
    key_count BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    digest  TEXT COLLATE "C" NOT NULL,
    seal    BIGINT NOT NULL
);

-- Records no meter took, kept whole until a card places them.
CREATE TABLE unmetered_file (
    path     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    metering BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL,
    seal     BIGINT NOT NULL
);
-- ... and the list of them for people. Rows of a metering replace nothing: they go with their file.
CREATE TABLE unmetered (
    path       TEXT COLLATE "C" NOT NULL REFERENCES unmetered_file (path),
    uin        TEXT COLLATE "C" NOT NULL,
    utc_day    TEXT COLLATE "C" NOT NULL,
    task_type  TEXT COLLATE "C" NOT NULL,
    parameters TEXT COLLATE "C" NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    sentence   TEXT COLLATE "C" NOT NULL,
    records    BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    seal       BIGINT NOT NULL
);
CREATE INDEX unmetered_path ON unmetered (path);

-- Control totals by batch and status: rows add up (a later metering may move a record from one status to another).
CREATE TABLE control_total (
    metering   BIGINT NOT NULL,
    batch      BIGINT NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,    -- 'received', or one of the eight statuses
    records    BIGINT NOT NULL,
    raw_ms     BIGINT NOT NULL,
    raw_count  BIGINT NOT NULL,
    uplift     BIGINT NOT NULL, -- billable minus raw, metered records only
    seal       BIGINT NOT NULL,
    PRIMARY KEY (metering, batch, status)
);
CREATE INDEX control_total_batch ON control_total (batch);

-- Usage for dashboards, additive: what a metering added to an account's days of a month. A night brings an account one row, not
-- one for each day, app, region and SKU: rows of a month would cost more to write than the month costs to meter.
-- `days` is JSON, {appid: {region: {sku: [sums of a day, ...]}}}; the view dash_usage unfolds it, and meter/days.rs says what sums look
-- like, and why. `sku_days` is the same with the apps and regions added up, for dash_usage_by_sku; it stands before `days`, which may be long.
CREATE TABLE usage_daily (
    month    TEXT COLLATE "C" NOT NULL, -- 'YYYY-MM' of its account-local days
    uin      TEXT COLLATE "C" NOT NULL,
    metering BIGINT NOT NULL,
    records  BIGINT NOT NULL,
    sku_days TEXT COLLATE "C", -- none where it is not much shorter
    days     TEXT COLLATE "C" NOT NULL,
    seal     BIGINT NOT NULL,
    PRIMARY KEY (uin, month, metering)
);
CREATE INDEX usage_daily_metering ON usage_daily (metering);

-- The same over all accounts, with the task type: small, whatever the number of accounts.
CREATE TABLE usage_total (
    month     TEXT COLLATE "C" NOT NULL,
    day       TEXT COLLATE "C" NOT NULL, -- account-local
    metering  BIGINT NOT NULL,
    task_type TEXT COLLATE "C" NOT NULL,
    region    TEXT COLLATE "C" NOT NULL,
    sku       TEXT COLLATE "C" NOT NULL,
    unit      TEXT COLLATE "C" NOT NULL, -- of raw and billable: 'ms' or 'count'
    records   BIGINT NOT NULL,
    raw       BIGINT NOT NULL,
    billable  BIGINT NOT NULL,
    seal      BIGINT NOT NULL,
    PRIMARY KEY (month, day, metering, task_type, region, sku, unit)
);

-- A later row of an identity with other content. The first committed stands; a person resolves it.
CREATE TABLE conflict (
    conflict    BIGINT NOT NULL PRIMARY KEY,
    batch       BIGINT NOT NULL,
    line        BIGINT NOT NULL,
    source      TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    first_batch BIGINT NOT NULL,
    first_line  BIGINT NOT NULL,
    uin         TEXT COLLATE "C",
    utc_day     TEXT COLLATE "C" NOT NULL, -- of the later row
    first_utc_day TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL, -- 'open', 'kept', 'replaced', 'repeated' (equal to one that was resolved), 'expired'
    resolution  BIGINT,       -- in the order of the decisions
    metering    BIGINT,       -- the metering that moved the books; only of 'replaced'
    seal        BIGINT NOT NULL,
    UNIQUE (batch, line)
);
CREATE INDEX conflict_identity ON conflict (source, id);
CREATE INDEX conflict_state ON conflict (state);

-- What somebody took back. An id whose raw has expired may be used again, and taken back again.
CREATE TABLE void (
    source  TEXT COLLATE "C" NOT NULL,
    target  TEXT COLLATE "C" NOT NULL, -- the id taken back
    id      TEXT COLLATE "C" NOT NULL, -- the void's own
    batch   BIGINT NOT NULL,
    line    BIGINT NOT NULL,
    state   TEXT COLLATE "C" NOT NULL, -- 'waiting' for its record, 'applied', 'refused' (a void of a void)
    utc_day TEXT COLLATE "C",          -- the target's day, once known
    listed_at TEXT COLLATE "C" NOT NULL,
    took_batch BIGINT,    -- the row that it took back
    took_line BIGINT,
    metering BIGINT,      -- the metering that took the record back
    seal    BIGINT NOT NULL,
    PRIMARY KEY (batch, line)
);
CREATE INDEX void_target ON void (source, target);

-- Usage that came for a period after its close, or left it; it waits for an adjustment and holds its day.
CREATE TABLE late_usage (
    metering BIGINT NOT NULL,
    uin      TEXT COLLATE "C" NOT NULL,
    day      TEXT COLLATE "C" NOT NULL, -- account-local
    records  BIGINT NOT NULL,
    billable BIGINT NOT NULL,
    closing  BIGINT,          -- the closing that billed it; none while it waits
    seal     BIGINT NOT NULL,
    PRIMARY KEY (metering, uin, day)
);
CREATE INDEX late_usage_waiting ON late_usage (day) WHERE closing IS NULL;
CREATE INDEX late_usage_closing ON late_usage (uin, closing);

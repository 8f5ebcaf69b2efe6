-- Closed periods. No statement is ever updated.

-- One close run: the books as far as batch_hi, which was metered.
CREATE TABLE closing (
    closing   INTEGER NOT NULL PRIMARY KEY,
    batch_hi  INTEGER NOT NULL,
    metering  INTEGER NOT NULL, -- the statement rests on usage files up to this metering
    card_hi   INTEGER NOT NULL, -- the last card import it knew
    statements INTEGER NOT NULL,
    periods   INTEGER NOT NULL,
    closed_at TEXT NOT NULL,
    seal      INTEGER NOT NULL
);

-- What a closed period comes to. Narrow: its lines are in `document`, so that a month of all accounts is read in a moment.
CREATE TABLE statement (
    month           TEXT NOT NULL, -- 'YYYY-MM' of its start
    uin             TEXT NOT NULL REFERENCES account (uin),
    period_start    TEXT NOT NULL,
    period_end      TEXT NOT NULL,
    statement_id    TEXT NOT NULL UNIQUE,
    zone            TEXT NOT NULL,
    currency        TEXT NOT NULL,
    line_count      INTEGER NOT NULL,
    usage_amount    TEXT NOT NULL,
    adjustment_amount TEXT NOT NULL,
    rounding        TEXT NOT NULL,
    total           TEXT NOT NULL,
    records         INTEGER NOT NULL, -- metered records of its period that it bills
    adjusted_records INTEGER NOT NULL, -- ... and of earlier periods, more or less than was billed
    closing         INTEGER NOT NULL REFERENCES closing (closing),
    closed_at       TEXT NOT NULL,
    batch_hi        INTEGER NOT NULL,
    previous_digest TEXT NOT NULL,
    digest          TEXT NOT NULL,
    document        INTEGER NOT NULL, -- the number of its lines; they may be gone
    seal            INTEGER NOT NULL,
    PRIMARY KEY (month, uin, period_start)
) WITHOUT ROWID;
CREATE INDEX statement_uin ON statement (uin, period_start, period_end);

-- The lines of a statement, until their retention is over. The statement's digest covers them.
CREATE TABLE document (
    document INTEGER NOT NULL PRIMARY KEY,
    body     TEXT NOT NULL, -- JSON; see close/document.rs
    seal     INTEGER NOT NULL
);

-- Periods that closed without a line. Those with one have a statement.
CREATE TABLE empty_period (
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    closing      INTEGER NOT NULL,
    seal         INTEGER NOT NULL,
    PRIMARY KEY (uin, period_start)
) WITHOUT ROWID;

-- Every closed period.
CREATE VIEW closed_period AS
SELECT uin, period_start, period_end, closing FROM statement
UNION ALL SELECT uin, period_start, period_end, closing FROM empty_period;

-- The statements of a closing, by period. Each of these goes into one export as a whole, so that no statement can be in two.
CREATE TABLE stated_period (
    closing      INTEGER NOT NULL REFERENCES closing (closing),
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    statements   INTEGER NOT NULL,
    export       INTEGER,          -- none until they are exported
    seal         INTEGER NOT NULL,
    PRIMARY KEY (closing, period_start, period_end)
) WITHOUT ROWID;
CREATE INDEX stated_period_export ON stated_period (export);

-- Closed periods that a corrected price rates again.
CREATE TABLE rerate (
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    card         INTEGER NOT NULL, -- the import
    closing      INTEGER,          -- the closing that billed the difference; none while it waits
    seal         INTEGER NOT NULL,
    PRIMARY KEY (uin, period_start, card)
);
CREATE INDEX rerate_waiting ON rerate (uin) WHERE closing IS NULL;
CREATE INDEX rerate_closing ON rerate (uin, closing);

-- What open periods would cost if they closed now. Each night makes them anew.
CREATE TABLE draft (
    month        TEXT NOT NULL, -- 'YYYY-MM' of its start
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    currency     TEXT NOT NULL,
    usage_amount TEXT NOT NULL,
    adjustment_amount TEXT NOT NULL,
    rounding     TEXT NOT NULL,
    total        TEXT NOT NULL,
    line_count   INTEGER NOT NULL,
    records      INTEGER NOT NULL,
    unpriced     INTEGER NOT NULL, -- kinds of usage without a price, which are not in the total
    as_of        TEXT NOT NULL,
    seal         INTEGER NOT NULL,
    PRIMARY KEY (month, uin, period_start)
) WITHOUT ROWID;
CREATE INDEX draft_uin ON draft (uin, period_start);

-- What an account comes to in a month, over all its periods that begin in it: ready to be ordered, so that a month's largest accounts are
-- found without adding up the others. Made from statements and drafts when drafts are made; the counter `summed` is the last closing in it.
CREATE TABLE account_month (
    month    TEXT NOT NULL,
    currency TEXT NOT NULL,
    uin      TEXT NOT NULL,
    total    TEXT NOT NULL,
    records  INTEGER NOT NULL,
    drafts   INTEGER NOT NULL, -- periods in it that are not closed
    seal     INTEGER NOT NULL
);
CREATE INDEX account_month_total ON account_month (month, currency, CAST(total AS REAL), uin);
CREATE INDEX account_month_drafts ON account_month (month) WHERE drafts > 0;

-- Due periods that cannot close until a person acts, as the last close saw them.
CREATE TABLE blocked_period (
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    why          TEXT NOT NULL,
    unpriced     TEXT NOT NULL, -- JSON array of sentences
    seal         INTEGER NOT NULL,
    PRIMARY KEY (uin, period_start)
);

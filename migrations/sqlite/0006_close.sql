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

CREATE TABLE statement (
    statement_id    TEXT NOT NULL PRIMARY KEY,
    uin             TEXT NOT NULL REFERENCES account (uin),
    period_start    TEXT NOT NULL,
    period_end      TEXT NOT NULL,
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
    document        TEXT,          -- the lines, JSON; see close/document.rs. None once its retention is over
    seal            INTEGER NOT NULL -- without the document, which the digest covers
);
-- Rows are large. What each night asks of all of them lies in these two.
CREATE INDEX statement_uin ON statement (uin, period_start, period_end, statement_id, digest);
CREATE INDEX statement_closing ON statement (closing, period_start);

-- Every closed period, also one without a line.
CREATE TABLE closed_period (
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    closing      INTEGER NOT NULL,
    seal         INTEGER NOT NULL,
    PRIMARY KEY (uin, period_start)
) WITHOUT ROWID;

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

-- What each account's period costs: closed ones as stated, open ones as they would be if they closed now. Each night makes the
-- drafts anew. Narrow beside `statement`, so that a month of all accounts is read in a moment.
CREATE TABLE period_charge (
    month        TEXT NOT NULL, -- 'YYYY-MM' of its start
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    state        TEXT NOT NULL, -- 'closed' or 'draft'
    currency     TEXT NOT NULL,
    usage_amount TEXT NOT NULL,
    adjustment_amount TEXT NOT NULL,
    rounding     TEXT NOT NULL,
    total        TEXT NOT NULL,
    line_count   INTEGER NOT NULL,
    records      INTEGER NOT NULL,
    unpriced     INTEGER NOT NULL, -- of a draft: kinds of usage without a price, which are not in the total
    statement_id TEXT,             -- of a closed one
    as_of        TEXT NOT NULL,
    seal         INTEGER NOT NULL,
    PRIMARY KEY (month, uin, period_start)
) WITHOUT ROWID;
CREATE INDEX period_charge_uin ON period_charge (uin, period_start);
CREATE INDEX period_charge_drafts ON period_charge (month) WHERE state = 'draft';

-- What an account comes to in a month, over all its periods that begin in it: ready to be ordered, so that a month's largest accounts are
-- found without adding up the others. Made from period_charge when drafts are made; the counter `summed` is the last closing in it.
CREATE TABLE account_month (
    month    TEXT NOT NULL,
    currency TEXT NOT NULL,
    uin      TEXT NOT NULL,
    total    TEXT NOT NULL,
    records  INTEGER NOT NULL,
    drafts   INTEGER NOT NULL, -- periods in it that are not closed
    seal     INTEGER NOT NULL,
    PRIMARY KEY (month, currency, uin)
) WITHOUT ROWID;
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

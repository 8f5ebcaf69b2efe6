-- Closed periods. No statement is ever updated.

-- One close run: the books as far as batch_hi, which was metered.
CREATE TABLE closing (
    closing   BIGINT NOT NULL PRIMARY KEY,
    batch_hi  BIGINT NOT NULL,
    metering  BIGINT NOT NULL, -- the statement rests on usage files up to this metering
    card_hi   BIGINT NOT NULL, -- the last card import it knew
    statements BIGINT NOT NULL,
    periods   BIGINT NOT NULL,
    closed_at TEXT COLLATE "C" NOT NULL,
    seal      BIGINT NOT NULL
);

-- What a closed period comes to. Narrow: its lines are in `document`, so that a month of all accounts is read in a moment.
CREATE TABLE statement (
    month           TEXT COLLATE "C" NOT NULL, -- 'YYYY-MM' of its start
    uin             TEXT COLLATE "C" NOT NULL REFERENCES account (uin),
    period_start    TEXT COLLATE "C" NOT NULL,
    period_end      TEXT COLLATE "C" NOT NULL,
    statement_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    zone            TEXT COLLATE "C" NOT NULL,
    currency        TEXT COLLATE "C" NOT NULL,
    line_count      BIGINT NOT NULL,
    usage_amount    NUMERIC(38, 10) NOT NULL,
    adjustment_amount NUMERIC(38, 10) NOT NULL,
    rounding        NUMERIC(38, 10) NOT NULL,
    total           NUMERIC(38, 10) NOT NULL,
    records         BIGINT NOT NULL, -- metered records of its period that it bills
    adjusted_records BIGINT NOT NULL, -- ... and of earlier periods, more or less than was billed
    closing         BIGINT NOT NULL REFERENCES closing (closing),
    closed_at       TEXT COLLATE "C" NOT NULL,
    batch_hi        BIGINT NOT NULL,
    previous_digest TEXT COLLATE "C" NOT NULL,
    digest          TEXT COLLATE "C" NOT NULL,
    document        BIGINT NOT NULL, -- the number of its lines; they may be gone
    seal            BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
);
CREATE INDEX statement_uin ON statement (uin, period_start, period_end);

-- The lines of a statement, until their retention is over. The statement's digest covers them.
CREATE TABLE document (
    document BIGINT NOT NULL PRIMARY KEY,
    body     TEXT COLLATE "C" NOT NULL, -- JSON; see close/document.rs
    seal     BIGINT NOT NULL
);

-- Periods that closed without a line. Those with one have a statement.
CREATE TABLE empty_period (
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    closing      BIGINT NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start)
);

-- Every closed period.
CREATE VIEW closed_period AS
SELECT uin, period_start, period_end, closing FROM statement
UNION ALL SELECT uin, period_start, period_end, closing FROM empty_period;

-- The statements of a closing, by period. Each of these goes into one export as a whole, so that no statement can be in two.
CREATE TABLE stated_period (
    closing      BIGINT NOT NULL REFERENCES closing (closing),
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    statements   BIGINT NOT NULL,
    export       BIGINT,          -- none until they are exported
    seal         BIGINT NOT NULL,
    PRIMARY KEY (closing, period_start, period_end)
);
CREATE INDEX stated_period_export ON stated_period (export);

-- Closed periods that a corrected price rates again.
CREATE TABLE rerate (
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    card         BIGINT NOT NULL, -- the import
    closing      BIGINT,          -- the closing that billed the difference; none while it waits
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start, card)
);
CREATE INDEX rerate_waiting ON rerate (uin) WHERE closing IS NULL;
CREATE INDEX rerate_closing ON rerate (uin, closing);

-- What open periods would cost if they closed now. Each night makes them anew.
CREATE TABLE draft (
    month        TEXT COLLATE "C" NOT NULL, -- 'YYYY-MM' of its start
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    currency     TEXT COLLATE "C" NOT NULL,
    usage_amount NUMERIC(38, 10) NOT NULL,
    adjustment_amount NUMERIC(38, 10) NOT NULL,
    rounding     NUMERIC(38, 10) NOT NULL,
    total        NUMERIC(38, 10) NOT NULL,
    line_count   BIGINT NOT NULL,
    records      BIGINT NOT NULL,
    unpriced     BIGINT NOT NULL, -- kinds of usage without a price, which are not in the total
    as_of        TEXT COLLATE "C" NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
);
CREATE INDEX draft_uin ON draft (uin, period_start);

-- What an account comes to in a month, over all its periods that begin in it: ready to be ordered, so that a month's largest accounts are
-- found without adding up the others. Made from statements and drafts when drafts are made; the counter `summed` is the last closing in it.
CREATE TABLE account_month (
    month    TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    uin      TEXT COLLATE "C" NOT NULL,
    total    NUMERIC(38, 10) NOT NULL,
    records  BIGINT NOT NULL,
    drafts   BIGINT NOT NULL, -- periods in it that are not closed
    seal     BIGINT NOT NULL,
    PRIMARY KEY (month, currency, uin)
);
CREATE INDEX account_month_total ON account_month (month, currency, total, uin);
CREATE INDEX account_month_drafts ON account_month (month) WHERE drafts > 0;

-- Due periods that cannot close until a person acts, as the last close saw them.
CREATE TABLE blocked_period (
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    why          TEXT COLLATE "C" NOT NULL,
    unpriced     TEXT COLLATE "C" NOT NULL, -- JSON array of sentences
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start)
);

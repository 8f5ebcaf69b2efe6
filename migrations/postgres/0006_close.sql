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

CREATE TABLE statement (
    statement_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uin             TEXT COLLATE "C" NOT NULL REFERENCES account (uin),
    period_start    TEXT COLLATE "C" NOT NULL,
    period_end      TEXT COLLATE "C" NOT NULL,
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
    document        TEXT COLLATE "C",          -- the lines, JSON; see close/document.rs. None once its retention is over
    seal            BIGINT NOT NULL -- without the document, which the digest covers
);
-- Rows are large. What each night asks of all of them lies in these two.
CREATE INDEX statement_uin ON statement (uin, period_start, period_end, statement_id, digest);
CREATE INDEX statement_closing ON statement (closing, period_start);

-- Every closed period, also one without a line.
CREATE TABLE closed_period (
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    closing      BIGINT NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start)
);

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

-- What each account's period costs: closed ones as stated, open ones as they would be if they closed now. Each night makes the
-- drafts anew. Narrow beside `statement`, so that a month of all accounts is read in a moment.
CREATE TABLE period_charge (
    month        TEXT COLLATE "C" NOT NULL, -- 'YYYY-MM' of its start
    uin          TEXT COLLATE "C" NOT NULL,
    period_start TEXT COLLATE "C" NOT NULL,
    period_end   TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL, -- 'closed' or 'draft'
    currency     TEXT COLLATE "C" NOT NULL,
    usage_amount NUMERIC(38, 10) NOT NULL,
    adjustment_amount NUMERIC(38, 10) NOT NULL,
    rounding     NUMERIC(38, 10) NOT NULL,
    total        NUMERIC(38, 10) NOT NULL,
    line_count   BIGINT NOT NULL,
    records      BIGINT NOT NULL,
    unpriced     BIGINT NOT NULL, -- of a draft: kinds of usage without a price, which are not in the total
    statement_id TEXT COLLATE "C",             -- of a closed one
    as_of        TEXT COLLATE "C" NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
);
CREATE INDEX period_charge_uin ON period_charge (uin, period_start);
CREATE INDEX period_charge_drafts ON period_charge (month) WHERE state = 'draft';

-- What an account comes to in a month, over all its periods that begin in it: ready to be ordered, so that a month's largest accounts are
-- found without adding up the others. Made from period_charge when drafts are made; the counter `summed` is the last closing in it.
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

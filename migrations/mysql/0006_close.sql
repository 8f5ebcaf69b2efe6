-- Closed periods. No statement is ever updated.

-- One close run: the books as far as batch_hi, which was metered.
CREATE TABLE closing (
    closing   BIGINT NOT NULL PRIMARY KEY,
    batch_hi  BIGINT NOT NULL,
    metering  BIGINT NOT NULL, -- the statement rests on usage files up to this metering
    card_hi   BIGINT NOT NULL, -- the last card import it knew
    statements BIGINT NOT NULL,
    periods   BIGINT NOT NULL,
    closed_at VARCHAR(40) NOT NULL,
    seal      BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- What a closed period comes to. Narrow: its lines are in `document`, so that a month of all accounts is read in a moment.
CREATE TABLE statement (
    month           VARCHAR(7) NOT NULL, -- 'YYYY-MM' of its start
    uin             VARCHAR(20) NOT NULL,
    period_start    VARCHAR(10) NOT NULL,
    period_end      VARCHAR(10) NOT NULL,
    statement_id    VARCHAR(64) NOT NULL UNIQUE,
    zone            VARCHAR(64) NOT NULL,
    currency        VARCHAR(32) NOT NULL,
    line_count      BIGINT NOT NULL,
    usage_amount    DECIMAL(38, 10) NOT NULL,
    adjustment_amount DECIMAL(38, 10) NOT NULL,
    rounding        DECIMAL(38, 10) NOT NULL,
    total           DECIMAL(38, 10) NOT NULL,
    records         BIGINT NOT NULL, -- metered records of its period that it bills
    adjusted_records BIGINT NOT NULL, -- ... and of earlier periods, more or less than was billed
    closing         BIGINT NOT NULL,
    closed_at       VARCHAR(40) NOT NULL,
    batch_hi        BIGINT NOT NULL,
    previous_digest VARCHAR(64) NOT NULL,
    digest          VARCHAR(64) NOT NULL,
    document        BIGINT NOT NULL, -- the number of its lines; they may be gone
    seal            BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start),
    FOREIGN KEY (uin) REFERENCES account (uin),
    FOREIGN KEY (closing) REFERENCES closing (closing)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX statement_uin ON statement (uin, period_start, period_end);

-- The lines of a statement, until their retention is over. The statement's digest covers them.
CREATE TABLE document (
    document BIGINT NOT NULL PRIMARY KEY,
    body     LONGTEXT NOT NULL, -- JSON; see close/document.rs
    seal     BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Periods that closed without a line. Those with one have a statement.
CREATE TABLE empty_period (
    uin          VARCHAR(20) NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    period_end   VARCHAR(10) NOT NULL,
    closing      BIGINT NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Every closed period.
CREATE VIEW closed_period AS
SELECT uin, period_start, period_end, closing FROM statement
UNION ALL SELECT uin, period_start, period_end, closing FROM empty_period;

-- The statements of a closing, by period. Each of these goes into one export as a whole, so that no statement can be in two.
CREATE TABLE stated_period (
    closing      BIGINT NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    period_end   VARCHAR(10) NOT NULL,
    statements   BIGINT NOT NULL,
    export       BIGINT,          -- none until they are exported
    seal         BIGINT NOT NULL,
    PRIMARY KEY (closing, period_start, period_end),
    FOREIGN KEY (closing) REFERENCES closing (closing)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX stated_period_export ON stated_period (export);

-- Closed periods that a corrected price rates again.
CREATE TABLE rerate (
    uin          VARCHAR(20) NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    card         BIGINT NOT NULL, -- the import
    closing      BIGINT,          -- the closing that billed the difference; none while it waits
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start, card)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX rerate_waiting ON rerate (uin);
CREATE INDEX rerate_closing ON rerate (uin, closing);

-- What open periods would cost if they closed now. Each night makes them anew.
CREATE TABLE draft (
    month        VARCHAR(7) NOT NULL, -- 'YYYY-MM' of its start
    uin          VARCHAR(20) NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    period_end   VARCHAR(10) NOT NULL,
    currency     VARCHAR(32) NOT NULL,
    usage_amount DECIMAL(38, 10) NOT NULL,
    adjustment_amount DECIMAL(38, 10) NOT NULL,
    rounding     DECIMAL(38, 10) NOT NULL,
    total        DECIMAL(38, 10) NOT NULL,
    line_count   BIGINT NOT NULL,
    records      BIGINT NOT NULL,
    unpriced     BIGINT NOT NULL, -- kinds of usage without a price, which are not in the total
    as_of        VARCHAR(40) NOT NULL,
    seal         BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX draft_uin ON draft (uin, period_start);

-- What an account comes to in a month, over all its periods that begin in it: ready to be ordered, so that a month's largest accounts are
-- found without adding up the others. Made from statements and drafts when drafts are made; the counter `summed` is the last closing in it.
CREATE TABLE account_month (
    month    VARCHAR(7) NOT NULL,
    currency VARCHAR(32) NOT NULL,
    uin      VARCHAR(20) NOT NULL,
    total    DECIMAL(38, 10) NOT NULL,
    records  BIGINT NOT NULL,
    drafts   BIGINT NOT NULL, -- periods in it that are not closed
    seal     BIGINT NOT NULL,
    PRIMARY KEY (month, currency, uin)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX account_month_total ON account_month (month, currency, total, uin);
CREATE INDEX account_month_drafts ON account_month (drafts);

-- Due periods that cannot close until a person acts, as the last close saw them.
CREATE TABLE blocked_period (
    uin          VARCHAR(20) NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    period_end   VARCHAR(10) NOT NULL,
    why          TEXT NOT NULL,
    unpriced     LONGTEXT NOT NULL, -- JSON array of sentences
    seal         BIGINT NOT NULL,
    PRIMARY KEY (uin, period_start)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

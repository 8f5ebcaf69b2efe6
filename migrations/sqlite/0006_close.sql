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
    document        TEXT NOT NULL, -- the lines, JSON; see close/document.rs
    seal            INTEGER NOT NULL -- without the document, which the digest covers
);
CREATE INDEX statement_uin ON statement (uin, period_start);
CREATE INDEX statement_closing ON statement (closing);

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

-- The lines as a table, amounts cast for charts only; the exact text is in `document`.
CREATE VIEW statement_line AS
SELECT s.statement_id, s.uin, s.period_start, s.period_end, s.currency, j.value ->> 0 AS line_no, j.value ->> 1 AS appid,
       j.value ->> 2 AS kind, j.value ->> 3 AS card, j.value ->> 4 AS card_version, j.value ->> 5 AS region,
       j.value ->> 6 AS sku, j.value ->> 7 AS meter, j.value ->> 8 AS unit, CAST(j.value ->> 9 AS INTEGER) AS records,
       j.value ->> 10 AS quantity, j.value ->> 11 AS unit_price, j.value ->> 12 AS discount_percent,
       j.value ->> 13 AS amount, CAST(j.value ->> 13 AS REAL) AS amount_for_charts,
       j.value ->> 14 AS corrects_statement, j.value ->> 15 AS corrects_line
FROM statement s, json_each(s.document) j;

-- What people settled outside, and which card versions they withdrew.

-- An adjustment of a closed period that no statement can carry, because the account is billed in another currency by now. A person settled it
-- outside: it is never billed, and what the period should be from then on starts from it. Rows are only ever added.
CREATE TABLE settlement (
    settlement   INTEGER NOT NULL PRIMARY KEY,
    uin          TEXT NOT NULL,
    period_start TEXT NOT NULL,
    period_end   TEXT NOT NULL,
    currency     TEXT NOT NULL,
    amount       TEXT NOT NULL, -- what its lines come to, not rounded; negative is given back
    records      INTEGER NOT NULL, -- metered records, more or less than was billed
    body         TEXT NOT NULL, -- its lines; see close/document.rs
    closing      INTEGER NOT NULL, -- the last closing before it; those after it count it as billed
    metering     INTEGER NOT NULL, -- it rests on usage files up to this metering
    card_hi      INTEGER NOT NULL, -- ... and on the cards up to this import
    settled_at   TEXT NOT NULL,
    audit        INTEGER NOT NULL, -- the entry that says who and why
    seal         INTEGER NOT NULL
);
CREATE INDEX settlement_uin ON settlement (uin);

-- Imports of a card version that a person withdrew before any day used it. The rows of rate_card stay; they are in force no more.
CREATE TABLE withdrawn_card (
    card         INTEGER NOT NULL PRIMARY KEY, -- the import
    withdrawn_at TEXT NOT NULL,
    audit        INTEGER NOT NULL, -- the entry that says who and why
    seal         INTEGER NOT NULL
);

INSERT INTO counter (name, value) VALUES ('settlement', 0);

-- Rate cards, accounts and their terms.

-- Every revision of every version stays. The highest revision is in force; `card` numbers imports, so that a statement can be
-- rated again with the cards of its day.
CREATE TABLE rate_card (
    name        TEXT NOT NULL,
    valid_from  TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    body        TEXT NOT NULL, -- the card, JSON
    imported_at TEXT NOT NULL,
    card        INTEGER NOT NULL UNIQUE,
    corrects    INTEGER NOT NULL, -- 1: imported as a correction of what was billed
    seal        INTEGER NOT NULL,
    PRIMARY KEY (name, valid_from, revision)
);

CREATE TABLE account (
    uin        TEXT NOT NULL PRIMARY KEY,
    added_by   TEXT NOT NULL, -- 'usage' or 'person'
    added_at   TEXT NOT NULL,
    first_day  TEXT,          -- of usage or terms, whichever is earlier; where the periods begin
    seal       INTEGER NOT NULL
    -- How far it is closed, and its last statement, are in closed_period and statement.
) WITHOUT ROWID;

-- What accounts have agreed to, each text once: nearly all accounts have one of a few.
CREATE TABLE agreement (
    agreement INTEGER NOT NULL PRIMARY KEY,
    digest    TEXT NOT NULL UNIQUE, -- SHA-256 of the body
    body      TEXT NOT NULL, -- the terms, JSON
    seal      INTEGER NOT NULL
);

-- Dated and immutable: new terms are a new row.
CREATE TABLE terms (
    uin       TEXT NOT NULL REFERENCES account (uin),
    from_day  TEXT NOT NULL,
    agreement INTEGER NOT NULL REFERENCES agreement (agreement),
    seal      INTEGER NOT NULL,
    PRIMARY KEY (uin, from_day)
) WITHOUT ROWID;

-- How many accounts are alike in all that their open period depends on: what is due is counted without reading every account. Counted
-- anew in each transaction that changes accounts or closes periods.
CREATE TABLE account_kind (
    agreement INTEGER REFERENCES agreement (agreement), -- none when the terms have changed: these are read one by one
    first_day TEXT, -- none when periods are closed; they begin where the last one ended
    closed_to TEXT, -- end of the last closed period
    accounts  INTEGER NOT NULL,
    seal      INTEGER NOT NULL
);

-- Rate cards, accounts and their terms.

-- Every revision of every version stays. The highest revision is in force; `card` numbers imports, so that a statement can be
-- rated again with the cards of its day.
CREATE TABLE rate_card (
    name        TEXT COLLATE "C" NOT NULL,
    valid_from  TEXT COLLATE "C" NOT NULL,
    revision    BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    body        TEXT COLLATE "C" NOT NULL, -- the card, JSON
    imported_at TEXT COLLATE "C" NOT NULL,
    card        BIGINT NOT NULL UNIQUE,
    corrects    BIGINT NOT NULL, -- 1: imported as a correction of what was billed
    seal        BIGINT NOT NULL,
    PRIMARY KEY (name, valid_from, revision)
);

CREATE TABLE account (
    uin        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    added_by   TEXT COLLATE "C" NOT NULL, -- 'usage' or 'person'
    added_at   TEXT COLLATE "C" NOT NULL,
    first_day  TEXT COLLATE "C",          -- of usage or terms, whichever is earlier; where the periods begin
    seal       BIGINT NOT NULL
    -- How far it is closed, and its last statement, are in closed_period and statement.
);

-- What accounts have agreed to, each text once: nearly all accounts have one of a few.
CREATE TABLE agreement (
    agreement BIGINT NOT NULL PRIMARY KEY,
    digest    TEXT COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the body
    body      TEXT COLLATE "C" NOT NULL, -- the terms, JSON
    seal      BIGINT NOT NULL
);

-- Dated and immutable: new terms are a new row.
CREATE TABLE terms (
    uin       TEXT COLLATE "C" NOT NULL REFERENCES account (uin),
    from_day  TEXT COLLATE "C" NOT NULL,
    agreement BIGINT NOT NULL REFERENCES agreement (agreement),
    seal      BIGINT NOT NULL,
    PRIMARY KEY (uin, from_day)
);

-- How many accounts are alike in all that their open period depends on: what is due is counted without reading every account. Counted
-- anew in each transaction that changes accounts or closes periods.
CREATE TABLE account_kind (
    agreement BIGINT REFERENCES agreement (agreement), -- none when the terms have changed: these are read one by one
    first_day TEXT COLLATE "C", -- none when periods are closed; they begin where the last one ended
    closed_to TEXT COLLATE "C", -- end of the last closed period
    accounts  BIGINT NOT NULL,
    seal      BIGINT NOT NULL
);

-- Rate cards, accounts and their terms.

-- Every revision of every version stays. The highest revision is in force; `card` numbers imports, so that a statement can be
-- rated again with the cards of its day.
CREATE TABLE rate_card (
    name        VARCHAR(128) NOT NULL,
    valid_from  VARCHAR(10) NOT NULL,
    revision    BIGINT NOT NULL,
    digest      VARCHAR(64) NOT NULL,
    body        LONGTEXT NOT NULL, -- the card, JSON
    imported_at VARCHAR(40) NOT NULL,
    card        BIGINT NOT NULL UNIQUE,
    corrects    BIGINT NOT NULL, -- 1: imported as a correction of what was billed
    seal        BIGINT NOT NULL,
    PRIMARY KEY (name, valid_from, revision)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

CREATE TABLE account (
    uin        VARCHAR(20) NOT NULL PRIMARY KEY,
    added_by   VARCHAR(32) NOT NULL, -- 'usage' or 'person'
    added_at   VARCHAR(40) NOT NULL,
    first_day  VARCHAR(10),          -- of usage or terms, whichever is earlier; where the periods begin
    seal       BIGINT NOT NULL
    -- How far it is closed, and its last statement, are in closed_period and statement.
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- What accounts have agreed to, each text once: nearly all accounts have one of a few.
CREATE TABLE agreement (
    agreement BIGINT NOT NULL PRIMARY KEY,
    digest    VARCHAR(64) NOT NULL UNIQUE, -- SHA-256 of the body
    body      LONGTEXT NOT NULL, -- the terms, JSON
    seal      BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Dated and immutable: new terms are a new row.
CREATE TABLE terms (
    uin       VARCHAR(20) NOT NULL,
    from_day  VARCHAR(10) NOT NULL,
    agreement BIGINT NOT NULL,
    seal      BIGINT NOT NULL,
    PRIMARY KEY (uin, from_day),
    FOREIGN KEY (uin) REFERENCES account (uin),
    FOREIGN KEY (agreement) REFERENCES agreement (agreement)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- How many accounts are alike in all that their open period depends on: what is due is counted without reading every account. Counted
-- anew in each transaction that changes accounts or closes periods.
CREATE TABLE account_kind (
    agreement BIGINT, -- none when the terms have changed: these are read one by one
    first_day VARCHAR(10), -- none when periods are closed; they begin where the last one ended
    closed_to VARCHAR(10), -- end of the last closed period
    accounts  BIGINT NOT NULL,
    seal      BIGINT NOT NULL,
    FOREIGN KEY (agreement) REFERENCES agreement (agreement)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

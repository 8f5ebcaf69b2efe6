-- What people settled outside, and which card versions they withdrew.

-- An adjustment of a closed period that no statement can carry, because the account is billed in another currency by now. A person settled it
-- outside: it is never billed, and what the period should be from then on starts from it. Rows are only ever added.
CREATE TABLE settlement (
    settlement   BIGINT NOT NULL PRIMARY KEY,
    uin          VARCHAR(20) NOT NULL,
    period_start VARCHAR(10) NOT NULL,
    period_end   VARCHAR(10) NOT NULL,
    currency     VARCHAR(32) NOT NULL,
    amount       DECIMAL(38, 10) NOT NULL, -- what its lines come to, not rounded; negative is given back
    records      BIGINT NOT NULL, -- metered records, more or less than was billed
    body         LONGTEXT NOT NULL, -- its lines; see close/document.rs
    closing      BIGINT NOT NULL, -- the last closing before it; those after it count it as billed
    metering     BIGINT NOT NULL, -- it rests on usage files up to this metering
    card_hi      BIGINT NOT NULL, -- ... and on the cards up to this import
    settled_at   VARCHAR(40) NOT NULL,
    audit        BIGINT NOT NULL, -- the entry that says who and why
    seal         BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX settlement_uin ON settlement (uin);

-- Imports of a card version that a person withdrew before any day used it. The rows of rate_card stay; they are in force no more.
CREATE TABLE withdrawn_card (
    card         BIGINT NOT NULL PRIMARY KEY, -- the import
    withdrawn_at VARCHAR(40) NOT NULL,
    audit        BIGINT NOT NULL, -- the entry that says who and why
    seal         BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

INSERT INTO counter (name, value) VALUES ('settlement', 0);

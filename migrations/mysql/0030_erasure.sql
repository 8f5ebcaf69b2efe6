-- Erased accounts. What stays of an account (statements, totals, usage) stands under a random number, its pseudonym. Nothing here leads from
-- a true number to a pseudonym.

-- Erasures: the certificate names the request, and never the account.
CREATE TABLE erasure (
    erasure     BIGINT NOT NULL PRIMARY KEY,
    audit_entry BIGINT NOT NULL,
    erased_at   VARCHAR(40) NOT NULL,
    request     TEXT NOT NULL, -- what the person named who asked for it, such as the number of a letter
    certificate LONGTEXT NOT NULL, -- JSON
    digest      VARCHAR(64) NOT NULL, -- SHA-256 of the certificate
    seal        BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
INSERT INTO counter (name, value) VALUES ('erasure', 0);

-- Accounts that stand under a pseudonym.
CREATE TABLE erased_account (
    uin     VARCHAR(20) NOT NULL PRIMARY KEY, -- the pseudonym
    erasure BIGINT NOT NULL,
    seal    BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- By which a record of an erased account is known: Argon2id of its number, with the salt in the fact 'tombstone_salt'. In no order.
CREATE TABLE tombstone (
    hash VARCHAR(64) NOT NULL PRIMARY KEY, -- 64 hexadecimal digits
    seal BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- The digests of statements under a pseudonym: of their documents as they are now, chained as the first ones are. The first ones stay in
-- `statement`.
CREATE TABLE erased_statement (
    month        VARCHAR(7) NOT NULL,
    uin          VARCHAR(20) NOT NULL, -- the pseudonym
    period_start VARCHAR(10) NOT NULL,
    digest       VARCHAR(64), -- none where the lines had gone before
    previous_digest VARCHAR(64) NOT NULL, -- empty for the first
    seal         BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- The digests of manifests that were written anew. The first ones stay in `export`.
CREATE TABLE erased_export (
    export          BIGINT NOT NULL PRIMARY KEY,
    manifest_digest VARCHAR(64) NOT NULL,
    seal            BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Raw rows that went, so that what a batch stored still adds up.
CREATE TABLE erased_rows (
    erasure     BIGINT NOT NULL,
    batch       BIGINT NOT NULL,
    day         VARCHAR(10) NOT NULL, -- UTC
    row_count   BIGINT NOT NULL,
    duration_ms VARCHAR(64) NOT NULL, -- sum, a decimal integer of any size
    seal        BIGINT NOT NULL,
    PRIMARY KEY (erasure, batch, day)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX erased_rows_batch ON erased_rows (batch);

-- An erasure that has not come to its end. While files are written anew it has the number and its pseudonym; the last step removes both.
CREATE TABLE erasure_in_progress (
    slot     BIGINT NOT NULL PRIMARY KEY, -- 1: there is one at a time
    state    VARCHAR(16) NOT NULL, -- 'begun', 'renamed', 'compacting'
    request  TEXT NOT NULL,
    begun_at VARCHAR(40) NOT NULL,
    erasure  BIGINT, -- from 'renamed' on
    names    LONGTEXT, -- JSON: the numbers and their pseudonyms; none in 'compacting'
    seal     BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Erased accounts. What stays of an account (statements, totals, usage) stands under a random number, its pseudonym. Nothing here leads from
-- a true number to a pseudonym.

-- Erasures: the certificate names the request, and never the account.
CREATE TABLE erasure (
    erasure     BIGINT NOT NULL PRIMARY KEY,
    audit_entry BIGINT NOT NULL,
    erased_at   TEXT COLLATE "C" NOT NULL,
    request     TEXT COLLATE "C" NOT NULL, -- what the person named who asked for it, such as the number of a letter
    certificate TEXT COLLATE "C" NOT NULL, -- JSON
    digest      TEXT COLLATE "C" NOT NULL, -- SHA-256 of the certificate
    seal        BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('erasure', 0);

-- Accounts that stand under a pseudonym.
CREATE TABLE erased_account (
    uin     TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- the pseudonym
    erasure BIGINT NOT NULL,
    seal    BIGINT NOT NULL
);

-- By which a record of an erased account is known: Argon2id of its number, with the salt in the fact 'tombstone_salt'. In no order.
CREATE TABLE tombstone (
    hash TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- 64 hexadecimal digits
    seal BIGINT NOT NULL
);

-- The digests of statements under a pseudonym: of their documents as they are now, chained as the first ones are. The first ones stay in
-- `statement`.
CREATE TABLE erased_statement (
    month        TEXT COLLATE "C" NOT NULL,
    uin          TEXT COLLATE "C" NOT NULL, -- the pseudonym
    period_start TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C", -- none where the lines had gone before
    previous_digest TEXT COLLATE "C" NOT NULL, -- empty for the first
    seal         BIGINT NOT NULL,
    PRIMARY KEY (month, uin, period_start)
);

-- The digests of manifests that were written anew. The first ones stay in `export`.
CREATE TABLE erased_export (
    export          BIGINT NOT NULL PRIMARY KEY,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    seal            BIGINT NOT NULL
);

-- Raw rows that went, so that what a batch stored still adds up.
CREATE TABLE erased_rows (
    erasure     BIGINT NOT NULL,
    batch       BIGINT NOT NULL,
    day         TEXT COLLATE "C" NOT NULL, -- UTC
    row_count   BIGINT NOT NULL,
    duration_ms TEXT COLLATE "C" NOT NULL, -- sum, a decimal integer of any size
    seal        BIGINT NOT NULL,
    PRIMARY KEY (erasure, batch, day)
);
CREATE INDEX erased_rows_batch ON erased_rows (batch);

-- An erasure that has not come to its end. While files are written anew it has the number and its pseudonym; the last step removes both.
CREATE TABLE erasure_in_progress (
    slot     BIGINT NOT NULL PRIMARY KEY, -- 1: there is one at a time
    state    TEXT COLLATE "C" NOT NULL, -- 'begun', 'renamed', 'compacting'
    request  TEXT COLLATE "C" NOT NULL,
    begun_at TEXT COLLATE "C" NOT NULL,
    erasure  BIGINT, -- from 'renamed' on
    names    TEXT COLLATE "C", -- JSON: the numbers and their pseudonyms; none in 'compacting'
    seal     BIGINT NOT NULL
);

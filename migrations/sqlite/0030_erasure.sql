-- Erased accounts. What stays of an account (statements, totals, usage) stands under a random number, its pseudonym. Nothing here leads from
-- a true number to a pseudonym.

-- Erasures: the certificate names the request, and never the account.
CREATE TABLE erasure (
    erasure     INTEGER NOT NULL PRIMARY KEY,
    audit_entry INTEGER NOT NULL,
    erased_at   TEXT NOT NULL,
    request     TEXT NOT NULL, -- what the person named who asked for it, such as the number of a letter
    certificate TEXT NOT NULL, -- JSON
    digest      TEXT NOT NULL, -- SHA-256 of the certificate
    seal        INTEGER NOT NULL
);
INSERT INTO counter (name, value) VALUES ('erasure', 0);

-- Accounts that stand under a pseudonym.
CREATE TABLE erased_account (
    uin     TEXT NOT NULL PRIMARY KEY, -- the pseudonym
    erasure INTEGER NOT NULL,
    seal    INTEGER NOT NULL
);

-- By which a record of an erased account is known: Argon2id of its number, with the salt in the fact 'tombstone_salt'. In no order.
CREATE TABLE tombstone (
    hash TEXT NOT NULL PRIMARY KEY, -- 64 hexadecimal digits
    seal INTEGER NOT NULL
);

-- The digests of statements under a pseudonym: of their documents as they are now, chained as the first ones are. The first ones stay in
-- `statement`.
CREATE TABLE erased_statement (
    month        TEXT NOT NULL,
    uin          TEXT NOT NULL, -- the pseudonym
    period_start TEXT NOT NULL,
    digest       TEXT, -- none where the lines had gone before
    previous_digest TEXT NOT NULL, -- empty for the first
    seal         INTEGER NOT NULL,
    PRIMARY KEY (month, uin, period_start)
);

-- The digests of manifests that were written anew. The first ones stay in `export`.
CREATE TABLE erased_export (
    export          INTEGER NOT NULL PRIMARY KEY,
    manifest_digest TEXT NOT NULL,
    seal            INTEGER NOT NULL
);

-- Raw rows that went, so that what a batch stored still adds up.
CREATE TABLE erased_rows (
    erasure     INTEGER NOT NULL,
    batch       INTEGER NOT NULL,
    day         TEXT NOT NULL, -- UTC
    row_count   INTEGER NOT NULL,
    duration_ms TEXT NOT NULL, -- sum, a decimal integer of any size
    seal        INTEGER NOT NULL,
    PRIMARY KEY (erasure, batch, day)
);
CREATE INDEX erased_rows_batch ON erased_rows (batch);

-- An erasure that has not come to its end. While files are written anew it has the number and its pseudonym; the last step removes both.
CREATE TABLE erasure_in_progress (
    slot     INTEGER NOT NULL PRIMARY KEY, -- 1: there is one at a time
    state    TEXT NOT NULL, -- 'begun', 'renamed', 'compacting'
    request  TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    erasure  INTEGER, -- from 'renamed' on
    names    TEXT, -- JSON: the numbers and their pseudonyms; none in 'compacting'
    seal     INTEGER NOT NULL
);

-- What came in: one row per batch, one row per refused line.

-- A batch is one input, or one retry of quarantined lines. Same bytes, source and format are the same input.
CREATE TABLE batch (
    batch       INTEGER NOT NULL PRIMARY KEY,
    intake      INTEGER NOT NULL UNIQUE,
    kind        TEXT NOT NULL,    -- 'input' or 'retry'
    name        TEXT NOT NULL,    -- the input's name, for people
    source      TEXT NOT NULL,    -- the default source of its lines
    format      TEXT NOT NULL,
    header      TEXT,             -- of a CSV: its first row, to read a quarantined one by
    bytes       INTEGER NOT NULL,
    digest      TEXT NOT NULL,    -- BLAKE3 of the input's bytes; of a retry, its intake number
    received    INTEGER NOT NULL, -- lines with something on them; 0 for a retry, whose lines were received before
    stored_rows INTEGER NOT NULL, -- rows in raw
    quarantined INTEGER NOT NULL, -- negative for a retry: lines that left quarantine
    committed_at TEXT NOT NULL,
    seal        INTEGER NOT NULL,
    UNIQUE (digest, source, format)
);

-- A refused line. The payload goes a month after receipt; reason and digest stay.
CREATE TABLE quarantine (
    quarantine  INTEGER NOT NULL PRIMARY KEY,
    batch       INTEGER NOT NULL REFERENCES batch (batch),
    line        INTEGER NOT NULL,
    code        TEXT NOT NULL,
    sentence    TEXT NOT NULL,
    payload     BLOB,             -- the original bytes
    payload_bytes INTEGER NOT NULL,
    payload_digest TEXT NOT NULL, -- SHA-256
    received_at TEXT NOT NULL,
    accepted_by INTEGER,          -- the retry batch that took it
    seal        INTEGER NOT NULL  -- without the payload, which has its digest
);
CREATE INDEX quarantine_open ON quarantine (batch) WHERE accepted_by IS NULL;
CREATE INDEX quarantine_received ON quarantine (received_at) WHERE payload IS NOT NULL;

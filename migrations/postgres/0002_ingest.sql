-- What came in: one row per batch, one row per refused line.

-- A batch is one input, or one retry of quarantined lines. Same bytes, source and format are the same input.
CREATE TABLE batch (
    batch       BIGINT NOT NULL PRIMARY KEY,
    intake      BIGINT NOT NULL UNIQUE,
    kind        TEXT COLLATE "C" NOT NULL,    -- 'input' or 'retry'
    name        TEXT COLLATE "C" NOT NULL,    -- the input's name, for people
    source      TEXT COLLATE "C" NOT NULL,    -- the default source of its lines
    format      TEXT COLLATE "C" NOT NULL,
    header      TEXT COLLATE "C",             -- of a CSV: its first row, to read a quarantined one by
    bytes       BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,    -- BLAKE3 of the input's bytes; of a retry, its intake number
    received    BIGINT NOT NULL, -- lines with something on them; 0 for a retry, whose lines were received before
    stored_rows BIGINT NOT NULL, -- rows in raw
    quarantined BIGINT NOT NULL, -- negative for a retry: lines that left quarantine
    committed_at TEXT COLLATE "C" NOT NULL,
    seal        BIGINT NOT NULL,
    UNIQUE (digest, source, format)
);

-- A refused line. The payload goes a month after receipt; reason and digest stay.
CREATE TABLE quarantine (
    quarantine  BIGINT NOT NULL PRIMARY KEY,
    batch       BIGINT NOT NULL REFERENCES batch (batch),
    line        BIGINT NOT NULL,
    code        TEXT COLLATE "C" NOT NULL,
    sentence    TEXT COLLATE "C" NOT NULL,
    payload     BYTEA,             -- the original bytes
    payload_bytes BIGINT NOT NULL,
    payload_digest TEXT COLLATE "C" NOT NULL, -- SHA-256
    received_at TEXT COLLATE "C" NOT NULL,
    accepted_by BIGINT,          -- the retry batch that took it
    seal        BIGINT NOT NULL  -- without the payload, which has its digest
);
CREATE INDEX quarantine_open ON quarantine (batch) WHERE accepted_by IS NULL;
CREATE INDEX quarantine_received ON quarantine (received_at) WHERE payload IS NOT NULL;

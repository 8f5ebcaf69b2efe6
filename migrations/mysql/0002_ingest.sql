-- What came in: one row per batch, one row per refused line.

-- A batch is one input, or one retry of quarantined lines. Same bytes, source and format are the same input.
CREATE TABLE batch (
    batch       BIGINT NOT NULL PRIMARY KEY,
    intake      BIGINT NOT NULL UNIQUE,
    kind        VARCHAR(32) NOT NULL,    -- 'input' or 'retry'
    name        TEXT NOT NULL,    -- the input's name, for people
    source      VARCHAR(128) NOT NULL,    -- the default source of its lines
    format      VARCHAR(32) NOT NULL,
    header      LONGTEXT,             -- of a CSV: its first row, to read a quarantined one by
    bytes       BIGINT NOT NULL,
    digest      VARCHAR(64) NOT NULL,    -- BLAKE3 of the input's bytes; of a retry, its intake number
    received    BIGINT NOT NULL, -- lines with something on them; 0 for a retry, whose lines were received before
    stored_rows BIGINT NOT NULL, -- rows in raw
    quarantined BIGINT NOT NULL, -- negative for a retry: lines that left quarantine
    committed_at VARCHAR(40) NOT NULL,
    seal        BIGINT NOT NULL,
    UNIQUE (digest, source, format)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- A refused line. The payload goes a month after receipt; reason and digest stay.
CREATE TABLE quarantine (
    quarantine  BIGINT NOT NULL PRIMARY KEY,
    batch       BIGINT NOT NULL,
    line        BIGINT NOT NULL,
    code        VARCHAR(64) NOT NULL,
    sentence    TEXT NOT NULL,
    payload     LONGBLOB,             -- the original bytes
    payload_bytes BIGINT NOT NULL,
    payload_digest VARCHAR(64) NOT NULL, -- SHA-256
    received_at VARCHAR(40) NOT NULL,
    accepted_by BIGINT,          -- the retry batch that took it
    seal        BIGINT NOT NULL,  -- without the payload, which has its digest
    FOREIGN KEY (batch) REFERENCES batch (batch)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX quarantine_open ON quarantine (batch);
CREATE INDEX quarantine_received ON quarantine (received_at);

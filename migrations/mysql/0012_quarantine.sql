-- Who reads what is refused: decisions on quarantined lines, and inputs that need a person.

-- The audit entry that set a line aside. It still counts as quarantined, and is neither listed nor tried again.
ALTER TABLE quarantine ADD COLUMN dismissed_by BIGINT;
-- Of a line that was taken in another form than it came: the audit entry, and the SHA-256 of the bytes that were taken.
ALTER TABLE quarantine ADD COLUMN corrected_by BIGINT;
ALTER TABLE quarantine ADD COLUMN corrected_digest VARCHAR(64);

-- Of a retry: the batch that received its lines, in which they take their status. None for an input, and for retries made before.
ALTER TABLE batch ADD COLUMN received_by BIGINT;

-- An input of which no record, or too few, could be taken. It is open until a person dismisses it, or until a retry or a correction has
-- taken its lines.
CREATE TABLE alarm (
    alarm       BIGINT NOT NULL PRIMARY KEY,
    batch       BIGINT NOT NULL UNIQUE,
    code        VARCHAR(32) NOT NULL,    -- 'no_record' or 'many_refused'
    raised_at   VARCHAR(40) NOT NULL,
    state       VARCHAR(32) NOT NULL,    -- 'open', 'dismissed' or 'taken'
    ended_at    VARCHAR(40),
    ended_by    BIGINT,          -- the audit entry of a dismissal
    seal        BIGINT NOT NULL,
    FOREIGN KEY (batch) REFERENCES batch (batch)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX alarm_state ON alarm (state);
INSERT INTO counter (name, value) VALUES ('alarm', 0);

CREATE OR REPLACE VIEW dash_quarantine AS
SELECT code, COUNT(*) AS line_count, CAST(REPLACE(LEFT(MIN(received_at), 19), 'T', ' ') AS DATETIME) AS first_received_at,
       CAST(REPLACE(LEFT(MAX(received_at), 19), 'T', ' ') AS DATETIME) AS last_received_at
FROM quarantine WHERE accepted_by IS NULL AND dismissed_by IS NULL GROUP BY code;

-- Inputs that needed a person; those that still do have the state `open`.
CREATE VIEW dash_alarms AS
SELECT a.alarm, a.batch, b.name AS input, b.source, a.code, b.received, b.quarantined AS refused,
       CAST(REPLACE(LEFT(a.raised_at, 19), 'T', ' ') AS DATETIME) AS raised_at, a.state,
       CAST(REPLACE(LEFT(a.ended_at, 19), 'T', ' ') AS DATETIME) AS ended_at
FROM alarm a JOIN batch b ON b.batch = a.batch;

-- Who reads what is refused: decisions on quarantined lines, and inputs that need a person.

-- The audit entry that set a line aside. It still counts as quarantined, and is neither listed nor tried again.
ALTER TABLE quarantine ADD COLUMN dismissed_by BIGINT;
-- Of a line that was taken in another form than it came: the audit entry, and the SHA-256 of the bytes that were taken.
ALTER TABLE quarantine ADD COLUMN corrected_by BIGINT;
ALTER TABLE quarantine ADD COLUMN corrected_digest TEXT COLLATE "C";

-- Of a retry: the batch that received its lines, in which they take their status. None for an input, and for retries made before.
ALTER TABLE batch ADD COLUMN received_by BIGINT;

-- An input of which no record, or too few, could be taken. It is open until a person dismisses it, or until a retry or a correction has
-- taken its lines.
CREATE TABLE alarm (
    alarm       BIGINT NOT NULL PRIMARY KEY,
    batch       BIGINT NOT NULL UNIQUE REFERENCES batch (batch),
    code        TEXT COLLATE "C" NOT NULL,    -- 'no_record' or 'many_refused'
    raised_at   TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,    -- 'open', 'dismissed' or 'taken'
    ended_at    TEXT COLLATE "C",
    ended_by    BIGINT,          -- the audit entry of a dismissal
    seal        BIGINT NOT NULL
);
CREATE INDEX alarm_state ON alarm (state);
INSERT INTO counter (name, value) VALUES ('alarm', 0);

CREATE OR REPLACE VIEW dash_quarantine AS
SELECT code, COUNT(*) AS line_count, CAST(MIN(received_at) AS TIMESTAMPTZ) AS first_received_at,
       CAST(MAX(received_at) AS TIMESTAMPTZ) AS last_received_at
FROM quarantine WHERE accepted_by IS NULL AND dismissed_by IS NULL GROUP BY code;

-- Inputs that needed a person; those that still do have the state `open`.
CREATE VIEW dash_alarms AS
SELECT a.alarm, a.batch, b.name AS input, b.source, a.code, b.received, b.quarantined AS refused,
       CAST(a.raised_at AS TIMESTAMPTZ) AS raised_at, a.state, CAST(a.ended_at AS TIMESTAMPTZ) AS ended_at
FROM alarm a JOIN batch b ON b.batch = a.batch;

-- What was deleted, when, by whom and why: by a clock, or by hand. Never expires.
CREATE TABLE deletion (
    deletion    BIGINT NOT NULL PRIMARY KEY,
    class       TEXT COLLATE "C" NOT NULL,   -- 'raw', 'log', 'queue', 'originals', 'quarantine', 'usage' or 'statements'
    subject     TEXT COLLATE "C" NOT NULL,  -- the UTC day or the month, or what came before a time
    row_count   BIGINT NOT NULL,        -- records, payloads, lines or files
    deleted_at  TEXT COLLATE "C" NOT NULL,
    who         TEXT COLLATE "C" NOT NULL,
    why         TEXT COLLATE "C" NOT NULL,   -- 'clock', 'raw', 'source_disabled', 'account_ended' or 'by_hand'
    audit_entry BIGINT,                 -- of what was done by hand
    seal        BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('deletion', 0);

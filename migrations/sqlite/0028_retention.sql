-- What was deleted, when, by whom and why: by a clock, or by hand. Never expires.
CREATE TABLE deletion (
    deletion    INTEGER NOT NULL PRIMARY KEY,
    class       TEXT NOT NULL,   -- 'raw', 'log', 'queue', 'originals', 'quarantine', 'usage' or 'statements'
    subject     TEXT NOT NULL,  -- the UTC day or the month, or what came before a time
    row_count   INTEGER NOT NULL,        -- records, payloads, lines or files
    deleted_at  TEXT NOT NULL,
    who         TEXT NOT NULL,
    why         TEXT NOT NULL,   -- 'clock', 'raw', 'source_disabled', 'account_ended' or 'by_hand'
    audit_entry INTEGER,                 -- of what was done by hand
    seal        INTEGER NOT NULL
);
INSERT INTO counter (name, value) VALUES ('deletion', 0);

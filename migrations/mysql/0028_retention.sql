-- What was deleted, when, by whom and why: by a clock, or by hand. Never expires.
CREATE TABLE deletion (
    deletion    BIGINT NOT NULL PRIMARY KEY,
    class       VARCHAR(32) NOT NULL,   -- 'raw', 'log', 'queue', 'originals', 'quarantine', 'usage' or 'statements'
    subject     VARCHAR(128) NOT NULL,  -- the UTC day or the month, or what came before a time
    row_count   BIGINT NOT NULL,        -- records, payloads, lines or files
    deleted_at  VARCHAR(40) NOT NULL,
    who         TEXT NOT NULL,
    why         VARCHAR(64) NOT NULL,   -- 'clock', 'raw', 'source_disabled', 'account_ended' or 'by_hand'
    audit_entry BIGINT,                 -- of what was done by hand
    seal        BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
INSERT INTO counter (name, value) VALUES ('deletion', 0);

-- Exports are recorded here first; the files follow and can be made again to the byte.
CREATE TABLE export (
    export     BIGINT NOT NULL PRIMARY KEY,
    folder     TEXT COLLATE "C" NOT NULL UNIQUE, -- below exports/
    created_at TEXT COLLATE "C" NOT NULL,
    manifest   TEXT COLLATE "C" NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    previous_digest TEXT COLLATE "C" NOT NULL,
    written    BIGINT NOT NULL,     -- 1 once its folder was moved into place
    seal       BIGINT NOT NULL
);
-- The key says it: a statement is in exactly one export.
CREATE TABLE exported_statement (
    statement_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES statement (statement_id),
    export       BIGINT NOT NULL REFERENCES export (export),
    seal         BIGINT NOT NULL
);
CREATE INDEX exported_statement_export ON exported_statement (export);

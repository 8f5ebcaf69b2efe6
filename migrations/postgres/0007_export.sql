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

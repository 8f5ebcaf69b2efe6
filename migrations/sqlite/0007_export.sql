-- Exports are recorded here first; the files follow and can be made again to the byte.
CREATE TABLE export (
    export     INTEGER NOT NULL PRIMARY KEY,
    folder     TEXT NOT NULL UNIQUE, -- below exports/
    created_at TEXT NOT NULL,
    manifest   TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    previous_digest TEXT NOT NULL,
    written    INTEGER NOT NULL,     -- 1 once its folder was moved into place
    seal       INTEGER NOT NULL
);

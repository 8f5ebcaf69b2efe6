-- Exports are recorded here first; the files follow and can be made again to the byte.
CREATE TABLE export (
    export     BIGINT NOT NULL PRIMARY KEY,
    folder     VARCHAR(255) NOT NULL UNIQUE, -- below exports/
    created_at VARCHAR(40) NOT NULL,
    manifest   LONGTEXT NOT NULL,
    manifest_digest VARCHAR(64) NOT NULL,
    previous_digest VARCHAR(64) NOT NULL,
    written    BIGINT NOT NULL,     -- 1 once its folder was moved into place
    seal       BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

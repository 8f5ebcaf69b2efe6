-- Sources: their definitions, what they hand over, and events.

-- Versions of definitions, none of which is ever altered. A definition holds no secret: it says where one is.
CREATE TABLE source_version (
    source      VARCHAR(128) NOT NULL,
    version     BIGINT NOT NULL,    -- from 1
    body        MEDIUMTEXT NOT NULL,       -- the definition as JSON, keys sorted
    digest      VARCHAR(64) NOT NULL,       -- SHA-256 of the body
    origin      VARCHAR(512) NOT NULL,       -- the file, or 'settings'
    imported_at VARCHAR(40) NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (source, version)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- What a transcoding template of the service makes, added by a person. Never altered: usage may have been billed by it.
CREATE TABLE source_template (
    source      VARCHAR(128) NOT NULL,
    definition  BIGINT NOT NULL,    -- the service's number of the template
    body        MEDIUMTEXT NOT NULL,       -- its type and streams, as JSON
    added_at    VARCHAR(40) NOT NULL,
    audit_entry BIGINT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (source, definition)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Sources that a person disabled, or enabled again.
CREATE TABLE source_state (
    source      VARCHAR(128) NOT NULL PRIMARY KEY,
    disabled_at VARCHAR(40),                -- none: enabled
    audit_entry BIGINT NOT NULL,
    seal        BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Events of a batch that gave no record, by reason: 'live', 'not_finished', 'no_results'. They are counted apart from records.
CREATE TABLE skipped_event (
    batch       BIGINT NOT NULL,
    reason      VARCHAR(64) NOT NULL,
    events      BIGINT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (batch, reason),
    FOREIGN KEY (batch) REFERENCES batch (batch)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Originals that are kept without the secrets that they came with: the digest of what is kept. The batch has that of what came.
CREATE TABLE blanked_original (
    digest      VARCHAR(64) NOT NULL,   -- BLAKE3 of what is kept
    came_digest VARCHAR(64) NOT NULL,
    blanked_at  VARCHAR(40) NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (digest, came_digest)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- How far each source that is pulled has been read. Written in the transaction of the batch that it belongs to.
CREATE TABLE source_position (
    source      VARCHAR(128) NOT NULL PRIMARY KEY,
    kind        VARCHAR(64) NOT NULL,
    place       VARCHAR(64) NOT NULL,       -- SHA-256 of where it is and where it starts; another place or start starts anew
    position    MEDIUMTEXT,                 -- in the source's own words; none: a queue keeps it
    newest      VARCHAR(40),                -- the newest time that the source itself has for what was read
    batch       BIGINT,             -- the last one
    parts       BIGINT NOT NULL,    -- committed so far
    records     BIGINT NOT NULL,    -- received so far
    committed_at VARCHAR(40) NOT NULL,
    seal        BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- The last pull of each source, and what went wrong in it.
CREATE TABLE source_pull (
    source      VARCHAR(128) NOT NULL PRIMARY KEY,
    pulled_at   VARCHAR(40) NOT NULL,
    state       VARCHAR(64) NOT NULL,       -- 'done', 'unavailable', 'needs_person', 'failed'
    done_at     VARCHAR(40),                -- when a pull ended as 'done' last
    failures    BIGINT NOT NULL,    -- pulls in a row that did not end as 'done'
    message     MEDIUMTEXT,                 -- why, or what a person should know
    seal        BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Sources that are pulled: how far each has been read, and how its last pull ended.
CREATE VIEW dash_sources AS
SELECT l.source, p.kind, p.position, CAST(REPLACE(LEFT(p.newest, 19), 'T', ' ') AS DATETIME) AS newest, p.batch, COALESCE(p.parts, 0) AS parts, COALESCE(p.records, 0) AS records,
       CAST(REPLACE(LEFT(p.committed_at, 19), 'T', ' ') AS DATETIME) AS committed_at, CAST(REPLACE(LEFT(l.pulled_at, 19), 'T', ' ') AS DATETIME) AS pulled_at, CAST(REPLACE(LEFT(l.done_at, 19), 'T', ' ') AS DATETIME) AS done_at, l.state, l.failures, l.message,
       CAST(REPLACE(LEFT(d.disabled_at, 19), 'T', ' ') AS DATETIME) AS disabled_at
FROM source_pull l LEFT JOIN source_position p ON p.source = l.source LEFT JOIN source_state d ON d.source = l.source;

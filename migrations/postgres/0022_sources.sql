-- Sources: their definitions, what they hand over, and events.

-- Versions of definitions, none of which is ever altered. A definition holds no secret: it says where one is.
CREATE TABLE source_version (
    source      TEXT NOT NULL,
    version     BIGINT NOT NULL,    -- from 1
    body        TEXT NOT NULL,       -- the definition as JSON, keys sorted
    digest      TEXT NOT NULL,       -- SHA-256 of the body
    origin      TEXT NOT NULL,       -- the file, or 'settings'
    imported_at TEXT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (source, version)
);

-- What a transcoding template of the service makes, added by a person. Never altered: usage may have been billed by it.
CREATE TABLE source_template (
    source      TEXT NOT NULL,
    definition  BIGINT NOT NULL,    -- the service's number of the template
    body        TEXT NOT NULL,       -- its type and streams, as JSON
    added_at    TEXT NOT NULL,
    audit_entry BIGINT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (source, definition)
);

-- Sources that a person disabled, or enabled again.
CREATE TABLE source_state (
    source      TEXT NOT NULL PRIMARY KEY,
    disabled_at TEXT,                -- none: enabled
    audit_entry BIGINT NOT NULL,
    seal        BIGINT NOT NULL
);

-- Events of a batch that gave no record, by reason: 'live', 'not_finished', 'no_results'. They are counted apart from records.
CREATE TABLE skipped_event (
    batch       BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    events      BIGINT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (batch, reason),
    FOREIGN KEY (batch) REFERENCES batch (batch)
);

-- Originals that are kept without the secrets that they came with: the digest of what is kept. The batch has that of what came.
CREATE TABLE blanked_original (
    digest      TEXT NOT NULL,   -- BLAKE3 of what is kept
    came_digest TEXT NOT NULL,
    blanked_at  TEXT NOT NULL,
    seal        BIGINT NOT NULL,
    PRIMARY KEY (digest, came_digest)
);

-- How far each source that is pulled has been read. Written in the transaction of the batch that it belongs to.
CREATE TABLE source_position (
    source      TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    place       TEXT NOT NULL,       -- SHA-256 of where it is and where it starts; another place or start starts anew
    position    TEXT,                 -- in the source's own words; none: a queue keeps it
    newest      TEXT,                -- the newest time that the source itself has for what was read
    batch       BIGINT,             -- the last one
    parts       BIGINT NOT NULL,    -- committed so far
    records     BIGINT NOT NULL,    -- received so far
    committed_at TEXT NOT NULL,
    seal        BIGINT NOT NULL
);

-- The last pull of each source, and what went wrong in it.
CREATE TABLE source_pull (
    source      TEXT NOT NULL PRIMARY KEY,
    pulled_at   TEXT NOT NULL,
    state       TEXT NOT NULL,       -- 'done', 'unavailable', 'needs_person', 'failed'
    done_at     TEXT,                -- when a pull ended as 'done' last
    failures    BIGINT NOT NULL,    -- pulls in a row that did not end as 'done'
    message     TEXT,                 -- why, or what a person should know
    seal        BIGINT NOT NULL
);

-- Sources that are pulled: how far each has been read, and how its last pull ended.
CREATE VIEW dash_sources AS
SELECT l.source, p.kind, p.position, CAST(p.newest AS TIMESTAMPTZ) AS newest, p.batch, COALESCE(p.parts, 0) AS parts, COALESCE(p.records, 0) AS records,
       CAST(p.committed_at AS TIMESTAMPTZ) AS committed_at, CAST(l.pulled_at AS TIMESTAMPTZ) AS pulled_at, CAST(l.done_at AS TIMESTAMPTZ) AS done_at, l.state, l.failures, l.message,
       CAST(d.disabled_at AS TIMESTAMPTZ) AS disabled_at
FROM source_pull l LEFT JOIN source_position p ON p.source = l.source LEFT JOIN source_state d ON d.source = l.source;

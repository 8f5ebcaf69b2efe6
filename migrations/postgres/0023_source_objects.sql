-- Objects of buckets, and files of folders, that were read: what a source brought already, whatever the order of its keys.

-- An object in one of the states in which it was read. A key that comes with another ETag or size has changed, and is read again.
CREATE TABLE source_object (
    source      TEXT COLLATE "C" NOT NULL,
    key_digest  TEXT COLLATE "C" NOT NULL,   -- SHA-256 of the key: keys are longer than an index takes
    etag        TEXT COLLATE "C" NOT NULL,   -- as the store names the state; of a file, the time of its last change in nanoseconds since 1970
    bytes       BIGINT NOT NULL,
    object_key  TEXT COLLATE "C" NOT NULL,
    modified_at TEXT COLLATE "C" NOT NULL,   -- as the store has it
    batch       BIGINT NOT NULL,   -- the batch that has what was in it
    seal        BIGINT NOT NULL,
    PRIMARY KEY (source, key_digest, etag, bytes)
);

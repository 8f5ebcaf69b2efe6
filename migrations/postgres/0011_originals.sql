-- Files of the drop folder after they were read, and what became of those that changed.

-- A file in done/ or refused/ as it was when it was put there: a later change is seen by its size and time.
CREATE TABLE original (
    place       TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- below the drop folder, such as 'done/0123456789abcdef-usage.csv'
    bytes       BIGINT NOT NULL,
    modified_ns BIGINT NOT NULL,          -- nanoseconds since 1970
    seal        BIGINT NOT NULL
);

-- A batch of bytes that were read before, in an earlier state of the same input.
CREATE TABLE reread (
    batch       BIGINT NOT NULL,
    first_batch BIGINT NOT NULL, -- of the earlier state
    in_place    BIGINT NOT NULL, -- 1: the original itself changed in done/; 0: the input came again, and longer
    same_bytes  BIGINT NOT NULL, -- the earlier state's length where the new one begins with it, else 0
    cut_line    BIGINT,          -- the line within which the earlier state ended; the whole line takes its place
    gone        BIGINT NOT NULL, -- records of the earlier state that the new one has no more
    seal        BIGINT NOT NULL,
    PRIMARY KEY (batch, first_batch)
);
CREATE INDEX batch_name ON batch (name);

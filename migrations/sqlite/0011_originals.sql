-- Files of the drop folder after they were read, and what became of those that changed.

-- A file in done/ or refused/ as it was when it was put there: a later change is seen by its size and time.
CREATE TABLE original (
    place       TEXT NOT NULL PRIMARY KEY, -- below the drop folder, such as 'done/0123456789abcdef-usage.csv'
    bytes       INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,          -- nanoseconds since 1970
    seal        INTEGER NOT NULL
);

-- A batch of bytes that were read before, in an earlier state of the same input.
CREATE TABLE reread (
    batch       INTEGER NOT NULL,
    first_batch INTEGER NOT NULL, -- of the earlier state
    in_place    INTEGER NOT NULL, -- 1: the original itself changed in done/; 0: the input came again, and longer
    same_bytes  INTEGER NOT NULL, -- the earlier state's length where the new one begins with it, else 0
    cut_line    INTEGER,          -- the line within which the earlier state ended; the whole line takes its place
    gone        INTEGER NOT NULL, -- records of the earlier state that the new one has no more
    seal        INTEGER NOT NULL,
    PRIMARY KEY (batch, first_batch)
);
CREATE INDEX batch_name ON batch (name);

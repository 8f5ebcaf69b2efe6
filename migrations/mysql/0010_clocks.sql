-- Clocks: what the books know of the machine's, where they begin, and which nights came to an end.

-- What the books know of themselves, by name: 'newest_machine_clock' (the newest one that was accepted), 'last_run_clock' (the run's
-- clock of the last command that wrote), 'first_day' (usage before it is refused). Instants and dates as everywhere.
CREATE TABLE fact (
    name  VARCHAR(128) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    seal  BIGINT NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- Nights that began and have not ended: one whose lease is over was killed, and the next night puts it among the runs. The lease's token
-- is its name. It has no seal, as the lease has none.
CREATE TABLE begun_run (
    token      BIGINT NOT NULL PRIMARY KEY,
    command    VARCHAR(128) NOT NULL,
    as_of      VARCHAR(40) NOT NULL,
    machine_at VARCHAR(40) NOT NULL
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;

-- The machine's clock beside the run's. The other three are there for nights that came to their end: when that was, by the run's clock, and
-- the last batch metered and the last closing by then. A raw day goes 12 hours after a night that found it metered and closed.
ALTER TABLE run ADD COLUMN machine_at VARCHAR(40);
ALTER TABLE run ADD COLUMN ended_at VARCHAR(40);
ALTER TABLE run ADD COLUMN batch_hi BIGINT;
ALTER TABLE run ADD COLUMN closing_hi BIGINT;

-- What a closing closed without a line, asked for each raw day that is due.
CREATE INDEX empty_period_closing ON empty_period (closing);

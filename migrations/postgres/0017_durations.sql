-- Milliseconds of usage in a batch, so that inputs of more than totals have room for are refused. Batches of before have none, and keep
-- their seals: an absent value is no part of one.
ALTER TABLE batch ADD COLUMN duration_ms BIGINT;

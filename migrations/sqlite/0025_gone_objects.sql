-- Since when an object that was read is gone from its bucket or folder; none: it is there. A month later the row goes.
ALTER TABLE source_object ADD COLUMN gone_at TEXT;

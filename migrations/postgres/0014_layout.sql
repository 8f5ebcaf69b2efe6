-- How the Parquet files are laid out, as columns/without_index.rs says: 1 without a column index. Files of before have no number; their index
-- makes other readers (Spark, DuckDB) skip rows, so nights copy them without it, and `rewrite-files` does at once. Absent values are no part
-- of a seal, so the rows of before keep theirs.
ALTER TABLE segment ADD COLUMN layout BIGINT;
ALTER TABLE usage_file ADD COLUMN layout BIGINT;
ALTER TABLE unmetered_file ADD COLUMN layout BIGINT;

"""Filters each column of Parquet files by values that it has, and counts: files with a wrong index lose rows then, without an error.

Prints a line for each file, and what differs. The reference is a copy that DuckDB made without a filter."""

import sys

import duckdb

VALUES = 25  # of each column


def differences(db, path):
    # The folders' names are no columns.
    file = "read_parquet('" + path.replace("'", "''") + "', hive_partitioning = false)"
    db.execute(f"CREATE OR REPLACE TABLE whole AS SELECT * FROM {file}")

    def count(source, condition):
        return db.execute(f"SELECT count(*) FROM {source} WHERE {condition}").fetchone()[0]

    for name, kind, *_ in db.execute("DESCRIBE whole").fetchall():
        column = '"' + name.replace('"', '""') + '"'
        conditions = [f"{column} IS NULL", f"{column} IS NOT NULL"]
        values = db.execute(
            f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM whole WHERE {column} IS NOT NULL ORDER BY 1 LIMIT {VALUES}"
        ).fetchall()
        for (value,) in values:
            literal = "CAST('" + value.replace("'", "''") + f"' AS {kind})"
            conditions += [f"{column} {operator} {literal}" for operator in ("=", ">=", "<=")]
        for condition in conditions:
            found, expected = count(file, condition), count("whole", condition)
            if found != expected:
                yield f"{condition}: {found} rows, there are {expected}"


db = duckdb.connect()
for path in sys.argv[1:]:
    lost = list(differences(db, path))
    rows, columns = db.execute("SELECT count(*) FROM whole").fetchone()[0], len(db.execute("DESCRIBE whole").fetchall())
    print(f"{rows} rows, {columns} columns, {len(lost)} filters lose rows")
    for line in lost[:3]:
        print(f"  {path}: {line}")

#!/usr/bin/env python3
"""NDJSON, CSV and Parquet in: `ingest` against DuckDB, which reads the same file and keeps it as Parquet, as the script's first step does.

    formats.py [--rows 2000000] [--rounds 5] [--binary PATH] [--rate-cards DIR] [--work DIR]

The same records in each format: CSV and one Parquet file have a column for each parameter, the other Parquet file has a struct of them.
Whole processes, alternating; prints the seconds and peak memory of the last round and the median ratio (DuckDB / tallybook: above 1.0
tallybook is faster). DuckDB's seconds are those of the statement alone, without Python's start.

Needs: pip install polars numpy duckdb
"""
import argparse
import statistics
import sys

import duckdb

import process

AS_OF = "2026-11-01T20:00:00Z"
FIELDS = {"source": "VARCHAR", "id": "VARCHAR", "uin": "UBIGINT", "appid": "UBIGINT", "task_type": "VARCHAR"}
PARAMETERS = {"type": "VARCHAR", "codec": "VARCHAR", "width": "INT", "height": "INT", "fps": "INT", "images": "INT", "region": "VARCHAR"}
OUTCOME = {"duration_ms": "BIGINT", "status": "VARCHAR", "finished_at": "TIMESTAMPTZ"}
STRUCT = ", ".join(f'"{name}" {kind}' for name, kind in PARAMETERS.items())
FLAT = {**FIELDS, **{f"parameters.{name}": kind for name, kind in PARAMETERS.items()}, **OUTCOME}
NESTED = {**FIELDS, "parameters": f"STRUCT({STRUCT})", **OUTCOME}

# Reads one file and keeps it; prints its seconds.
SCRIPT = """
import sys, time, duckdb
start = time.perf_counter()
duckdb.execute("COPY (SELECT * FROM " + sys.argv[1] + ") TO '" + sys.argv[2] + "' (FORMAT parquet, COMPRESSION zstd)")
print(time.perf_counter() - start)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    process.prepare(options)
    lines = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    print(f"{options.rows:,} records\nformat                       tallybook ingest               DuckDB     ratio")
    for name, usage, reader in formats(options, lines):
        ratios = []
        for number in range(options.rounds):
            ours, theirs = one_round(options, usage, reader, number)
            ratios.append(theirs / ours.seconds)
        print(f"{name:24} {ours} {theirs:14.2f} s {statistics.median(ratios):9.3f}", flush=True)


def formats(options, lines):
    ndjson = f"read_json('{lines}', format = 'newline_delimited', columns = {typed(NESTED)})"
    flat = ", ".join([*FIELDS, *(f'parameters."{name}" AS "parameters.{name}"' for name in PARAMETERS), *OUTCOME])
    csv, wide, nested = (options.work / f"usage-{options.rows}{end}" for end in (".csv", "-wide.parquet", "-struct.parquet"))
    made(csv, f"COPY (SELECT {flat} FROM {ndjson}) TO '{csv}' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%gZ')")
    made(wide, f"COPY (SELECT {flat} FROM {ndjson}) TO '{wide}' (FORMAT parquet)")
    made(nested, f"COPY (SELECT * FROM {ndjson}) TO '{nested}' (FORMAT parquet)")
    yield "NDJSON", lines, ndjson
    yield "CSV", csv, f"read_csv('{csv}', header = true, columns = {typed(FLAT)})"
    yield "Parquet, columns", wide, f"read_parquet('{wide}')"
    yield "Parquet, struct", nested, f"read_parquet('{nested}')"


def typed(columns):
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items()) + "}"


def made(path, statement):
    """Makes the file when it is not there."""
    if not path.exists():
        duckdb.execute("SET TimeZone = 'UTC'")
        duckdb.execute(statement)
    process.cached(path)


def one_round(options, usage, reader, number):
    data = process.fresh(options.work / "data")
    kept, log = options.work / "kept.parquet", options.work / "reader.log"
    kept.unlink(missing_ok=True)
    log.unlink(missing_ok=True)

    def ours():
        return process.tallybook(options, data, AS_OF, "ingest", process.cached(usage))

    def theirs():
        process.cached(usage)
        process.run([sys.executable, "-c", SCRIPT, reader, kept], log)

    if number % 2 == 0:
        taken = ours()
        theirs()
    else:
        theirs()
        taken = ours()
    return taken, float(log.read_text(encoding="utf-8").splitlines()[-1])


if __name__ == "__main__":
    main()

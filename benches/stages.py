#!/usr/bin/env python3
"""Where the time of a night goes: each stage of `ingest` and `nightly`, beside the DuckDB script's steps and what the machine could do.

    stages.py [--rows 2000000] [--binary PATH] [--rate-cards DIR] [--work DIR]

Stages that run on all cores at once are given in seconds of one core, summed over the cores; the others in seconds that passed. They are what
the program itself logs with RUST_LOG=tallybook=debug.

Needs: pip install polars numpy duckdb
"""
import argparse
import os
import re
import time

import process

AS_OF = "2026-11-05T00:00:00Z"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    options = parser.parse_args()
    process.prepare(options)
    usage = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    bandwidth = read_speed(usage)
    data = process.fresh(options.work / "data")
    ingest = process.spans(options, lambda: process.tallybook(options, data, AS_OF, "ingest", usage))
    night = process.spans(options, lambda: process.tallybook(options, data, AS_OF, "nightly"))
    lines = sum(count_lines(path) for path in (data / "exports").glob("*/*/statement_lines.csv"))
    peer = peer_steps(options, usage)
    print(f"{options.rows:,} records, {usage.stat().st_size / 1e9:.2f} GB, {lines:,} statement lines, {os.cpu_count()} cores")
    print(f"the file is read from memory at {bandwidth / 1e9:.1f} GB/s: {options.rows * bandwidth / usage.stat().st_size:,.0f} records/s")
    print("stage                                               seconds     records/s")
    for name, seconds, count in table(ingest, night, options.rows, lines):
        print(f"{name:50}  {seconds:7.2f}  {count / max(seconds, 1e-9):12,.0f}")
    print("the script's steps")
    for name, seconds in peer:
        print(f"  {name:48}  {seconds:7.2f}  {options.rows / max(seconds, 1e-9):12,.0f}")


def table(ingest, night, rows, lines):
    busy = lambda spans, name: spans[name][0]
    passed = lambda spans, *names: sum(sum(spans[name]) for name in names)
    yield "read and digest the file (of one core)", busy(ingest, "read"), rows
    yield "parse and check (of one core)", busy(ingest, "check") - busy(ingest, "write"), rows
    yield "write: columns, encoding, file (of one core)", busy(ingest, "write"), rows
    yield "sync", passed(ingest, "sync"), rows
    yield "dedupe: sort, search, key run, compare, decide", passed(night, "read", "run", "read_candidates", "decide"), rows
    yield "measure: SKU, policy, sums", passed(night, "measure"), rows
    yield "book: usage file, dashboards' rows", passed(night, "book", "write_files"), rows
    yield "commit of the metering", passed(night, "commit"), rows
    yield "rate: usage to charges to statements (lines)", passed(night, "rate"), lines
    yield "close: all of that, written beside it, commit", passed(night, "close"), lines
    yield "draft the open periods", passed(night, "draft_open_periods"), rows
    yield "export: rows, files, digests (lines)", passed(night, "export_period"), lines


def peer_steps(options, usage):
    log = options.work / "peer.log"
    log.unlink(missing_ok=True)
    process.peer(options, usage)
    for line in log.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"(\w+)\s+([\d.]+) s", line.strip()):
            yield found[1], float(found[2])


def read_speed(path):
    """Bytes per second, of a file that is cached."""
    start = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(2**20)
        while file.readinto(buffer):
            pass
    return path.stat().st_size / (time.perf_counter() - start)


def count_lines(path):
    with open(path, "rb") as file:
        return sum(1 for _ in file) - 1


if __name__ == "__main__":
    main()

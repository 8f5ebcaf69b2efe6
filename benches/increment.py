#!/usr/bin/env python3
"""What a night costs: a month of usage first, then a second night with a hundredth as many new records.

    increment.py [--rows 2000000] [--share 0.01] [--binary PATH] [--rate-cards DIR] [--work DIR]

Both nights are before the month is due, so nothing closes: the second one ingests and meters what is new. For comparison it
runs the DuckDB script on both files together, which is what a script without increments has to do.

Needs: pip install polars numpy duckdb
"""
import argparse

import process

# The generated month is October 2026 in UTC+8; it is due on 4 November.
NIGHTS = ("2026-11-01T20:00:00Z", "2026-11-02T20:00:00Z")


def main():
    options = arguments()
    added = max(1, int(options.rows * options.share))
    month = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    new = process.generated(options.work / f"usage-{added}-new.ndjson", "--rows", added, "--seed", 2)
    data = process.fresh(options.work / "data")
    first, second = (night(options, data, usage, as_of) for usage, as_of in zip((month, new), NIGHTS))
    print("                 records     ingest             nightly            together")
    show("first night", options.rows, *first)
    show("second night", added, *second)
    ratio = (second[0] + second[1]).seconds / (first[0] + first[1]).seconds
    print(f"the second night took {100 * ratio:.1f} % of the first, with {100 * added / options.rows:.1f} % of its records")
    print(f"the script again on both files: {process.peer(options, month, new)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--share", type=float, default=0.01, help="new records of the second night")
    options = parser.parse_args()
    process.prepare(options)
    return options


def night(options, data, usage, as_of):
    return [
        process.tallybook(options, data, as_of, "ingest", usage),
        process.tallybook(options, data, as_of, "nightly"),
    ]


def show(name, records, ingest, nightly):
    both = ingest + nightly
    print(f"{name:12} {records:11,} {ingest.seconds:8.2f} s {nightly.seconds:17.2f} s        {both}")


if __name__ == "__main__":
    main()

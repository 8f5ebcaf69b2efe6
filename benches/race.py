#!/usr/bin/env python3
"""tallybook against a hand-written DuckDB script: a month of usage NDJSON to priced CSV, as whole processes.

    race.py [--rows 2000000] [--rounds 3] [--binary PATH] [--rate-cards DIR] [--work DIR]

Each round starts from nothing: tallybook with `ingest FILE` and `nightly` at a clock when the month is due, and the script
from NDJSON to its statement.csv. Who goes first alternates. It prints seconds, peak memory and the ratio (script / tallybook:
above 1.0 tallybook is faster) of each round and the median ratio, and compares both results to the last digit.

Needs: pip install polars numpy duckdb
"""
import argparse
import csv
import statistics
import sys
from collections import defaultdict
from decimal import Decimal

import process

# The generated month is October 2026 in UTC+8; it is due on 4 November.
AS_OF = "2026-11-05T00:00:00Z"


def main():
    options = arguments()
    usage = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    print(f"{options.rows:,} records, {usage.stat().st_size / 2**20:,.0f} MiB")
    print("round        tallybook (ingest + nightly)            ingest    nightly          DuckDB script     ratio")
    ratios = []
    for number in range(1, options.rounds + 1):
        ours, theirs = one_round(options, usage, number)
        ratios.append(theirs.seconds / (ours[0] + ours[1]).seconds)
        steps = f"{ours[0].seconds:8.2f} s {ours[1].seconds:8.2f} s"
        print(f"{number:5}  {ours[0] + ours[1]}         {steps}  {theirs}  {ratios[-1]:8.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}")
    sys.exit(0 if agree(options) else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    process.prepare(options)
    return options


def one_round(options, usage, number):
    data = process.fresh(options.work / "data")

    def ours():
        cached = process.cached(usage)
        return [process.tallybook(options, data, AS_OF, "ingest", cached), process.tallybook(options, data, AS_OF, "nightly")]

    def theirs():
        return process.peer(options, process.cached(usage))

    if number % 2 == 1:
        return ours(), theirs()
    there = theirs()
    return ours(), there


def agree(options):
    """Whether both have the same amount for each account, app, region and SKU."""
    sheets = sorted((options.work / "data" / "exports").glob("*/*/statement_lines.csv"))
    ours = amounts(sheets, lambda row: row["kind"] == "usage")
    theirs = amounts([options.work / "peer" / "statement.csv"], lambda row: True)
    differing = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    for key in sorted(differing)[:10]:
        print(f"{' '.join(key)}: tallybook {ours.get(key)}, script {theirs.get(key)}")
    print(f"{len(ours):,} sums of {len(sheets)} exports against {len(theirs):,}: {len(differing)} differ")
    return bool(ours) and not differing


def amounts(paths, is_wanted):
    sums = defaultdict(Decimal)
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            for row in filter(is_wanted, csv.DictReader(file)):
                sums[row["uin"], row["appid"], row["region"], row["sku"]] += Decimal(row["amount"] or "NaN")
    return sums


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a night costs when much is stored already: it should depend on what is new.

    growth.py [--rows 2000000] [--new 60000] [--rounds 5] [--binary PATH] [--rate-cards DIR] [--work DIR]

Stores five months of so many records each, the first three metered and closed in one night, which shows what memory a large night takes. Then it measures
- a night with a day of new records, in the large store and in one without these months, alternating; both get the same nights,
- a night with late records for the 30 days of a month that is closed, a hundredth, a tenth and all of a day's number,
- what it takes to let a day of raw rows expire, and to prove the day that is due the night after.

Needs: pip install polars numpy
"""
import argparse
import datetime as dt
import shutil
import statistics

import process

MONTHS = [dt.date(2026, month, 1) for month in range(5, 10)]
AT_ONCE = 3
# The first days of May are past their six months on the first nights of November.
NEW_DAY = dt.date(2026, 10, 6)
LATE_NIGHTS = dt.datetime(2026, 10, 20, 20)
EXPIRY_NIGHTS = dt.datetime(2026, 11, 2, 20)


def main():
    options = arguments()
    large = process.fresh(options.work / "large")
    print("                                          ingest    nightly     peak memory")
    for number, month in enumerate(MONTHS, 1):
        after = month.replace(month=month.month + 1)
        # Three days after its end a month is due.
        as_of = f"{after + dt.timedelta(days=4)}T00:00:00Z"
        usage = records(options, "month", options.rows, month, (after - month).days, 10 + number)
        ingest = run(options, large, as_of, "ingest", usage)
        # Five such files would take more room than the store.
        usage.unlink()
        show(f"{options.rows:,} of {month:%B}", ingest, run(options, large, as_of, "nightly") if number >= AT_ONCE else None)
    nights_with_a_new_day(options, large)
    nights_with_late_records(options, large)
    nights_with_expiry(options, large)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--new", type=int, default=60_000, help="records of a new day")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    process.prepare(options)
    return options


def nights_with_a_new_day(options, large):
    ratios = []
    small = process.fresh(options.work / "small")
    for number in range(options.rounds):
        day = NEW_DAY + dt.timedelta(days=number)
        usage = records(options, "day", options.new, day, 1, 100 + number)
        as_of = f"{day + dt.timedelta(days=1)}T20:00:00Z"
        stores = [("no months", small), ("five months", large)]
        taken = {}
        for name, data in stores if number % 2 else reversed(stores):
            taken[name] = [run(options, data, as_of, "ingest", usage), run(options, data, as_of, "nightly")]
            show(f"{options.new:,} new, {name} stored", *taken[name])
        ratios.append(seconds(taken["five months"]) / seconds(taken["no months"]))
    shutil.rmtree(small)
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"with five months stored it takes {statistics.median(ratios):.2f} times as long (median of {told})")


def nights_with_late_records(options, large):
    clock = LATE_NIGHTS
    for number, share in enumerate((0.01, 0.1, 1)):
        late = max(1, int(options.new * share))
        usage = records(options, "late", late, MONTHS[-1], 30, 200 + number)
        as_of = f"{clock + dt.timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}"
        show(f"{late:,} late, over 30 closed days", run(options, large, as_of, "ingest", usage), run(options, large, as_of, "nightly"))


def nights_with_expiry(options, large):
    run(options, large, f"{EXPIRY_NIGHTS - dt.timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}", "nightly")
    for number in range(options.rounds):
        as_of = f"{EXPIRY_NIGHTS + dt.timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}"
        night = process.spans(options, lambda: show("a night in which a day expires", None, run(options, large, as_of, "nightly")))
        milliseconds = lambda stage: f"{1000 * sum(night[stage]):.0f} ms"
        print(f"  of it to let the day expire {milliseconds('expire_raw_day')}, to prove the next one {milliseconds('prove_anew')}")
        show("the same night again", None, run(options, large, as_of, "nightly"))


def records(options, kind, rows, start, days, seed):
    name = f"{kind}-{rows}-{start}-{seed}.ndjson"
    return process.generated(options.work / name, "--rows", rows, "--start", start, "--days", days, "--seed", seed)


def run(options, data, as_of, *command):
    return process.tallybook(options, data, as_of, *command)


def seconds(parts):
    return sum(part.seconds for part in parts)


def show(what, ingest, nightly):
    cell = lambda part: f"{part.seconds:8.2f} s" if part else " " * 10
    peak = max(part.peak_mib for part in (ingest, nightly) if part)
    print(f"{what:38} {cell(ingest)} {cell(nightly)} {peak:8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

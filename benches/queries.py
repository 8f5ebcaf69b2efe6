#!/usr/bin/env python3
"""How fast questions about a real store are answered while nights run.

    queries.py [--rows 2000000] [--asked 200] [--nights 4] [--share 0.01] [--binary PATH] [--rate-cards DIR] [--work DIR]

Makes a store of a month whose periods are open, so every account has a draft. Then nights with a hundredth as many new records each, all of
one of the month's last days, run one after the other, and meanwhile each question is asked so many times, for accounts drawn at random: dashboards' queries through the
views in one session, as a dashboard has it, and the program's own commands as whole processes, from their start to their end. Prints the
median, the 99th percentile and the slowest, in milliseconds.

Needs: pip install polars numpy
"""
import argparse
import random
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

import process

# The generated month is October 2026 in UTC+8; it is due on 4 November.
FIRST_NIGHT = "2026-11-01T20:00:00Z"
LATER_NIGHTS = "2026-11-02T{:02}:00:00Z"
ASKED_AT = "2026-11-02T23:00:00Z"
MONTH = "2026-10"
SPAN = ("--from", "2026-10-01", "--to", "2026-11-01")

VIEWS = {
    "an account's month, by day and SKU": "SELECT day, sku, SUM(billable_units) FROM dash_usage_by_sku WHERE uin = '{uin}' AND month = '{month}' GROUP BY day, sku ORDER BY day, sku",
    "an account's month, in full": "SELECT day, appid, region, sku, SUM(records), SUM(raw_units), SUM(billable_units) FROM dash_usage WHERE uin = '{uin}' AND month = '{month}' GROUP BY day, appid, region, sku ORDER BY day, appid, region, sku",
    "an account's draft": "SELECT period_start, state, total FROM dash_charges WHERE uin = '{uin}' ORDER BY period_start",
    "the month's top 20 accounts": "SELECT uin, total, records FROM dash_top_accounts WHERE month = '{month}' AND currency = 'CNY' ORDER BY total_for_charts DESC LIMIT 20",
}
COMMANDS = {
    "tallybook usage UIN": ("usage", "{uin}", *SPAN),
    "tallybook statement UIN (a draft)": ("statement", "{uin}", *SPAN),
    "tallybook status": ("status",),
    "tallybook --help": ("--help",),
}


def main():
    options = arguments()
    month = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    added = max(1, int(options.rows * options.share))
    new = [a_day(options, added, night) for night in range(options.nights)]
    data = process.fresh(options.work / "data")
    night(options, data, month, FIRST_NIGHT)
    before = len(asked(options, data, lambda: False)["tallybook --help"])
    running = threading.Thread(target=nights, args=(options, data, new))
    start = time.perf_counter()
    running.start()
    times = asked(options, data, running.is_alive)
    seconds = time.perf_counter() - start
    running.join()
    count = len(times["tallybook --help"])
    print(f"{options.rows:,} records metered; {options.nights} nights of {added:,} new records took {time.perf_counter() - start:.1f} s")
    print(f"each question {count} times in {seconds:.1f} s while they ran (after {before} times to warm up), in ms\n")
    print(f"{'question':40} {'median':>8} {'p99':>8} {'slowest':>8}")
    for name, taken in times.items():
        taken.sort()
        print(f"{name:40} {statistics.median(taken):8.2f} {taken[(len(taken) * 99 + 99) // 100 - 1]:8.2f} {taken[-1]:8.2f}")


def a_day(options, rows, night):
    day = f"{MONTH}-{31 - night:02}"
    return process.generated(options.work / f"usage-{rows}-{day}.ndjson", "--rows", rows, "--start", day, "--days", 1, "--seed", 2 + night)


def nights(options, data, new):
    for hour, usage in enumerate(new):
        night(options, data, usage, LATER_NIGHTS.format(hour))


def night(options, data, usage, as_of):
    process.tallybook(options, data, as_of, "ingest", usage)
    process.tallybook(options, data, as_of, "nightly")


def asked(options, data, goes_on):
    """Seconds of each question. Asks as often as told, or until it does not go on; at least a few times."""
    session = sqlite3.connect(f"file:{data / 'ledger.sqlite'}?mode=ro", uri=True)
    chance = random.Random(4)
    times = {name: [] for name in (*VIEWS, *COMMANDS)}
    for turn in range(options.asked):
        if turn >= 5 and not goes_on():
            break
        for name, query in VIEWS.items():
            query = query.format(uin=uin(chance, options), month=MONTH)
            times[name].append(timed(lambda: session.execute(query).fetchall()))
        for name, command in COMMANDS.items():
            command = [word.format(uin=uin(chance, options)) for word in command]
            command = [options.binary, "--data-dir", data, "--as-of", ASKED_AT, *command]
            times[name].append(timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)))
    return times


def timed(act):
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def uin(chance, options):
    return 100_000_000_000 + chance.randrange(options.accounts) * 7_919


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--asked", type=int, default=200, help="how often each question is asked")
    parser.add_argument("--nights", type=int, default=4, help="nights that run meanwhile; at most 20")
    parser.add_argument("--share", type=float, default=0.01, help="new records of each of these nights")
    parser.add_argument("--accounts", type=int, default=20_000, help="accounts of the generated usage")
    options = parser.parse_args()
    process.prepare(options)
    return options


if __name__ == "__main__":
    sys.exit(main())

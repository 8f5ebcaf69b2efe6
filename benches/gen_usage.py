#!/usr/bin/env python3
"""Writes seeded, realistic task usage as NDJSON, in the format of the README.

    gen_usage.py --rows N --out USAGE.ndjson [--seed S] [--start 2026-10-01] [--days 31]

Days are UTC+8. Accounts follow Zipf, durations are lognormal, 1.5 % of the outputs failed, 0.1 % of the lines are exact
repeats. The same arguments give the same bytes with the same versions of numpy and polars.

Needs: pip install polars numpy
"""
import argparse
import datetime as dt
import sys

import numpy as np
import polars as pl

# Rows made at a time; bounds the memory, and is a part of what the seed gives.
CHUNK_ROWS = 1_000_000

UTC8 = dt.timezone(dt.timedelta(hours=8))
DAY_MS = 86_400_000

# What a task is: share, task_type, possible `type`s with shares, whether it is a picture with a codec and a size,
# whether it counts images. A type of None is absent.
TASKS = [
    (0.60, "Transcode", {"Standard": 0.75, "TESHD-10": 0.20, "TESHD-30": 0.05}, True, False),
    (0.02, "Transcode", {"Audio": 1.0}, False, False),
    (0.03, "Transcode", {"Remuxing": 1.0}, False, False),
    (0.18, "Snapshot", {"SampleSnapshot": 0.4, "SnapshotByTime": 0.4, "ImageSprite": 0.2}, False, True),
    (0.08, "AIReview", {None: 1.0}, False, False),
    (0.04, "AIRecognition", {None: 1.0}, False, False),
    (0.03, "AIAnalysis", {None: 1.0}, False, False),
    (0.02, "Enhance", {"SuperResolution": 1.0}, True, False),
]
SIZES = {(640, 480): 0.15, (1280, 720): 0.35, (1920, 1080): 0.40, (2560, 1440): 0.04, (3840, 2160): 0.06}
CODECS = {"H264": 0.77, "H265": 0.23}
RATES = {24: 0.15, 25: 0.30, 30: 0.40, 50: 0.05, 60: 0.10}
REGIONS = {"ap-guangzhou": 0.70, "ap-singapore": 0.15, "eu-frankfurt": 0.08, "na-ashburn": 0.07}
PORTRAIT_SHARE = 0.3
FAILED_SHARE = 0.015


def main():
    options = arguments()
    weights = 1 / np.arange(1, options.accounts + 1)
    weights /= weights.sum()
    with open(options.out, "wb") as out:
        for number, first in enumerate(range(0, options.rows, CHUNK_ROWS)):
            rng = np.random.default_rng([options.seed, number])
            rows = min(CHUNK_ROWS, options.rows - first)
            frame = with_repeats(usage(rng, rows, weights, options), rng, options.repeats)
            frame.write_ndjson(out)
            print(f"\r{first + rows:,} of {options.rows:,} records", end="", file=sys.stderr)
    print(file=sys.stderr)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, required=True, help="records without the repeats")
    parser.add_argument("--out", required=True, help="the file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", default="2026-10-01", help="the first day, in UTC+8")
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--repeats", type=float, default=0.001, help="share of lines that are sent twice")
    return parser.parse_args()


def usage(rng, rows, weights, options):
    account = rng.choice(len(weights), rows, p=weights)
    task = rng.choice(len(TASKS), rows, p=[share for share, *_ in TASKS])
    is_picture, is_counted = (np.array([task[at] for task in TASKS])[task] for at in (3, 4))
    size = np.array(list(SIZES))[rng.choice(len(SIZES), rows, p=list(SIZES.values()))]
    size = np.where((rng.random(rows) < PORTRAIT_SHARE)[:, None], size[:, ::-1], size)
    duration_ms = np.clip(rng.lognormal(np.log(90_000), 1.2, rows), 40, DAY_MS // 2).astype(np.int64)
    begin = int(dt.datetime.fromisoformat(options.start).replace(tzinfo=UTC8).timestamp() * 1000)
    finished_ms = begin + rng.integers(0, options.days * DAY_MS, rows)
    parameters = {
        "type": types(rng, task),
        "codec": absent_unless(is_picture, draw(rng, CODECS, rows)),
        "width": size[:, 0],
        "height": size[:, 1],
        "fps": draw(rng, RATES, rows),
        "images": absent_unless(is_counted, rng.integers(1, 30, rows)),
        "region": draw(rng, REGIONS, rows),
    }
    finished_at = pl.Series(finished_ms).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return pl.DataFrame({
        "source": np.full(rows, "mps"),
        "id": ids(rng, rows),
        "uin": (100_000_000_000 + account * 7_919).astype(str),
        # A third of the accounts have one application, the others up to three.
        "appid": 1_250_000_000 + account * 3 + rng.integers(0, 3, rows) * (account % 3 > 0),
        "task_type": np.array([task[1] for task in TASKS])[task],
        "parameters": pl.DataFrame(parameters).to_struct("parameters"),
        "duration_ms": np.where(is_counted, 0, duration_ms),
        "status": np.where(rng.random(rows) < FAILED_SHARE, "FAIL", "SUCCESS"),
        "finished_at": finished_at,
    })


def draw(rng, shares, rows):
    return np.array(list(shares))[rng.choice(len(shares), rows, p=list(shares.values()))]


def types(rng, task):
    chosen = np.full(len(task), "", dtype="<U16")
    for number, (_, _, shares, _, _) in enumerate(TASKS):
        of_task = task == number
        if None not in shares:
            chosen[of_task] = draw(rng, shares, of_task.sum())
    return absent_unless(chosen != "", chosen)


def absent_unless(present, values):
    both = pl.DataFrame({"present": present, "value": values})
    return both.select(pl.when("present").then("value").alias("value"))["value"]


def ids(rng, rows):
    """32 hex digits each, random: what has no order is the hardest to deduplicate."""
    return np.char.add(*(np.char.mod("%016x", rng.integers(0, 2**63, rows)) for _ in range(2)))


def with_repeats(frame, rng, share):
    again = frame[rng.integers(0, frame.height, int(frame.height * share))]
    both = pl.concat([frame, again])
    return both[rng.permutation(both.height)]


if __name__ == "__main__":
    main()

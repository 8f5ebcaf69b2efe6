#!/usr/bin/env python3
"""What a backup costs: a month of usage first, then a night with a hundredth as many new records, and a restore.

    backup.py [--rows 1000000] [--share 0.01] [--rounds 3] [--binary PATH] [--rate-cards DIR] [--work DIR]

The usage comes through the drop folder, so that the input files are part of the books. Beside it, at the same moments,
restic copies the same data folder, while no command runs: it knows nothing of a ledger that is being written, so that is
the only time at which it may. `restore` proves the books at its end, which restic does not; `verify` is also timed alone.
Seconds are medians of the rounds, bytes are those of the last one.

Needs: pip install polars numpy; restic, if it is to be measured (apt-get install restic)
"""
import argparse
import os
import shutil
import statistics
import subprocess

import process

# The generated month is October 2026 in UTC+8; it is due on 4 November: the first night closes it.
NIGHTS = ("2026-11-05T20:00:00Z", "2026-11-06T20:00:00Z")

STEPS = ("first backup", "again, nothing new", "after a small night", "backup verify", "restore", "verify alone")


def main():
    options = arguments()
    os.environ["TALLYBOOK_DROP_REST_S"] = "0"
    os.environ["RESTIC_PASSWORD"] = "of no worth"
    added = max(1, int(options.rows * options.share))
    month = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    new = process.generated(options.work / f"usage-{added}-new.ndjson", "--rows", added, "--seed", 2)
    tools = {"tallybook": Tallybook}
    if shutil.which("restic"):
        tools["restic"] = Restic
    else:
        print("restic is not there and is left out")
    rounds = [one_round(options, tools, month, new) for _ in range(options.rounds)]
    print(f"books of {options.rows:,} records, then {added:,} more: {rounds[-1]['books']:,} bytes")
    print(f"{'':22}" + "".join(f"{tool:>34}" for tool in tools))
    for step in STEPS:
        cells = [cell([measured[tool].get(step) for measured in rounds]) for tool in tools]
        print(f"{step:22}" + "".join(f"{text:>34}" for text in cells))


def cell(measures):
    """Median seconds, the highest peak of memory, and the bytes of the copy after it."""
    if None in measures:
        return "-"
    seconds = statistics.median(measure.seconds for measure, _ in measures)
    peak = max(measure.peak_mib for measure, _ in measures)
    size = measures[-1][1]
    return f"{seconds:6.2f} s {peak:5.0f} MiB" + (f" {size:13,} B" if size else " " * 16)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.set_defaults(rows=1_000_000)
    parser.add_argument("--share", type=float, default=0.01, help="new records of the second night")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    process.prepare(options)
    return options


def one_round(options, tools, month, new):
    data = process.fresh(options.work / "data")
    tools = {name: tool(options, data) for name, tool in tools.items()}
    night(options, data, month, NIGHTS[0])
    for tool in tools.values():
        tool.back_up("first backup")
        tool.back_up("again, nothing new")
    night(options, data, new, NIGHTS[1])
    for tool in tools.values():
        tool.back_up("after a small night")
        tool.check_and_restore()
    return {"books": size_of(data)} | {name: tool.measured for name, tool in tools.items()}


def night(options, data, usage, as_of):
    drop = data / "drop"
    drop.mkdir(exist_ok=True)
    shutil.copy(usage, drop)
    process.tallybook(options, data, as_of, "nightly")


class Tallybook:
    def __init__(self, options, data):
        self.options, self.data, self.measured = options, data, {}
        self.kept = options.work / "kept-tallybook"
        shutil.rmtree(self.kept, ignore_errors=True)

    def run(self, step, data, *command):
        measure = process.tallybook(self.options, data, NIGHTS[1], *command)
        self.measured[step] = measure, size_of(self.kept) if step in STEPS[:3] else 0

    def back_up(self, step):
        self.run(step, self.data, "backup", self.kept)

    def check_and_restore(self):
        restored = self.options.work / "restored"
        shutil.rmtree(restored, ignore_errors=True)
        self.run("backup verify", self.data, "backup", "verify", self.kept)
        self.run("restore", restored, "restore", self.kept)
        self.run("verify alone", restored, "verify")


class Restic:
    def __init__(self, options, data):
        self.options, self.data, self.measured = options, data, {}
        self.kept = process.fresh(options.work / "kept-restic")
        self.log = options.work / "restic.log"
        subprocess.run(["restic", "-q", "-r", self.kept, "init"], check=True)

    def run(self, step, *command):
        measure = process.run(["restic", "-q", "-r", self.kept, "--no-cache", *command], self.log)
        self.measured[step] = measure, size_of(self.kept) if step in STEPS[:3] else 0

    def back_up(self, step):
        self.run(step, "backup", self.data)

    def check_and_restore(self):
        self.run("backup verify", "check", "--read-data")
        self.run("restore", "restore", "latest", "--target", process.fresh(self.options.work / "restored-restic"))


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()

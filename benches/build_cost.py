#!/usr/bin/env python3
"""What each kind of source adds to the build: crates, and seconds of the processor for those that only it brings.

    build_cost.py [--target DIR] [--no-build]

Builds the release program with all sources in a folder of its own, and notes what rustc takes for each crate: user and system time, which
depends little on what else the machine does. Crates that two kinds bring are counted for both. Build scripts and the program's own code are
not in it. With --no-build it counts crates alone, which takes a second.

As `RUSTC_WRAPPER` it runs rustc and notes its time in the file that TALLYBOOK_BUILD_COST names.
"""
import argparse
import os
import pathlib
import subprocess
import sys
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {"cmq": "cmq", "s3 and cos": "objects", "nats": "nats", "mongodb": "mongodb", "amqp": "amqp", "kafka": "kafka", "all": "all-sources"}
NOTES = "TALLYBOOK_BUILD_COST"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", type=pathlib.Path, default=ROOT / "target" / "build-cost", help="default: %(default)s")
    parser.add_argument("--no-build", action="store_true", help="count crates alone")
    options = parser.parse_args()
    seconds = None if options.no_build else built(options.target.resolve())
    plain = crates()
    print(f"plain build: {len(plain)} crates" + ("" if seconds is None else f", {total(seconds, plain):.0f} s"))
    for kind, feature in KINDS.items():
        with_it = crates("--features", feature)
        added = with_it - plain
        cost = "" if seconds is None else f", {total(seconds, added):.0f} s"
        print(f"{kind}: {len(with_it)} crates, {len(added)} more{cost}")


def crates(*features):
    """Name and version of each crate that is compiled for this machine, with build scripts' and our own."""
    command = ["cargo", "tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe", *features]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {tuple(line.split()[:2]) for line in lines if line}


def built(target):
    """Seconds by crate of a release build from nothing."""
    notes = target / "notes"
    if target.exists():
        sys.exit(f"{target} is there; a build from nothing is measured: remove it, or name another with --target")
    target.mkdir(parents=True)
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "RUSTC_WRAPPER": __file__, NOTES: str(notes)}
    subprocess.run(["cargo", "build", "--release", "--features", "all-sources"], cwd=ROOT, check=True, env=environment)
    seconds = defaultdict(float)
    for line in notes.read_text().splitlines():
        name, version, taken = line.split()
        seconds[name, f"v{version}"] += float(taken)
    return seconds


def total(seconds, crates):
    return sum(seconds.get(crate, 0) for crate in crates if crate[0] != "tallybook")


def wrap():
    """Runs rustc, and notes what it took in one line, which is written at once."""
    child = subprocess.Popen(sys.argv[1:])
    _, status, usage = os.wait4(child.pid, 0)
    name, version = os.environ.get("CARGO_PKG_NAME"), os.environ.get("CARGO_PKG_VERSION")
    if name and "--crate-name" in sys.argv:
        file = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, f"{name} {version} {usage.ru_utime + usage.ru_stime:.3f}\n".encode())
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    wrap() if NOTES in os.environ else main()

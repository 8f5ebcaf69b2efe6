"""Runs whole processes and measures them: wall clock, peak memory and time of the processors."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from typing import NamedTuple

BENCHES = pathlib.Path(__file__).resolve().parent
ROOT = BENCHES.parent
BINARY = ROOT / "target" / "release" / "tallybook"
SPAN = re.compile(r"(?:INFO|DEBUG) (\S+): close time\.busy=([\d.]+)(ns|µs|ms|s) time\.idle=([\d.]+)(ns|µs|ms|s)")
SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


class Measure(NamedTuple):
    seconds: float
    peak_mib: float
    cpu_seconds: float

    def __add__(self, other):
        """One after the other."""
        return Measure(self.seconds + other.seconds, max(self.peak_mib, other.peak_mib), self.cpu_seconds + other.cpu_seconds)

    def __str__(self):
        return f"{self.seconds:8.2f} s {self.peak_mib:8.0f} MiB"


def run(command, log):
    """Runs a command to its end; its output goes to the end of the log. A failure ends this program."""
    command = [str(word) for word in command]
    with open(log, "ab") as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"`{' '.join(command)}` ended with {process.returncode}; its output is in {log}")
    # Linux counts in KiB, macOS in bytes.
    return Measure(seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), usage.ru_utime + usage.ru_stime)


def generated(path, *options):
    """The usage file of that name, made when it is not there."""
    if not path.exists():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, BENCHES / "gen_usage.py", "--out", part, *map(str, options)], check=True)
        part.rename(path)
    return cached(path)


def cached(path):
    """The file, read once: every run finds it in memory."""
    with open(path, "rb") as file:
        while file.read(2**24):
            pass
    return path


def tallybook(options, data, as_of, *command):
    """Runs a command of the program on a data folder."""
    cards = ["--rate-cards", options.rate_cards] if options.rate_cards else []
    log = options.work / "tallybook.log"
    return run([options.binary, "--data-dir", data, *cards, "--as-of", as_of, *command], log)


def spans(options, run):
    """Busy and idle seconds of each stage, summed, of what runs the program: what it logs itself with RUST_LOG=tallybook=debug."""
    log = options.work / "tallybook.log"
    log.unlink(missing_ok=True)
    os.environ["RUST_LOG"] = "tallybook=debug"
    try:
        run()
    finally:
        del os.environ["RUST_LOG"]
    sums = defaultdict(lambda: [0.0, 0.0])
    for path, busy, busy_unit, idle, idle_unit in SPAN.findall(log.read_text(encoding="utf-8")):
        sum_of = sums[path.rsplit(":", 1)[-1]]
        sum_of[0] += float(busy) * SECONDS[busy_unit]
        sum_of[1] += float(idle) * SECONDS[idle_unit]
    return sums


def peer(options, *usage):
    """Runs the DuckDB script; its statement is in the folder `peer`."""
    command = [sys.executable, BENCHES / "peer_duckdb.py", *usage, "--work", options.work / "peer"]
    return run(command, options.work / "peer.log")


def fresh(folder):
    """The folder, and nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def add_common(parser):
    """Options of every race."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="records of the month")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY, help="the program; default: %(default)s")
    parser.add_argument("--rate-cards", type=pathlib.Path, help="its rate cards; default: those of the repository")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target" / "race", help="folder for all files")


def prepare(options):
    """Makes the options usable from any folder."""
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    options.binary = options.binary.resolve()
    if options.rate_cards:
        options.rate_cards = options.rate_cards.resolve()
    if not options.binary.exists():
        sys.exit(f"{options.binary} is not there; run `cargo build --release` first")

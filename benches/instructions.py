#!/usr/bin/env python3
"""Counts the instructions of each step of a record's way, and compares them with those that were accepted.

    instructions.py [--accept]

Unlike time, the count does not depend on what else the machine does: a step that costs more than 3 % more instructions than
`instructions.json` says is a change that somebody made. `--accept` writes the counts there; commit it with the reason.

Needs: valgrind
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BENCHES = pathlib.Path(__file__).resolve().parent
ACCEPTED = BENCHES / "instructions.json"

STEPS = ["line_by_layout", "line_in_full", "row_of_csv", "add_up"]

# The function of instructions.rs that is counted, with all that it calls.
COUNTED = "*instructions::counted*"

# A count by itself is steady to a tenth of a percent; another compiler may move it by some.
TOLERANCE = 0.03


def main():
    options = arguments()
    program = build()
    records = int(subprocess.run([program, "records"], check=True, capture_output=True, text=True).stdout)
    counts = {step: round(instructions(program, step) / records, 1) for step in STEPS}
    if options.accept:
        ACCEPTED.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    accepted = json.loads(ACCEPTED.read_text(encoding="utf-8"))
    slower = [step for step in STEPS if report(step, counts[step], accepted.get(step))]
    if slower:
        sys.exit(f"{', '.join(slower)}: more instructions than accepted; make it faster, or run "
                 "`python3 benches/instructions.py --accept` and commit benches/instructions.json with the reason")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--accept", action="store_true", help="write the counts as those to compare with")
    return parser.parse_args()


def build():
    """Builds the program as it is released, and returns its path."""
    command = ["cargo", "bench", "--no-run", "--bench", "instructions", "--message-format=json"]
    output = subprocess.run(command, cwd=BENCHES.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "instructions")


def instructions(program, step):
    """The instructions of one step, over all records."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={COUNTED}",
                   f"--callgrind-out-file={os.path.join(folder, 'out')}", program, step]
        done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"`{' '.join(command)}` failed:\n{done.stderr}")
    return int(found[1])


def report(step, count, accepted):
    """Prints a step's count; whether it is too large. A step that nobody accepted yet is."""
    if accepted is None:
        print(f"{step:16} {count:10.1f} instructions a record, none accepted")
        return True
    change = count / accepted - 1
    print(f"{step:16} {count:10.1f} instructions a record, accepted {accepted:.1f} ({change:+.1%})")
    if change < -TOLERANCE:
        print(f"{step:16} fewer: `--accept` keeps it so")
    return change > TOLERANCE


if __name__ == "__main__":
    main()

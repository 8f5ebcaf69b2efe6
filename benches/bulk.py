#!/usr/bin/env python3
"""Rows per second into a server's ledger, against the server's own bulk loader on the same table and the same rows.

    bulk.py --ledger postgres://postgres@127.0.0.1/postgres [--rows 2000000] [--rounds 3]
    bulk.py --ledger mysql://root@127.0.0.1/mysql

In each round a fresh ledger takes a month of usage; the program's log says how long it took to write `usage_daily` (in the metering's
transaction) and the statements with their lines (in the close's). Then the same rows go from a file into an empty copy of the table,
with its keys and indexes, by psql's \\copy or LOAD DATA. The ratio is the loader's time by ours.

Needs: pip install polars numpy, and the clients psql or mariadb. Makes the database `tallybook_bulk` and drops it.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import time
import urllib.parse

import process

NIGHT = "2026-11-10T20:00:00Z"
DATABASE = "tallybook_bulk"

# Table, the span of the log that writes it, and how many lines its rows hold.
TABLES = {
    "usage_daily": "add_usage_daily",
    "statement": "add_statements",
}
LINES = {
    "usage_daily": {
        "postgres": "SELECT COUNT(*) FROM dash_usage",
        "mysql": "SELECT COUNT(*) FROM dash_usage",
    },
    "statement": {
        "postgres": "SELECT SUM(line_count) FROM statement",
        "mysql": "SELECT SUM(line_count) FROM statement",
    },
}


class Postgres:
    name = "postgres"
    loader = "\\copy"

    def __init__(self, url):
        self.url = url

    def ask(self, sql, database=DATABASE):
        place = self.url._replace(path=f"/{database}").geturl()
        done = subprocess.run(["psql", place, "-qAtv", "ON_ERROR_STOP=1", "-c", sql], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def fresh(self):
        admin = self.url.path.lstrip("/")
        self.ask(f"DROP DATABASE IF EXISTS {DATABASE}", admin)
        self.ask(f"CREATE DATABASE {DATABASE}", admin)

    def drop(self):
        self.ask(f"DROP DATABASE IF EXISTS {DATABASE}", self.url.path.lstrip("/"))

    def unload(self, table, file):
        self.ask(f"\\copy {table} TO '{file}'")

    def load(self, table, file):
        self.ask("DROP TABLE IF EXISTS loaded")
        self.ask(f"CREATE TABLE loaded (LIKE {table} INCLUDING ALL)")
        for key in self.ask(f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'f'").splitlines():
            self.ask(f"ALTER TABLE loaded ADD {key}")
        self.ask("CHECKPOINT")
        start = time.perf_counter()
        self.ask(f"\\copy loaded FROM '{file}'")
        return time.perf_counter() - start


class MySql:
    name = "mysql"
    loader = "LOAD DATA"

    def __init__(self, url):
        self.url = url

    def ask(self, sql, database=DATABASE):
        place = ["-h", self.url.hostname, "-P", str(self.url.port or 3306), "-u", self.url.username or "root"]
        if self.url.password:
            os.environ["MYSQL_PWD"] = urllib.parse.unquote(self.url.password)
        command = ["mariadb", *place, "--local-infile=1", "-BN", database, "-e", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def fresh(self):
        admin = self.url.path.lstrip("/")
        self.ask(f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}", admin)

    def drop(self):
        self.ask(f"DROP DATABASE IF EXISTS {DATABASE}", self.url.path.lstrip("/"))

    def unload(self, table, file):
        # The client's batch output escapes as LOAD DATA reads.
        with open(file, "wb") as out:
            place = ["-h", self.url.hostname, "-P", str(self.url.port or 3306), "-u", self.url.username or "root"]
            subprocess.run(["mariadb", *place, "-BN", "--quick", DATABASE, "-e", f"SELECT * FROM {table}"], check=True, stdout=out)

    def load(self, table, file):
        self.ask(f"DROP TABLE IF EXISTS loaded; CREATE TABLE loaded LIKE {table}")
        start = time.perf_counter()
        self.ask(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE loaded CHARACTER SET utf8mb4")
        return time.perf_counter() - start


def main():
    options = arguments()
    url = urllib.parse.urlparse(options.ledger)
    server = Postgres(url) if url.scheme.startswith("postgres") else MySql(url)
    usage = process.generated(options.work / f"usage-{options.rows}.ndjson", "--rows", options.rows)
    figures = {table: [] for table in TABLES}
    for round_number in range(options.rounds):
        server.fresh()
        spans = nights(options, server, usage)
        for table, span in TABLES.items():
            file = options.work / f"{table}.rows"
            server.unload(table, file)
            rows = int(server.ask(f"SELECT COUNT(*) FROM {table}"))
            lines = int(server.ask(LINES[table][server.name]))
            loader = server.load(table, file)
            figures[table].append((rows, lines, file.stat().st_size, spans[span], loader))
            file.unlink()
        print(f"round {round_number + 1}: " + ", ".join(told(table, *figures[table][-1]) for table in TABLES), flush=True)
    server.drop()
    print(f"\n{'table':12} {'rows':>9} {'lines':>11} {'MB':>6} {'tallybook':>22} {server.loader:>22} {'ratio':>6}")
    for table, rounds in figures.items():
        rows, lines, size = rounds[0][:3]
        ours, theirs = (statistics.median(r[at] for r in rounds) for at in (3, 4))
        ratio = statistics.median(r[4] / r[3] for r in rounds)
        speed = lambda seconds: f"{seconds:6.2f} s {lines / seconds:9,.0f}/s"
        print(f"{table:12} {rows:9,} {lines:11,} {size / 1e6:6.0f} {speed(ours):>22} {speed(theirs):>22} {ratio:6.2f}")


def told(table, rows, lines, size, ours, theirs):
    return f"{table} {ours:.2f} s against {theirs:.2f} s ({theirs / ours:.2f})"


def nights(options, server, usage):
    """Runs ingest and the night on the fresh ledger; seconds of the spans that write rows."""
    data = process.fresh(options.work / "data")
    ledger = server.url._replace(path=f"/{DATABASE}").geturl()
    environment = {**os.environ, "RUST_LOG": "tallybook=info", "TALLYBOOK_LEDGER": ledger}
    log = options.work / "bulk.log"
    with open(log, "w") as out:
        for command in (["ingest", usage], ["nightly"]):
            arguments = [options.binary, "--data-dir", data, "--log-format", "json", "--as-of", NIGHT, *command]
            subprocess.run([str(a) for a in arguments], check=True, cwd=process.ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=out)
    spans = {}
    for line in log.read_text().splitlines():
        event = json.loads(line)
        fields = event.get("fields", {})
        if fields.get("message") == "close":
            spans[event["span"]["name"]] = seconds(fields["time.busy"]) + seconds(fields["time.idle"])
    return spans


def seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(\S+)", text).groups()
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.add_argument("--ledger", required=True, help="URL of a server where databases may be made, with any database")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    process.prepare(options)
    return options


if __name__ == "__main__":
    main()

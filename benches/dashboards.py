#!/usr/bin/env python3
"""How fast dashboards' queries answer with 10 million rows of usage_daily, with the plans.

    dashboards.py --ledger sqlite
    dashboards.py --ledger postgres://postgres@127.0.0.1/postgres
    dashboards.py --ledger mysql://root@127.0.0.1/mysql

Makes a ledger with `tallybook status`, fills the tables behind the views by the engine's bulk loader (20,000 accounts, 25 months, 20
meterings a month, each row a day of two apps; a statement per account and month; their sums; totals of each day), and asks every query
for many accounts and months in one session. Prints the median and the slowest of a hundred, and the plans.

Needs the clients psql or mariadb. Makes the database `tallybook_dashboards`, and drops it unless told --keep.
"""
import argparse
import os
import pathlib
import random
import re
import sqlite3
import statistics
import subprocess
import time
import urllib.parse

import process

DATABASE = "tallybook_dashboards"
METERINGS = 20
ASKED = 100

QUERIES = {
    "an account's month": "SELECT day, sku, SUM(billable_units) FROM dash_usage_by_sku WHERE uin = '{uin}' AND month = '{month}' GROUP BY day, sku ORDER BY day, sku",
    "the month's top 20 accounts": "SELECT uin, total, records FROM dash_top_accounts WHERE month = '{month}' AND currency = 'CNY' ORDER BY total_for_charts DESC, uin DESC LIMIT 20",
    "an account's charges": "SELECT period_start, state, total FROM dash_charges WHERE uin = '{uin}' ORDER BY period_start",
    "the month's totals by day and task type": "SELECT day, task_type, SUM(records), SUM(billable_units) FROM dash_totals WHERE month = '{month}' GROUP BY day, task_type ORDER BY day, task_type",
}


def months(count):
    year, month = 2024, 11
    for _ in range(count):
        yield f"{year}-{month:02}"
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def uin(account):
    return str(100_000_000_000 + account)


def usage_rows(options):
    """In the order of the key."""
    chance = random.Random(1)
    for at, month in enumerate(months(options.months)):
        for account in range(options.accounts):
            for night in range(METERINGS):
                day = night + 1
                records = chance.randrange(1, 50)
                minutes = f'["1","ap-guangzhou","Standard.H264.HD",[[{day},{records},{records * 61000},{records * 120000}]]]'
                count = f'["2","ap-guangzhou","Snapshot",[[{day},1,1,1]]]'
                yield (month, uin(account), at * METERINGS + day, records + 1, f"[{minutes},{count}]")


def account_rows(options):
    for account in range(options.accounts):
        yield (uin(account), "usage", "2024-11-01T00:00:00+00:00", "2024-11-01", 0)


def closing_rows(options):
    yield (1, 1, 1, 1, options.accounts * options.months, options.accounts * options.months, "2026-12-04T00:00:00+00:00", 0)


def statement_rows(options):
    chance = random.Random(2)
    known = list(months(options.months + 1))
    document = 0
    for month, after in zip(known, known[1:]):
        for account in range(options.accounts):
            document += 1
            total = f"{chance.randrange(1, 10_000_000) / 100:.2f}"
            name = f"{uin(account)}-{month.replace('-', '')}01-{after.replace('-', '')}01"
            digest = f"{chance.getrandbits(256):064x}"
            amounts = (total, "0", "0", total)
            yield (month, uin(account), f"{month}-01", f"{after}-01", name, "Asia/Shanghai", "CNY", 20, *amounts, 600, 0, 1, f"{after}-04T00:00:00+00:00", 1, digest, digest, document, chance.getrandbits(62))


def total_rows(options):
    chance = random.Random(3)
    for at, month in enumerate(months(options.months)):
        for night in range(METERINGS):
            for sku in range(60):
                yield (month, f"{month}-{night + 1:02}", at * METERINGS + night + 1, f"Task{sku % 6}", "ap-guangzhou", f"SKU.{sku}", "ms", 1000, 10**9, 2 * 10**9, chance.getrandbits(62))


def month_rows(options):
    chance = random.Random(2)
    for month in months(options.months):
        for account in range(options.accounts):
            total = f"{chance.randrange(1, 10_000_000) / 100:.2f}"
            yield (month, "CNY", uin(account), total, 600, 0, chance.getrandbits(62))


TABLES = {
    "usage_daily": ("month, uin, metering, records, days", usage_rows),
    "account": ("uin, added_by, added_at, first_day, seal", account_rows),
    "closing": ("closing, batch_hi, metering, card_hi, statements, periods, closed_at, seal", closing_rows),
    "statement": (
        "month, uin, period_start, period_end, statement_id, zone, currency, line_count, usage_amount, adjustment_amount, rounding, total, records, adjusted_records, closing, closed_at, batch_hi, previous_digest, digest, document, seal",
        statement_rows,
    ),
    "account_month": ("month, currency, uin, total, records, drafts, seal", month_rows),
    "usage_total": ("month, day, metering, task_type, region, sku, unit, records, raw, billable, seal", total_rows),
}


class Sqlite:
    def __init__(self, options):
        self.file = options.work / "dashboards" / "ledger.sqlite"
        process.fresh(self.file.parent)
        self.ledger = f"sqlite://{self.file}?mode=rwc"

    def fill(self, table, columns, rows, _work):
        with sqlite3.connect(self.file) as ledger:
            marks = ", ".join("?" * (columns.count(",") + 1))
            ledger.execute("PRAGMA synchronous = OFF")
            ledger.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)

    def settle(self):
        pass

    def ask(self, queries):
        ledger = sqlite3.connect(self.file)
        ledger.execute("PRAGMA cache_size = -262144")
        for query in queries:
            start = time.perf_counter()
            ledger.execute(query).fetchall()
            yield (time.perf_counter() - start) * 1000

    def plan(self, query):
        rows = sqlite3.connect(self.file).execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        return "\n".join(row[3] for row in rows)

    def drop(self):
        self.file.unlink()


class Server:
    def __init__(self, options):
        self.url = urllib.parse.urlparse(options.ledger)
        self.ledger = self.url._replace(path=f"/{DATABASE}").geturl()
        self.admin = self.url.path.lstrip("/")
        for sql in (f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}"):
            self.run(sql, self.admin)

    def fill(self, table, columns, rows, work):
        file = work / f"{table}.rows"
        with open(file, "w") as out:
            for row in rows:
                out.write("\t".join(map(str, row)) + "\n")
        self.load(table, columns, file)
        file.unlink()

    def drop(self):
        self.run(f"DROP DATABASE IF EXISTS {DATABASE}", self.admin)


class Postgres(Server):
    def run(self, sql, database=DATABASE, *options):
        place = self.url._replace(path=f"/{database}").geturl()
        command = ["psql", place, "-qAt", "-v", "ON_ERROR_STOP=1", *options]
        return subprocess.run(command, input=sql, check=True, capture_output=True, text=True).stdout

    def load(self, table, columns, file):
        self.run(f"\\copy {table} ({columns}) FROM '{file}'\n")

    def settle(self):
        self.run("VACUUM ANALYZE")

    def ask(self, queries):
        printed = self.run("\\timing on\n\\o /dev/null\n" + "".join(f"{query};\n" for query in queries))
        return [float(ms) for ms in re.findall(r"Time: ([0-9.]+) ms", printed)]

    def plan(self, query):
        return self.run(f"EXPLAIN (ANALYZE, COSTS OFF) {query};")


class MySql(Server):
    def run(self, sql, database=DATABASE, *options):
        place = ["-h", self.url.hostname, "-P", str(self.url.port or 3306), "-u", self.url.username or "root"]
        if self.url.password:
            os.environ["MYSQL_PWD"] = urllib.parse.unquote(self.url.password)
        command = ["mariadb", *place, "--local-infile=1", "-BN", *options, database]
        return subprocess.run(command, input=sql, check=True, capture_output=True, text=True).stdout

    def load(self, table, columns, file):
        # Rows in another order than an index's are slow where the buffer pool is small: those of the large table are made after it is filled.
        is_large = table == "usage_daily"
        if is_large:
            self.run(f"ALTER TABLE {table} DROP INDEX usage_daily_uin, DROP INDEX usage_daily_metering")
        self.run(f"SET unique_checks = 0; LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 ({columns})")
        if is_large:
            self.run(f"ALTER TABLE {table} ADD INDEX usage_daily_uin (uin, month), ADD INDEX usage_daily_metering (metering)")

    def settle(self):
        self.run("".join(f"ANALYZE TABLE {table};" for table in TABLES))

    def ask(self, queries):
        clock = "SELECT CONCAT('at ', CAST(SYSDATE(6) AS CHAR));\n"
        printed = self.run(clock + "".join(f"{query};\n{clock}" for query in queries))
        stamps = [line.split()[2] for line in printed.splitlines() if line.startswith("at ")]
        seconds = [sum(float(part) * 60**power for power, part in enumerate(reversed(stamp.split(":")))) for stamp in stamps]
        return [(after - before) * 1000 for before, after in zip(seconds, seconds[1:])]

    def plan(self, query):
        return self.run(f"EXPLAIN {query};")


def main():
    options = arguments()
    kinds = {"sqlite": Sqlite, "postgres": Postgres, "postgresql": Postgres, "mysql": MySql}
    engine = kinds[options.ledger.split(":")[0]](options)
    data = process.fresh(options.work / "data")
    process.run([options.binary, "--data-dir", data, "--ledger", engine.ledger, "status"], options.work / "dashboards.log")
    for table, (columns, rows) in TABLES.items():
        start = time.perf_counter()
        engine.fill(table, columns, rows(options), options.work)
        print(f"{table} filled in {time.perf_counter() - start:.0f} s", flush=True)
    engine.settle()
    chance = random.Random(4)
    known = list(months(options.months))
    print(f"\n{options.accounts * options.months * METERINGS:,} rows of usage_daily, {options.accounts * options.months:,} statements; {ASKED} times each, in ms\n")
    print(f"{'query':42} {'median':>8} {'p99':>8} {'slowest':>8}")
    for name, query in QUERIES.items():
        asked = lambda: query.format(uin=uin(chance.randrange(options.accounts)), month=chance.choice(known))
        times = sorted(engine.ask([asked() for _ in range(ASKED)]))
        print(f"{name:42} {statistics.median(times):8.2f} {times[ASKED * 99 // 100 - 1]:8.2f} {times[-1]:8.2f}", flush=True)
    for name, query in QUERIES.items():
        print(f"\n{name}\n" + engine.plan(query.format(uin=uin(7), month=known[-2])).strip())
    if not options.keep:
        engine.drop()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--ledger", required=True, help="`sqlite`, or the URL of a server where databases may be made")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=25)
    parser.add_argument("--keep", action="store_true", help="leave the ledger there")
    parser.add_argument("--binary", type=pathlib.Path, default=process.BINARY, help="the program; default: %(default)s")
    parser.add_argument("--work", type=pathlib.Path, default=process.ROOT / "target" / "race", help="folder for all files")
    options = parser.parse_args()
    options.rate_cards = None
    process.prepare(options)
    return options


if __name__ == "__main__":
    main()

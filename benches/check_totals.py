#!/usr/bin/env python3
"""The totals of statements, summed again by other means: from the NDJSON and the rate card alone, in Python's decimal.

    check_totals.py USAGE.ndjson[.gz]... --statements statements.csv... [--card TOML] [--before YYYY-MM]

It takes the default terms: calendar months in the card's zone, no discount. Repeats of (source, id) count once, the first
line stands. It knows prices per unit, also per region group, but no tiers, no voids and one version of the card.
Quantities are rounded half-up to 6 decimals per (month, app, region, SKU), amounts to 10, totals to 2. It prints what it
counted and every difference, and exits with 1 if there is any.
"""
import argparse
import collections
import csv
import datetime as dt
import gzip
import hashlib
import json
import pathlib
import sys
import tomllib
import zoneinfo
from decimal import ROUND_HALF_UP, Context, Decimal

CARD = pathlib.Path(__file__).resolve().parent.parent / "rate-cards" / "mps-cn" / "2024-01-01.toml"
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000}
SUFFIX_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
MAX_DURATION_MS = 2**53

Usage = collections.namedtuple("Usage", "uin month appid region sku base_units")
Statement = collections.namedtuple("Statement", "total usage rounding")


class Unmetered(Exception):
    """No meter takes the record."""


class Refused(Exception):
    """The line is no usage record."""


def main():
    options = arguments()
    card = Card(options.card)
    sums, counts = add_up(options.usage, card)
    expected = {key: statement(lines, card) for key, lines in sums.items() if key[1] < options.before}
    given = read_statements(options.statements)
    print("lines     ", ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())))
    differences = compare(expected, given)
    for kind, statements in (("expected", expected), ("given", given)):
        total = sum((statement.total for statement in statements.values()), Decimal(0))
        print(f"{kind:10} {len(statements):,} statements, {card.currency} {total:,}")
    print(f"{differences} differences")
    sys.exit(1 if differences else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("usage", nargs="+", help="NDJSON files, also .gz, in the order in which they were ingested")
    parser.add_argument("--statements", nargs="+", required=True, help="statements.csv of all exports")
    parser.add_argument("--card", default=CARD, type=pathlib.Path)
    parser.add_argument("--before", default="9999-99", help="leave out months from this one on")
    return parser.parse_args()


class Card:
    """A rate card, as far as this check knows it."""

    def __init__(self, path):
        with open(path, "rb") as file:
            card = tomllib.load(file, parse_float=Decimal)
        self.currency, self.default_region = card["currency"], card["default_region"]
        self.zone = zoneinfo.ZoneInfo(card["zone"])
        self.meters, self.prices, self.regions = card["meter"], card["prices"], card["regions"]
        self.known = {}

    def measure(self, task_type, parameters):
        """(meter, region, SKU) of a record, once for all that are alike."""
        key = (task_type, json.dumps(parameters, sort_keys=True, default=str))
        if key not in self.known:
            self.known[key] = self.place(task_type, parameters)
        if self.known[key] is None:
            raise Unmetered
        return self.known[key]

    def place(self, task_type, parameters):
        region = parameters.get("region", self.default_region)
        for meter in self.meters:
            if meter["task_type"] == task_type:
                names = {name: fit(name, of, parameters) for name, of in meter.get("dimensions", {}).items()}
                amount = parameters.get(meter["quantity"])
                is_amount = meter["quantity"] in ("duration", "count") or is_whole(amount)
                if None not in names.values() and is_amount and self.group(region):
                    return meter, region, meter["sku"].format(**names)
        return None

    def group(self, region):
        named = (group for group, regions in self.regions.items() if region in regions)
        others = (group for group, regions in self.regions.items() if regions == ["*"])
        return next(named, None) or next(others, None)

    def price(self, sku, region):
        """The price of a SKU per pricing unit."""
        price = self.prices[sku]
        if "tiers" in price:
            sys.exit(f"SKU {sku} has tiers, which this check does not know")
        price = price["unit_price"]
        return Decimal(price if isinstance(price, str) else price[self.group(region)])


def fit(name, dimension, parameters):
    """The name in the SKU of a record's value, or None."""
    if isinstance(dimension, list):
        dimension = {"values": dimension}
    of = dimension.get("of", name)
    if of == "short_side":
        sides = [parameters.get("width"), parameters.get("height")]
        value = min(sides) if all(is_number(side) and side >= 1 for side in sides) else None
    else:
        value = parameters.get(of)
    if "values" in dimension:
        return next((text for text in dimension["values"] if value is not None and text == str(value)), None)
    if not is_number(value) or value < 0:
        return None
    return next((step for step, up_to in dimension["steps"].items() if value <= up_to), None)


def as_value(value):
    """1920 and 1920.0 are the same value."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else value.normalize(EXACT)
    return value


def is_number(value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def is_whole(value):
    return is_number(value) and value == int(value) and value >= 0


def base_units(meter, record):
    """What a record counts for: first the minimum, then rounded up."""
    if meter["quantity"] == "count":
        raw = 1
    elif meter["quantity"] == "duration":
        raw = int(record["duration_ms"])
    else:
        raw = int(record["parameters"][meter["quantity"]])
    at_least = max(raw, policy(meter.get("minimum", 0)))
    step = max(policy(meter.get("round_up_to", 1)), 1)
    return -(-at_least // step) * step


def policy(value):
    if not isinstance(value, str):
        return value
    digits = value.rstrip("msh")
    return int(digits) * SUFFIX_MS[value[len(digits):]]


def unit_size(meter):
    unit = meter["unit"]
    if isinstance(unit, dict):
        return unit["of"]
    return UNIT_MS[unit] if meter["quantity"] == "duration" else 1


def add_up(paths, card):
    """Base units per (uin, month) and (appid, region, SKU), and how many lines had which status."""
    sums = collections.defaultdict(lambda: collections.defaultdict(int))
    counts = collections.Counter()
    first = {}
    for line in lines_of(paths):
        try:
            record, finished_at = read(line)
        except Refused:
            counts["quarantined"] += 1
            continue
        status, usage = judge(record, finished_at, first, card)
        counts[status] += 1
        if usage is not None:
            meter, *place = usage.sku
            sums[usage.uin, usage.month][usage.appid, usage.region, place[0], unit_size(meter)] += usage.base_units
    return sums, counts


def lines_of(paths):
    for path in paths:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            yield from (line for line in file if line.strip())


def read(line):
    """A usage record and when it finished."""
    try:
        record = json.loads(line, parse_float=Decimal)
        parameters = record.get("parameters") or {}
        record["parameters"] = {name: as_value(value) for name, value in parameters.items() if value is not None}
        record["uin"], record["appid"] = int(record["uin"]), int(record["appid"])
        finished_at = dt.datetime.fromisoformat(record["finished_at"])
        is_usage = (
            record.get("status", "SUCCESS") in ("SUCCESS", "FAIL")
            and record.get("kind", "usage") == "usage"
            and is_whole(record["duration_ms"]) and record["duration_ms"] <= MAX_DURATION_MS
            and isinstance(record["id"], str) and isinstance(record["task_type"], str)
            and finished_at.tzinfo is not None
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Refused from None
    if not is_usage:
        raise Refused
    return record, finished_at


def judge(record, finished_at, first, card):
    """The status of a record, and its usage where it is metered."""
    identity = digest(record.get("source", "default"), record["id"])
    content = digest(
        record["uin"], record["appid"], record["task_type"], sorted(record["parameters"].items()),
        int(record["duration_ms"]), record.get("status", "SUCCESS"), finished_at.astimezone(dt.timezone.utc),
    )
    before = first.setdefault(identity, content)
    if before is not content:
        return ("duplicate" if before == content else "conflict"), None
    if record.get("status") == "FAIL":
        return "failed", None
    try:
        meter, region, sku = card.measure(record["task_type"], record["parameters"])
    except Unmetered:
        return "unmetered", None
    month = f"{finished_at.astimezone(card.zone):%Y-%m}"
    usage = Usage(record["uin"], month, record["appid"], region, (meter, sku), base_units(meter, record))
    return "metered", usage


def digest(*values):
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()


def statement(lines, card):
    """The total of one account and month."""
    usage = Decimal(0)
    for (_, region, sku, size), units in lines.items():
        quantity = rounded(EXACT.divide(Decimal(units), Decimal(size)), 6)
        usage = EXACT.add(usage, rounded(EXACT.multiply(quantity, card.price(sku, region)), 10))
    total = rounded(usage, 2)
    return Statement(total, usage, EXACT.subtract(total, usage))


def rounded(value, decimals):
    return value.quantize(Decimal(1).scaleb(-decimals), context=EXACT)


def read_statements(paths):
    """By (uin, month). One that is given twice, or is no calendar month, is a difference of its own."""
    statements = {}
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = (int(row["uin"]), row["period_start"][:7])
                if key in statements or row["period_start"][8:10] != "01":
                    key = (row["statement_id"], "not the only statement of one calendar month")
                amounts = (Decimal(row[name]) for name in ("total", "usage_amount", "rounding"))
                statements[key] = Statement(*amounts)
    return statements


def compare(expected, given):
    differences = 0
    for key in sorted(expected.keys() | given.keys(), key=str):
        want, have = expected.get(key), given.get(key)
        if want != have:
            differences += 1
            print(f"{key[0]} {key[1]}: expected {shown(want)}, given {shown(have)}")
    return differences


def shown(statement):
    return "none" if statement is None else f"{statement.total} ({statement.usage} and {statement.rounding})"


if __name__ == "__main__":
    main()

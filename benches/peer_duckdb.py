#!/usr/bin/env python3
"""The same month as a hand-written DuckDB script: usage NDJSON in, priced statement CSV out.

    peer_duckdb.py USAGE.ndjson... --work DIR [--card TOML] [--threads N]

Steps: raw rows kept as Parquet; exact repeats dropped by (source, id); usage per account, app, region, SKU and UTC+8 day;
one priced line per account, app, region and SKU in DIR/statement.csv. It prints the seconds of each step.

What it does not do: conflicts, voids, quarantine, periods, tiers, late usage, crash safety, and nothing is incremental.
Which records have which SKU is written into its SQL, for the card mps-cn; prices come from the card's file.

Needs: pip install duckdb
"""
import argparse
import os
import pathlib
import time
import tomllib

import duckdb

CARD = pathlib.Path(__file__).resolve().parent.parent / "rate-cards" / "mps-cn" / "2024-01-01.toml"

INGEST = """
COPY (
  SELECT * FROM read_json([{files}], format = 'newline_delimited', columns = {{
    source: 'VARCHAR', id: 'VARCHAR', uin: 'UBIGINT', appid: 'UBIGINT', task_type: 'VARCHAR',
    parameters: 'STRUCT("type" VARCHAR, codec VARCHAR, width INT, height INT, fps INT, images INT, region VARCHAR)',
    duration_ms: 'BIGINT', status: 'VARCHAR', finished_at: 'TIMESTAMPTZ'}})
) TO '{raw}' (FORMAT parquet, COMPRESSION zstd)
"""

METER = """
CREATE TABLE usage AS
WITH once AS (SELECT DISTINCT ON (source, id) * FROM '{raw}'),
named AS (
  SELECT *, parameters."type" AS kind, least(parameters.width, parameters.height) AS side
  FROM once WHERE status = 'SUCCESS')
SELECT uin, appid, parameters.region AS region,
  CASE
    WHEN task_type = 'Transcode' AND kind IN ('Audio', 'Remuxing') THEN kind
    WHEN task_type IN ('Transcode', 'Enhance') THEN kind || '.' || parameters.codec || '.' ||
      CASE WHEN side <= 480 THEN 'SD' WHEN side <= 720 THEN 'HD' WHEN side <= 1080 THEN 'FHD'
           WHEN side <= 1440 THEN '2K' WHEN side <= 2160 THEN '4K' WHEN side <= 4320 THEN '8K' END
    WHEN task_type IN ('Snapshot', 'AIGCImage') THEN task_type || '.' || kind
    ELSE task_type
  END AS sku,
  CAST(finished_at AT TIME ZONE 'Asia/Shanghai' AS DATE) AS day,
  count(*) AS records, sum(duration_ms) AS ms, sum(parameters.images) AS images
FROM named GROUP BY ALL
"""

# Quantities are rounded half-up to millionths in integers; DuckDB's decimal division would go through a double.
STATEMENT = """
COPY (
  WITH line AS (
    SELECT uin, appid, region, sku, sum(records) AS records, sum(ms) AS ms, sum(images) AS images
    FROM usage GROUP BY ALL),
  measured AS (
    SELECT uin, appid, region, sku, unit, records, unit_price,
      CASE unit WHEN 'minute' THEN (2000000 * ms::HUGEINT + 60000) // 120000 ELSE 1000000 * images::HUGEINT END AS millionths
    FROM line LEFT JOIN price USING (sku))
  SELECT uin, appid, region, sku, unit, records, unit_price,
    millionths::DECIMAL(20, 0) * 0.000001::DECIMAL(6, 6) AS quantity,
    millionths::DECIMAL(20, 0) * 0.000001::DECIMAL(6, 6) * unit_price AS amount
  FROM measured ORDER BY uin, appid, region, sku
) TO '{statement}' (HEADER)
"""


def main():
    options = arguments()
    os.makedirs(options.work, exist_ok=True)
    database, raw, statement = (os.path.join(options.work, name) for name in ("peer.duckdb", "raw.parquet", "statement.csv"))
    for old in (database, raw, statement):
        if os.path.exists(old):
            os.remove(old)
    db = duckdb.connect(database)
    db.execute(f"SET threads = {options.threads}")
    db.execute("CREATE TABLE price (sku VARCHAR, unit VARCHAR, unit_price DECIMAL(12, 6))")
    db.executemany("INSERT INTO price VALUES (?, ?, ?)", prices(options.card))
    files = ", ".join(f"'{name}'" for name in options.usage)
    start = time.perf_counter()
    step(db, "ingest", INGEST.format(files=files, raw=raw))
    step(db, "meter", METER.format(raw=raw))
    step(db, "statement", STATEMENT.format(statement=statement))
    print(f"{'total':10} {time.perf_counter() - start:8.2f} s")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("usage", nargs="+", help="NDJSON files")
    parser.add_argument("--work", required=True, help="folder for raw.parquet, peer.duckdb and statement.csv")
    parser.add_argument("--card", default=CARD, help="rate card with one price per SKU")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def prices(path):
    """(SKU, unit, price) of each SKU; image SKUs are those of meters that count images."""
    with open(path, "rb") as file:
        card = tomllib.load(file)
    counted = tuple(meter["sku"].split("{")[0] for meter in card["meter"] if meter["quantity"] == "images")
    unit = lambda sku: "image" if sku.startswith(counted) else "minute"
    return [(sku, unit(sku), price["unit_price"]) for sku, price in card["prices"].items()]


def step(db, name, sql):
    start = time.perf_counter()
    db.execute(sql)
    print(f"{name:10} {time.perf_counter() - start:8.2f} s", flush=True)


if __name__ == "__main__":
    main()

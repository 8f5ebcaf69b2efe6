"""Makes the Parquet files beside it, as pandas, pyarrow, DuckDB and Spark write the same three records (`records.ndjson`) in the types that they
have for them. Made once, with pandas 3.1.1, pyarrow 26.0.1, DuckDB 2.0.1 and Spark 4.3.0: python3 make.py FOLDER"""

import datetime
import decimal
import glob
import json
import os
import shutil
import sys

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

UTC = datetime.timezone.utc
TIMES = [datetime.datetime(2026, 10, 21, 1, 20, second, 125000, UTC) for second in (13, 14, 15)]
os.chdir(sys.argv[1])


def records():
    rows = []
    for at, time in enumerate(TIMES):
        rows.append({
            "id": str(1001 + at), "uin": 100000000001 + at % 2, "appid": 1250000001, "task_type": "Transcode",
            "parameters": {"type": "Standard", "codec": "H264"}, "duration_ms": 32000 + at,
            "finished_at": time.isoformat().replace("+00:00", "Z"), "status": "SUCCESS" if at != 1 else "FAIL",
        })
    return rows


ROWS = records()
with open("records.ndjson", "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in ROWS)


def columns(**other):
    """The records as plain columns, some of them others."""
    of = {name: [row[name] for row in ROWS] for name in ROWS[0] if name != "parameters"}
    of |= {f"parameters.{name}": [row["parameters"][name] for row in ROWS] for name in ("type", "codec")}
    of["finished_at"] = pa.array(TIMES, pa.timestamp("us", "UTC"))
    return of | other


def write(name, of, **options):
    pq.write_table(pa.table({key: value for key, value in of.items() if value is not None}), name, **options)


def whole(values, *to):
    return pa.array([decimal.Decimal(value) for value in values], pa.decimal128(*to))


texts = lambda name: [str(row[name]) for row in ROWS]
durations = [row["duration_ms"] for row in ROWS]
without = {"parameters.type": None, "parameters.codec": None}
pairs = [list(row["parameters"].items()) for row in ROWS]

frame = pd.DataFrame(columns(finished_at=TIMES))
for name in ("task_type", "status", "id", "parameters.type", "parameters.codec"):
    frame[name] = frame[name].astype("category")
frame.to_parquet("pandas-categories.parquet", index=False)
frame["created_at"] = [time.replace(tzinfo=None) for time in TIMES]
frame.to_parquet("pandas-created-without-zone.parquet", index=False)
pd.DataFrame(columns(finished_at=TIMES)).set_axis([7, 3, 5]).to_parquet("pandas-index.parquet")
pd.DataFrame(columns(finished_at=TIMES, uin=[float(row["uin"]) for row in ROWS])).to_parquet("pandas-float-uin.parquet", index=False)
pd.DataFrame(columns(finished_at=[time.replace(tzinfo=None) for time in TIMES])).to_parquet("pandas-without-zone.parquet", index=False)
pd.DataFrame(columns(finished_at=TIMES, duration_ms=pd.to_timedelta(durations, unit="ms"))).to_parquet("pandas-timedelta.parquet", index=False)

write("integer-ids.parquet", columns(id=[int(row["id"]) for row in ROWS]))
write("decimals.parquet", columns(id=whole(texts("id"), 38, 0), uin=whole(texts("uin"), 38, 0), appid=whole(texts("appid"), 18, 0),
                                  duration_ms=whole(durations, 9, 2)))
write("binary-texts.parquet", columns(**{name: pa.array([text.encode() for text in texts(name)]) for name in ("id", "task_type", "status")},
                                      **{"parameters.type": pa.array([b"Standard"] * 3)}), store_schema=False)
write("float-durations.parquet", columns(duration_ms=[float(duration) for duration in durations]))
write("map.parquet", columns(parameters=pa.array(pairs, pa.map_(pa.string(), pa.string())), **without))
write("int96.parquet", columns(), use_deprecated_int96_timestamps=True, store_schema=False)
write("json-and-uuid.parquet", columns(parameters=pa.array([json.dumps(row["parameters"]) for row in ROWS], pa.string()).cast(pa.json_()),
                                       task_id=pa.array([bytes(range(16))] * 3, pa.uuid()), **without))
write("unknown-columns.parquet", columns(tags=pa.array([None, ["x"], None], pa.list_(pa.string())), price=whole([1, 1, 1], 9, 2),
                                         note=pa.array([None] * 3, pa.time64("us"))) | {"price": pa.array([None, None, decimal.Decimal("1.5")])})
for codec in ("snappy", "gzip", "zstd", "brotli", "lz4"):
    write(f"nulls-{codec}.parquet", columns(event_id=[None, "x", None]), compression=codec, data_page_version="1.0", store_schema=False)
write("nulls-v2.parquet", columns(event_id=[None, "x", None]), data_page_version="2.0", compression="zstd", use_dictionary=False,
      column_encoding={"id": "DELTA_BYTE_ARRAY", "duration_ms": "DELTA_BINARY_PACKED", "event_id": "DELTA_LENGTH_BYTE_ARRAY"})
write("list-as-id.parquet", columns(id=pa.array([[text] for text in texts("id")])))
write("list-as-parameters.parquet", columns(parameters=pa.array([["x"]] * 3), **without))

duckdb.sql("""COPY (SELECT CAST(id AS BIGINT) AS id, CAST(uin AS UBIGINT) AS uin, CAST(appid AS DECIMAL(12, 0)) AS appid, task_type, parameters,
    CAST(duration_ms AS HUGEINT) AS duration_ms, CAST(finished_at AS TIMESTAMPTZ) AS finished_at, status
    FROM read_json('records.ndjson', columns = {id: 'VARCHAR', uin: 'VARCHAR', appid: 'VARCHAR', task_type: 'VARCHAR', parameters: 'JSON',
    duration_ms: 'BIGINT', finished_at: 'VARCHAR', status: 'VARCHAR'})) TO 'duckdb-json.parquet' (FORMAT parquet)""")
duckdb.sql("""COPY (SELECT id, uin, appid, task_type, parameters, duration_ms::DECIMAL(9, 1) AS duration_ms, finished_at::TIMESTAMPTZ AS finished_at, status::ENUM('SUCCESS', 'FAIL') AS status
    FROM read_json('records.ndjson')) TO 'duckdb-struct.parquet' (FORMAT parquet)""")

from pyspark.sql import SparkSession, functions as f

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "Asia/Shanghai").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
read = spark.read.json("records.ndjson").withColumn("finished_at", f.to_timestamp("finished_at"))
read = read.withColumn("uin", f.col("uin").cast("decimal(38,0)")).withColumn("parameters", f.create_map(
    f.lit("type"), f.col("parameters.type"), f.lit("codec"), f.col("parameters.codec")))
for name, kind in (("spark.parquet", "INT96"), ("spark-micros.parquet", "TIMESTAMP_MICROS")):
    spark.conf.set("spark.sql.parquet.outputTimestampType", kind)
    read.coalesce(1).write.mode("overwrite").parquet("spark-out")
    shutil.move(glob.glob("spark-out/part-*.parquet")[0], name)
    shutil.rmtree("spark-out")

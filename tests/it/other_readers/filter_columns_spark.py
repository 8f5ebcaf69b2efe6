"""As filter_columns.py, with Spark at its default settings, over all files of a kind in the folder of books: python3 ... BOOKS.

The reference is pyarrow's, which reads a file whole."""

import datetime
import glob
import sys
from decimal import Decimal

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pyspark.sql import SparkSession, functions

VALUES = 2  # of each column

# pyarrow has instants of nanoseconds as such, Spark as whole numbers.
session = SparkSession.builder.master("local[2]").appName("filter_columns")
session = session.config("spark.sql.legacy.parquet.nanosAsLong", "true").config("spark.ui.enabled", "false")
spark = session.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def whole(paths):
    return pyarrow.concat_tables(with_plain_types(pyarrow.parquet.ParquetFile(path).read()) for path in paths)


def with_plain_types(table):
    # A file that has its Arrow schema with it has texts as views; one without has plain ones.
    for at, field in enumerate(table.schema):
        if pyarrow.types.is_timestamp(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pyarrow.int64()))
        elif pyarrow.types.is_string_view(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pyarrow.string()))
    return table


def literal(value, kind):
    # Spark has unsigned 64-bit numbers as decimals.
    if pyarrow.types.is_uint64(kind):
        return functions.lit(Decimal(value)).cast("decimal(20,0)")
    if isinstance(value, datetime.date):
        return functions.lit(value.isoformat()).cast("date")
    return functions.lit(bytearray(value) if isinstance(value, bytes) else value)


def differences(paths):
    frame, table = spark.read.parquet(*paths), whole(paths)
    for name in table.column_names:
        column, expected = functions.col(name), table.column(name)
        filters = [("is not null", column.isNotNull(), len(expected) - expected.null_count)]
        filters.append(("is null", column.isNull(), expected.null_count))
        counts = pyarrow.compute.value_counts(expected.drop_null()).to_pylist()
        counts.sort(key=lambda counted: (-counted["counts"], str(counted["values"])))
        for counted in counts[:VALUES]:
            value = counted["values"]
            filters.append((f"= {value!r}", column == literal(value, expected.type), counted["counts"]))
        for text, condition, rows in filters:
            found = frame.where(condition).count()
            if found != rows:
                yield f"{name} {text}: {found} rows, there are {rows}"


wrong = 0
for kind in ("raw", "log", "usage", "unmetered"):
    paths = sorted(glob.glob(f"{sys.argv[1]}/{kind}/**/*.parquet", recursive=True))
    lost = list(differences(paths)) if paths else ["there is no file of this kind"]
    wrong += len(lost)
    print(f"{kind}: {len(paths)} files, {len(lost)} filters lose rows")
    for line in lost[:5]:
        print(f"  {line}")
spark.stop()
sys.exit(1 if wrong else 0)

"""A collection of MongoDB: how it is filled, and a plain client that reads it.

    collection.py URL      reads all documents in their order, and counts them

Needs: pip install pymongo
"""
import datetime as dt
import itertools
import json
import sys

DATABASE, COLLECTION = "tallybook_bench", "task_usage"
BATCH = 10_000
# Each second has a hundred documents.
FIRST, STEP = dt.datetime(2026, 10, 1, tzinfo=dt.timezone.utc), dt.timedelta(milliseconds=10)


class Mongodb:
    is_used_up = False

    def __init__(self, options, records):
        self.records, self.url = records, options.variable("TALLYBOOK_TEST_MONGODB")

    def fill(self):
        self.remove()
        collection = opened(self.url)
        collection.create_index([("seen", 1), ("_id", 1)])
        with open(self.records, encoding="utf-8") as records:
            documents = (document(number, json.loads(line)) for number, line in enumerate(records))
            while batch := list(itertools.islice(documents, BATCH)):
                collection.insert_many(batch, ordered=False)

    def reader(self):
        return [sys.executable, __file__, self.url]

    def definition(self):
        names = ("uin", "appid", "task_type", "parameters", "duration_ms", "status", "finished_at")
        return {
            "kind": "mongodb",
            "url": self.url,
            "database": DATABASE,
            "collection": COLLECTION,
            "from": "2026-10-01T00:00:00Z",
            "cursor": "seen",
            "overlap": "10m",
            "columns": {"id": "_id"} | {name: name for name in names},
        }

    def remove(self):
        opened(self.url).database.client.drop_database(DATABASE)


def opened(url):
    import pymongo

    return pymongo.MongoClient(url)[DATABASE][COLLECTION]


def document(number, record):
    parameters = {name: value for name, value in record["parameters"].items() if value is not None}
    finished_at = dt.datetime.fromisoformat(record["finished_at"].replace("Z", "+00:00"))
    del record["source"]
    return record | {
        "_id": record.pop("id"),
        "seen": FIRST + number * STEP,
        "uin": int(record["uin"]),
        "parameters": parameters,
        "finished_at": finished_at,
    }


def read(url):
    """The documents as the server sends them, without taking them apart: each begins with its length."""
    count = 0
    for batch in opened(url).find_raw_batches({}, batch_size=BATCH).sort([("seen", 1), ("_id", 1)]):
        at = 0
        while at < len(batch):
            at += int.from_bytes(batch[at : at + 4], "little")
            count += 1
    return count


if __name__ == "__main__":
    print(read(sys.argv[1]), "documents")

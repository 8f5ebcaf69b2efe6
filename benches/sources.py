#!/usr/bin/env python3
"""A month of usage as each kind of source has it: `pull`, beside a plain client that only reads it. Then the exports of the pulled books must
be those of the same records from a file, to the byte.

    .ci/object-stores .ci/mongodb-server .ci/kafka-server python3 benches/sources.py
        [--rows 1000000] [--kinds folder,s3,cos,postgres,mysql,mongodb,amqp,nats,cmq,kafka] [--set max_messages=10000]...
        [--binary PATH] [--rate-cards DIR] [--work DIR]

The program must be built with `--features all-sources`. Servers are those of the tests: TALLYBOOK_TEST_POSTGRES, TALLYBOOK_TEST_MYSQL,
TALLYBOOK_TEST_AMQP, TALLYBOOK_TEST_NATS and what the three commands before python3 start (each may be left out with its kinds). CMQ is a
loopback server of this folder. All run on this machine and take a part of its processors. Each kind makes one database, queue, stream or
bucket with `bench` in its name, and removes it at its end.

Each kind: its place is filled with the records; a plain client reads all of them (and acknowledges, where it is a queue) and keeps nothing;
`pull` reads them into new books; a night makes the exports, which must be the same as those of the file, manifests too. The ratio is the
client's time by that of the pull. The topic of Kafka is filled and read in four parts: the imitation of a broker sends all that there is in
one answer, of which a client takes 100 MB. CPU seconds are those of the client's or the pull's own process.

Needs: pip install polars numpy; for mongodb pymongo; for kafka confluent-kafka; for postgres the program psql, for mysql the program mariadb
"""
import argparse
import functools
import hashlib
import json
import operator
import os
import sys

import process

sys.path.insert(0, str(process.BENCHES / "places"))

import amqp
import cmq
import collection
import kafka
import nats
import objects
import tables

# The generated month is October 2026 in UTC+8; it is due on 4 November.
AS_OF = "2026-11-05T20:00:00Z"
# The source of the generated records.
SOURCE = "mps"

PLACES = {
    "folder": objects.Folder,
    "s3": objects.S3,
    "cos": objects.Cos,
    "postgres": tables.Postgres,
    "mysql": tables.Mysql,
    "mongodb": collection.Mongodb,
    "amqp": amqp.Amqp,
    "nats": nats.Nats,
    "cmq": cmq.Cmq,
    "kafka": kafka.Kafka,
}


def main():
    options = arguments()
    records = in_order(options)
    print(f"{options.rows:,} records, {records.stat().st_size / 2**20:,.0f} MiB; seconds, CPU seconds, peak memory, records/s")
    filed = process.fresh(options.work / "filed")
    tell(options, "file: ingest", process.tallybook(options, filed, AS_OF, "ingest", "--source", SOURCE, records))
    process.tallybook(options, filed, AS_OF, "nightly")
    expected = exports(filed)
    for kind in options.kinds:
        place = PLACES[kind](options, records)
        try:
            compare(options, kind, place, expected)
        finally:
            place.remove()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    process.add_common(parser)
    parser.set_defaults(rows=1_000_000)
    parser.add_argument("--kinds", default=",".join(PLACES), help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=NUMBER", help="a key of the definitions of queues")
    options = parser.parse_args(namespace=Options())
    options.kinds = options.kinds.split(",")
    for kind in options.kinds:
        if kind not in PLACES:
            parser.error(f"{kind} is no kind")
    process.prepare(options)
    return options


class Options(argparse.Namespace):
    def variable(self, name):
        """The URL of a server."""
        return os.environ.get(name) or sys.exit(f"{name} names no server; leave its kind out with --kinds")

    def secret(self, name, text):
        """A file with a secret."""
        path = self.work / name
        path.write_text(text)
        path.chmod(0o600)
        return path


def in_order(options):
    """The records in the order of their times, as a service sends them, and each of them once, as a table has them."""
    path = options.work / f"usage-{options.rows}-in-order.ndjson"
    if not path.exists():
        unordered = process.generated(options.work / f"usage-{options.rows}-once.ndjson", "--rows", options.rows, "--repeats", 0)
        lines = unordered.read_bytes().splitlines(keepends=True)
        lines.sort(key=lambda line: line.rsplit(b'"finished_at":', 1)[1])
        path.write_bytes(b"".join(lines))
    return process.cached(path)


def compare(options, kind, place, expected):
    config = options.work / f"{kind}.toml"
    config.write_text(toml(place.definition() | queue_keys(options, place)), encoding="utf-8")
    pulled = process.fresh(options.work / "pulled")
    clients, pulls = [], []
    for _ in range(getattr(place, "parts", 1)):
        place.fill()
        clients.append(process.run(place.reader(), options.work / "client.log"))
        if place.is_used_up:
            place.fill()
        pulls.append(process.tallybook(options, pulled, AS_OF, "--config", config, "pull", SOURCE))
    client, pull = (functools.reduce(operator.add, measures) for measures in (clients, pulls))
    tell(options, f"{kind}: client", client)
    tell(options, f"{kind}: pull", pull, f"ratio {client.seconds / pull.seconds:.2f}")
    process.tallybook(options, pulled, AS_OF, "--config", config, "nightly")
    found = exports(pulled)
    if found != expected:
        differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        sys.exit(f"{kind}: other exports than those of the file: {', '.join(differing)}")
    print(f"{kind}: {len(found)} exported files are the same to the byte", flush=True)


def queue_keys(options, place):
    pairs = [pair.split("=", 1) for pair in options.set] if place.is_used_up else []
    return {key: int(value) for key, value in pairs}


def toml(definition):
    tables = {key: value for key, value in definition.items() if isinstance(value, dict)}
    lines = [f"[source.{SOURCE}]", *(f"{key} = {literal(value)}" for key, value in definition.items() if key not in tables)]
    for name, table in tables.items():
        lines += [f"[source.{SOURCE}.{name}]", *(f"{key} = {literal(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def literal(value):
    return json.dumps(value if isinstance(value, (bool, int, list)) else str(value))


def tell(options, what, measure, more=""):
    took = f"{measure.seconds:8.2f} s {measure.cpu_seconds:8.2f} s {measure.peak_mib:6.0f} MiB {options.rows / measure.seconds:11,.0f}/s"
    print(f"{what:18} {took}  load {os.getloadavg()[0]:.1f}  {more}", flush=True)


def exports(data):
    """The digest of each exported file."""
    root = data / "exports"
    found = {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}
    return found or sys.exit(f"{data} has no exports")


if __name__ == "__main__":
    main()

"""A topic of Kafka: how it is filled, and a plain client that reads it, by the library that the program has, too.

    kafka.py BROKER TOPIC OFFSET ROWS      reads so many messages, from an offset of every partition on
"""
import itertools
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC, PARTITIONS = "tallybook-bench", 8
# A time before all messages.
FROM = "2020-01-01T00:00:00Z"
# For how long the broker may say nothing.
PATIENCE_S = 30


class Kafka:
    is_used_up = False
    # The imitation of a broker sends all that there is in one answer, of which a client takes 100 MB.
    parts = 4

    def __init__(self, options, records):
        self.rows, self.broker = options.rows // self.parts, options.variable("TALLYBOOK_TEST_KAFKA")
        self.admin = AdminClient({"bootstrap.servers": self.broker})
        self.records = open(records, "rb")
        self.filled = 0
        self.remove()
        wait(self.admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]))

    def fill(self):
        """Sends the next part of the records."""
        producer = Producer({"bootstrap.servers": self.broker, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
        failed = []
        for number, line in enumerate(itertools.islice(self.records, self.rows)):
            told = lambda error, _: error and failed.append(error)
            producer.produce(TOPIC, line.rstrip(b"\n"), partition=number % PARTITIONS, on_delivery=told)
            if number % 1_000 == 0:
                producer.poll(0)
        if producer.flush(PATIENCE_S) or failed:
            raise ConnectionError(f"not all messages were taken: {failed[:1]}")
        self.filled += self.rows

    def reader(self):
        """Reads the part that was sent last."""
        return [sys.executable, __file__, self.broker, TOPIC, (self.filled - self.rows) // PARTITIONS, self.rows]

    def definition(self):
        return {"kind": "kafka", "format": "ndjson", "brokers": [self.broker], "topic": TOPIC, "tls": False, "from": FROM}

    def remove(self):
        if TOPIC in self.admin.list_topics(timeout=PATIENCE_S).topics:
            wait(self.admin.delete_topics([TOPIC]))


def wait(futures):
    for future in futures.values():
        future.result(PATIENCE_S)


def read(broker, topic, offset, rows):
    """Reads so many messages, from an offset of every partition on. Returns the bytes of their bodies."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "tallybook-bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, offset) for partition in range(PARTITIONS)])
    count = size = 0
    while count < rows:
        messages = consumer.consume(10_000, PATIENCE_S)
        if not messages:
            raise ConnectionError(f"{count} messages came, and then none")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            size += len(message.value())
        count += len(messages)
    consumer.close()
    return size


if __name__ == "__main__":
    print(read(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

"""A stream of NATS JetStream: how it is filled, and a plain client that reads it. It speaks the protocol itself, on a bare socket, so that
what is compared is the server's speed and no library's.

    nats.py URL ROWS      fetches so many messages with a pull consumer, 1,000 at a time, and acknowledges each
"""
import json
import socket
import sys
import urllib.parse

STREAM, SUBJECT, CONSUMER = "TALLYBOOK_BENCH", "tallybook.bench", "bench"
INBOX = "_INBOX.tallybook-bench"
# Messages that are published, or fetched, before an answer is waited for.
WINDOW = 1_000
SECOND_NS = 1_000_000_000


class Nats:
    is_used_up = True

    def __init__(self, options, records):
        self.records, self.rows, self.url = records, options.rows, options.variable("TALLYBOOK_TEST_NATS")

    def fill(self):
        connection = Connection(self.url)
        connection.delete()
        connection.make()
        connection.publish(self.records)

    def reader(self):
        return [sys.executable, __file__, self.url, self.rows]

    def definition(self):
        return {"kind": "nats", "format": "ndjson", "url": self.url, "stream": STREAM, "consumer": CONSUMER}

    def remove(self):
        Connection(self.url).delete()


class Connection:
    def __init__(self, url):
        url = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((url.hostname, url.port or 4222))
        self.lines = self.socket.makefile("rb", 1 << 20)
        login = {"user": url.username, "pass": url.password} if url.username else {}
        connect = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python", "version": "1", **login}
        self.socket.sendall(f"CONNECT {json.dumps(connect)}\r\nSUB {INBOX} 1\r\nPING\r\n".encode())
        while (line := self.lines.readline()) != b"PONG\r\n":
            if not line.startswith(b"INFO "):
                raise ConnectionError(line.decode())

    def next(self):
        """The next message: the subject of its answer, its headers and its body."""
        while True:
            words = self.lines.readline().split()
            if words[:1] == [b"PING"]:
                self.socket.sendall(b"PONG\r\n")
                continue
            if words[:1] not in ([b"MSG"], [b"HMSG"]):
                raise ConnectionError(f"a message was expected, and {words} came")
            size = int(words[-1])
            data = self.lines.read(size + 2)[:size]
            of_head = int(words[-2]) if words[0] == b"HMSG" else 0
            reply = words[3] if len(words) == (6 if of_head else 5) else b""
            return reply, data[:of_head], data[of_head:]

    def ask(self, subject, request):
        body = json.dumps(request).encode()
        self.socket.sendall(f"PUB {subject} {INBOX} {len(body)}\r\n".encode() + body + b"\r\n")
        return json.loads(self.next()[2])

    def make(self):
        """The stream, on disk, and a durable consumer of it."""
        stream = {"name": STREAM, "subjects": [SUBJECT], "storage": "file", "retention": "limits", "num_replicas": 1}
        consumer = {
            "durable_name": CONSUMER,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": 60 * SECOND_NS,
            "max_deliver": -1,
            "max_ack_pending": 20_000,
            "replay_policy": "instant",
        }
        for subject, request in (
            (f"STREAM.CREATE.{STREAM}", stream),
            (f"CONSUMER.DURABLE.CREATE.{STREAM}.{CONSUMER}", {"stream_name": STREAM, "config": consumer}),
        ):
            answer = self.ask(f"$JS.API.{subject}", request)
            if "error" in answer:
                raise ConnectionError(answer["error"])

    def delete(self):
        self.ask(f"$JS.API.STREAM.DELETE.{STREAM}", {})

    def publish(self, path):
        """Sends each line of a file as a message. Messages are stored in order: the answer to the last of a window stands for all."""
        with open(path, "rb") as lines:
            part, sent = [], 0
            for line in lines:
                body = line.rstrip(b"\n")
                sent += 1
                is_last = sent % WINDOW == 0
                part.append(b"PUB %s %s%d\r\n%s\r\n" % (SUBJECT.encode(), f"{INBOX} ".encode() if is_last else b"", len(body), body))
                if is_last:
                    self.socket.sendall(b"".join(part))
                    self.next()
                    part.clear()
        self.socket.sendall(b"".join(part))
        stored = self.ask(f"$JS.API.STREAM.INFO.{STREAM}", {})["state"]["messages"]
        if stored != sent:
            raise ConnectionError(f"{sent} messages were published, and {stored} are stored")

    def read(self, rows):
        """Fetches and acknowledges so many messages. Returns the bytes of their bodies."""
        count = size = 0
        while count < rows:
            wanted = min(WINDOW, rows - count)
            request = json.dumps({"batch": wanted, "expires": 5 * SECOND_NS}).encode()
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}"
            self.socket.sendall(f"PUB {subject} {INBOX} {len(request)}\r\n".encode() + request + b"\r\n")
            acknowledged = []
            for _ in range(wanted):
                reply, head, body = self.next()
                if not reply:
                    raise ConnectionError(f"after {count} messages: {head!r}")
                acknowledged.append(b"PUB %s 0\r\n\r\n" % reply)
                count, size = count + 1, size + len(body)
            self.socket.sendall(b"".join(acknowledged))
        # The server has taken all that was sent before it answers.
        self.ask(f"$JS.API.CONSUMER.INFO.{STREAM}.{CONSUMER}", {})
        return size


if __name__ == "__main__":
    print(Connection(sys.argv[1]).read(int(sys.argv[2])), "bytes")

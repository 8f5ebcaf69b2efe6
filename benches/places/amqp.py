"""A queue of a broker that speaks AMQP 0-9-1: how it is filled, and a plain client that reads it. It speaks the protocol itself, on a bare
socket, so that what is compared is the broker's speed and no library's.

    amqp.py URL QUEUE ROWS      reads so many messages and acknowledges them, 1,000 at a time
"""
import socket
import struct
import sys
import urllib.parse

QUEUE = "tallybook-bench"

METHOD, HEADER, BODY = 1, 2, 3
FRAME_END = b"\xce"
# Deliveries that are not acknowledged, at most, and how many an acknowledgement takes.
PREFETCH, SHARE = 2_000, 1_000
# Publishes that wait for the broker's confirmation.
WINDOW = 10_000
PERSISTENT = struct.pack(">HB", 0x1000, 2)


class Amqp:
    is_used_up = True

    def __init__(self, options, records):
        self.records, self.rows, self.url = records, options.rows, options.variable("TALLYBOOK_TEST_AMQP")
        self.password_file = options.secret("amqp-password", urllib.parse.urlsplit(self.url).password)

    def fill(self):
        connection = Connection(self.url)
        connection.delete(QUEUE)
        connection.declare(QUEUE)
        connection.publish(QUEUE, self.records)

    def reader(self):
        return [sys.executable, __file__, self.url, QUEUE, self.rows]

    def definition(self):
        url = urllib.parse.urlsplit(self.url)
        return {
            "kind": "amqp",
            "format": "ndjson",
            "url": f"amqp://{url.hostname}:{url.port or 5672}{url.path}",
            "queue": QUEUE,
            "user": url.username,
            "password_file": self.password_file,
        }

    def remove(self):
        Connection(self.url).delete(QUEUE)


def short(text):
    return bytes([len(text)]) + text.encode()


def long(data):
    return struct.pack(">I", len(data)) + data


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


class Connection:
    """A connection with one channel."""

    def __init__(self, url):
        url = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((url.hostname, url.port or 5672))
        self.buffer, self.at = b"", 0
        self.socket.sendall(b"AMQP\0\0\x09\x01")
        self.wait(10, 10)
        login = f"\0{url.username}\0{url.password}".encode()
        self.send(10, 11, long(b"") + short("PLAIN") + long(login) + short("en_US"), channel=0)
        channels, largest, _ = struct.unpack_from(">HIH", self.wait(10, 30))
        self.send(10, 31, struct.pack(">HIH", channels, largest, 0), channel=0)
        self.send(10, 40, short(urllib.parse.unquote(url.path[1:]) or "/") + short("") + b"\0", channel=0)
        self.wait(10, 41)
        self.send(20, 10, short(""))
        self.wait(20, 11)

    def send(self, of_class, method, arguments, channel=1):
        self.socket.sendall(frame(METHOD, channel, struct.pack(">HH", of_class, method) + arguments))

    def frames(self):
        """The frames that came: kind and payload. Waits for at least one."""
        while True:
            while len(self.buffer) - self.at < 7 or len(self.buffer) - self.at < 8 + self.length():
                data = self.socket.recv(1 << 20)
                if not data:
                    raise ConnectionError("the broker ended the connection")
                self.buffer, self.at = self.buffer[self.at :] + data, 0
            begin, length = self.at + 7, self.length()
            kind = self.buffer[self.at]
            self.at = begin + length + 1
            yield kind, self.buffer[begin : begin + length]

    def length(self):
        return int.from_bytes(self.buffer[self.at + 3 : self.at + 7], "big")

    def wait(self, of_class, method):
        """The arguments of the next method, which must be this one."""
        kind, payload = next(self.frames())
        found = struct.unpack_from(">HH", payload) if kind == METHOD else kind
        if found != (of_class, method):
            raise ConnectionError(f"method {of_class}.{method} was expected, and {found} came: {payload!r}")
        return payload[4:]

    def declare(self, queue):
        """Makes a durable queue."""
        self.send(50, 10, b"\0\0" + short(queue) + b"\x02" + long(b""))
        self.wait(50, 11)

    def delete(self, queue):
        self.send(50, 40, b"\0\0" + short(queue) + b"\0")
        self.wait(50, 41)

    def publish(self, queue, path):
        """Sends each line of a file as a durable message, and waits until the broker has confirmed all."""
        self.send(85, 10, b"\0")
        self.wait(85, 11)
        method = frame(METHOD, 1, struct.pack(">HH", 60, 40) + b"\0\0" + short("") + short(queue) + b"\0")
        sent, part = 0, []
        with open(path, "rb") as lines:
            for line in lines:
                body = line.rstrip(b"\n")
                part.append(method + frame(HEADER, 1, struct.pack(">HHQ", 60, 0, len(body)) + PERSISTENT) + frame(BODY, 1, body))
                sent += 1
                if len(part) == WINDOW:
                    self.socket.sendall(b"".join(part))
                    self.confirmed(sent)
                    part.clear()
        self.socket.sendall(b"".join(part))
        self.confirmed(sent)

    def confirmed(self, sent):
        """Waits until each publish so far is confirmed; confirmations may come in any order."""
        if not hasattr(self, "open"):
            self.open, self.known = set(), 0
        self.open.update(range(self.known + 1, sent + 1))
        self.known = sent
        while self.open:
            tag, several = struct.unpack_from(">QB", self.wait(60, 80))
            self.open.difference_update([one for one in self.open if one <= tag] if several else [tag])

    def read(self, queue, rows):
        """Reads and acknowledges so many messages. Returns the bytes of their bodies."""
        self.send(60, 10, struct.pack(">IHB", 0, PREFETCH, 0))
        self.wait(60, 11)
        self.send(60, 20, b"\0\0" + short(queue) + short("bench") + b"\0" + long(b""))
        self.wait(60, 21)
        count = size = 0
        for kind, payload in self.frames():
            if kind != BODY:
                continue
            count, size = count + 1, size + len(payload)
            # Tags count deliveries from 1; a record is small enough for one frame.
            if count % SHARE == 0 or count == rows:
                self.send(60, 80, struct.pack(">QB", count, 1))
            if count == rows:
                break
        # The answer to a method comes after the acknowledgement was taken.
        self.send(20, 40, struct.pack(">H", 200) + short("") + b"\0\0\0\0")
        self.wait(20, 41)
        return size


if __name__ == "__main__":
    print(Connection(sys.argv[1]).read(sys.argv[2], int(sys.argv[3])), "bytes")

"""A loopback server that keeps the rules of TDMQ for CMQ as far as a pull meets them: signatures, used nonces, codes, calls of 16 messages,
messages that are hidden for a while, handles that only the newest receive makes good.

    cmq_server.py RECORDS      a queue with a message for each line; prints the port, and serves until its standard input ends
"""
import base64
import collections
import hashlib
import hmac
import itertools
import json
import socketserver
import sys
import threading
import time
import urllib.parse

SECRET_ID, SECRET_KEY = "AKIDofTheBench", "keyOfTheBench"
QUEUE, PATH = "bench", "/v2/index.php"
VISIBILITY_S = 60
BATCH = 16


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.answer = {"code": code, "message": message, "requestId": "1"}


class Queue:
    def __init__(self, bodies):
        self.visible = collections.deque((f"CMQ-{number}", body) for number, body in enumerate(bodies))
        self.enqueued = int(time.time())
        # By handle, in the order in which they become visible again.
        self.hidden = collections.OrderedDict()
        self.numbers, self.nonces = itertools.count(), set()

    def answer(self, host, values):
        self.check(host, values)
        if values.get("queueName", "").lower() != QUEUE:
            raise Refused(4440, "queue does not exist")
        self.show_again()
        if values["Action"] == "BatchReceiveMessage":
            return {"msgInfoList": self.receive(int(values.get("numOfMsg", 0)))}
        if values["Action"] == "BatchDeleteMessage":
            return self.delete(values)
        raise Refused(4000, "unknown action")

    def check(self, host, values):
        pairs = sorted((name.replace("_", "."), value) for name, value in values.items() if name != "Signature")
        text = f"POST{host}{PATH}?" + "&".join(f"{name}={value}" for name, value in pairs)
        signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), text.encode(), hashlib.sha256)).decode()
        if values.get("SecretId") != SECRET_ID or values.get("Signature") != signature:
            raise Refused(4100, "authorization fail")
        once = values.get("Timestamp"), values.get("Nonce")
        if once in self.nonces:
            raise Refused(4000, "this timestamp and nonce were used before")
        self.nonces.add(once)

    def show_again(self):
        now = time.time()
        while self.hidden:
            handle, (message, until) = next(iter(self.hidden.items()))
            if now < until:
                return
            del self.hidden[handle]
            self.visible.append(message)

    def receive(self, wanted):
        if not 1 <= wanted <= BATCH:
            raise Refused(4000, "numOfMsg is from 1 to 16")
        if not self.visible:
            raise Refused(7000, "(10200)no message")
        until, found = time.time() + VISIBILITY_S, []
        for _ in range(min(wanted, len(self.visible))):
            message = self.visible.popleft()
            handle = f"{message[0]}-{next(self.numbers)}"
            self.hidden[handle] = message, until
            found.append({
                "msgId": message[0],
                "msgBody": message[1],
                "receiptHandle": handle,
                "enqueueTime": self.enqueued,
                "nextVisibleTime": int(until),
                "firstDequeueTime": self.enqueued,
                "dequeueCount": 1,
            })
        return found

    def delete(self, values):
        handles = [value for name, value in values.items() if name.startswith("receiptHandle.")]
        if not 1 <= len(handles) <= BATCH:
            raise Refused(4000, "1 to 16 handles are expected")
        wrong = [handle for handle in handles if self.hidden.pop(handle, None) is None]
        if not wrong:
            return {}
        refused = Refused(6020 if len(wrong) == len(handles) else 6010, "delete failed")
        refused.answer["errorList"] = [{"code": 4430, "message": "receipt handle is invalid", "receiptHandle": one} for one in wrong]
        raise refused


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self):
        while first := self.rfile.readline():
            headers = {}
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            form = self.rfile.read(int(headers.get("content-length", 0))).decode()
            if first.split()[:2] != [b"POST", PATH.encode()]:
                return
            body = json.dumps(self.answered(headers["host"], dict(urllib.parse.parse_qsl(form, keep_blank_values=True)))).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.wfile.flush()

    def answered(self, host, values):
        try:
            with self.server.lock:
                return {"code": 0, "message": "", "requestId": "1"} | self.server.queue.answer(host, values)
        except Refused as refused:
            return refused.answer


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        queue = Queue(line.rstrip("\n") for line in lines)
    server = Server(("127.0.0.1", 0), Handler)
    server.queue, server.lock = queue, threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

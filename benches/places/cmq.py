"""A queue of TDMQ for CMQ: a loopback server with the service's rules, and a plain client that reads it.

    cmq.py PORT ROWS      receives and deletes so many messages, 16 a call, over one connection
"""
import base64
import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import time
import urllib.parse

import cmq_server


class Cmq:
    is_used_up = True

    def __init__(self, options, records):
        self.records, self.rows, self.server = records, options.rows, None
        self.id_file = options.secret("cmq-id", cmq_server.SECRET_ID)
        self.key_file = options.secret("cmq-key", cmq_server.SECRET_KEY)

    def fill(self):
        self.remove()
        command = [sys.executable, cmq_server.__file__, str(self.records)]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())

    def reader(self):
        return [sys.executable, __file__, self.port, self.rows]

    def definition(self):
        return {
            "kind": "cmq",
            "format": "ndjson",
            "endpoint": f"http://127.0.0.1:{self.port}",
            "queue": cmq_server.QUEUE,
            "secret_id_file": self.id_file,
            "secret_key_file": self.key_file,
            "visibility_s": cmq_server.VISIBILITY_S,
            "warn_age_s": 3600,
        }

    def remove(self):
        if self.server:
            self.server.stdin.close()
            self.server.wait()
            self.server = None


class Client:
    """Signs and sends calls, as the vendor's own client does."""

    def __init__(self, port):
        self.host, self.nonce = f"127.0.0.1:{port}", 0
        self.connection = http.client.HTTPConnection(self.host)

    def call(self, action, values):
        self.nonce += 1
        values |= {
            "Action": action,
            "queueName": cmq_server.QUEUE,
            "SecretId": cmq_server.SECRET_ID,
            "SignatureMethod": "HmacSHA256",
            "Timestamp": str(int(time.time())),
            "Nonce": str(self.nonce),
        }
        text = f"POST{self.host}{cmq_server.PATH}?" + "&".join(f"{name}={values[name]}" for name in sorted(values))
        signature = hmac.digest(cmq_server.SECRET_KEY.encode(), text.encode(), hashlib.sha256)
        body = urllib.parse.urlencode(values | {"Signature": base64.b64encode(signature)})
        self.connection.request("POST", cmq_server.PATH, body)
        answer = json.loads(self.connection.getresponse().read())
        if answer["code"] != 0:
            raise SystemExit(f"{action}: {answer}")
        return answer


def read(port, rows):
    client, count = Client(port), 0
    while count < rows:
        messages = client.call("BatchReceiveMessage", {"numOfMsg": "16", "pollingWaitSeconds": "0"})["msgInfoList"]
        client.call("BatchDeleteMessage", {f"receiptHandle.{at}": one["receiptHandle"] for at, one in enumerate(messages)})
        count += len(messages)
    return count


if __name__ == "__main__":
    print(read(int(sys.argv[1]), int(sys.argv[2])), "messages")

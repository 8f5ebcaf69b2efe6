"""Files in a folder, and objects in a bucket of S3 or COS: how they are made, and plain clients that read them.

    objects.py s3|cos ENDPOINT NAME...      asks for one object after the other over one connection, and counts lines
"""
import datetime as dt
import hashlib
import hmac
import http.client
import os
import sys
import time
import urllib.parse

OBJECTS = 20
# Before the files are read, and after `from`.
WRITTEN = dt.datetime(2026, 10, 31, tzinfo=dt.timezone.utc).timestamp()
FROM = "2020-01-01T00:00:00Z"


def parts(folder, records):
    """The records in so many files of one size."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"usage-{number:04}.ndjson" for number in range(OBJECTS)]
    share = -(-records.stat().st_size // OBJECTS)
    with open(records, "rb") as lines:
        for path in paths:
            path.write_bytes(b"".join(lines.readlines(share)))
            os.utime(path, (WRITTEN, WRITTEN))
        if lines.readline():
            sys.exit(f"{records} has more lines than its files")
    return paths


class Folder:
    is_used_up = False

    def __init__(self, options, records):
        self.folder, self.records = options.work / "folder", records

    def fill(self):
        self.paths = parts(self.folder, self.records)

    def reader(self):
        return ["wc", "--lines", *self.paths]

    def definition(self):
        return {"kind": "folder", "path": self.folder, "from": FROM}

    def remove(self):
        for path in self.folder.glob("*"):
            path.unlink()


class Bucket:
    is_used_up = False

    def __init__(self, options, records):
        self.folder, self.records = options.work / "objects", records
        self.endpoint = options.variable(self.variable)
        self.id_file = options.secret(f"{self.kind}-id", self.key_id)
        self.key_file = options.secret(f"{self.kind}-key", self.key)

    def fill(self):
        client = Client(self, self.endpoint)
        client.request("PUT", "")
        self.paths = parts(self.folder, self.records)
        for path in self.paths:
            client.request("PUT", path.name, path.read_bytes())

    def reader(self):
        return [sys.executable, __file__, self.kind, self.endpoint, *(path.name for path in self.paths)]

    def definition(self):
        return {
            "kind": self.kind,
            "bucket": self.bucket,
            "bucket_region": self.region,
            "endpoint": self.endpoint,
            "secret_id_file": self.id_file,
            "secret_key_file": self.key_file,
            "from": FROM,
        }

    def remove(self):
        client = Client(self, self.endpoint)
        for path in self.folder.glob("*"):
            client.request("DELETE", path.name)
            path.unlink()


class S3(Bucket):
    kind, variable, bucket, region = "s3", "TALLYBOOK_TEST_S3", "bench", "us-east-1"
    key_id, key = "idOfTheTest", "secretOfTheTest"

    @classmethod
    def signed(cls, server, method, key, body):
        """The path of a request and its headers, with a signature of version 4."""
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        path, digest = f"/{cls.bucket}/{urllib.parse.quote(key)}", hashlib.sha256(body).hexdigest()
        names = "host;x-amz-content-sha256;x-amz-date"
        request = f"{method}\n{path}\n\nhost:{server}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n{names}\n{digest}"
        scope = f"{now[:8]}/{cls.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        secret = f"AWS4{cls.key}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        signature = hmac.digest(secret, text.encode(), "sha256").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={cls.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return path, {"Host": server, "x-amz-content-sha256": digest, "x-amz-date": now, "Authorization": credential}


class Cos(Bucket):
    kind, variable, bucket, region = "cos", "TALLYBOOK_TEST_COS", "bench-1250000001", "ap-guangzhou"
    key_id, key = "AKIDofTheStub", "secretOfTheStub"

    @classmethod
    def signed(cls, _, method, key, __):
        """The path of a request and its headers, with a signature of COS's own kind."""
        host = f"{cls.bucket}.cos.{cls.region}.myqcloud.com"
        span = f"{int(time.time()) - 60};{int(time.time()) + 600}"
        request = hashlib.sha1(f"{method.lower()}\n/{key}\n\nhost={host}\n".encode()).hexdigest()
        sign_key = hmac.digest(cls.key.encode(), span.encode(), "sha1").hex()
        signature = hmac.digest(sign_key.encode(), f"sha1\n{span}\n{request}\n".encode(), "sha1").hex()
        credential = f"q-sign-algorithm=sha1&q-ak={cls.key_id}&q-sign-time={span}&q-key-time={span}&q-header-list=host&q-url-param-list="
        return f"/{urllib.parse.quote(key)}", {"Host": host, "Authorization": f"{credential}&q-signature={signature}"}


class Client:
    """As few lines as a bucket asks for."""

    def __init__(self, bucket, endpoint):
        self.bucket, self.server = bucket, urllib.parse.urlsplit(endpoint).netloc
        self.connection = http.client.HTTPConnection(self.server)

    def request(self, method, key, body=b""):
        path, headers = self.bucket.signed(self.server, method, key, body)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        # A bucket that is there already will do.
        if answer.status not in (200, 204) and not (answer.status == 409 and not key):
            sys.exit(f"{method} {path}: {answer.status} {data[:200]}")
        return data


def main(kind, endpoint, *names):
    client = Client({"s3": S3, "cos": Cos}[kind], endpoint)
    print(sum(client.request("GET", name).count(b"\n") for name in names), "lines")


if __name__ == "__main__":
    main(*sys.argv[1:])

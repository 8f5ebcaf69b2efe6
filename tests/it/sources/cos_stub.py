"""A server that answers as Tencent Cloud COS does, as far as tests need it: COS has no emulator.

    cos_stub.py [PORT]      prints the port, and serves until its standard input ends

It keeps these rules of COS: a bucket stands in the name of the host, and a path that begins with it is refused; requests have COS's own
signature; listings go on after a marker, a thousand keys at a time; If-Match and ranges; archived objects are not given; create-only puts
(x-cos-forbid-overwrite) hold in buckets that never had versions, and in no others. The vendor's SDK is held against it (cos_sdk.py).

    PUT /CLASS/KEY with the host NAME.class puts an object of the bucket NAME into a storage class, such as ARCHIVE.
"""

import email.utils
import hashlib
import hmac
import html
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGION = "ap-guangzhou"
KEYS = {"AKIDofTheStub": "secretOfTheStub", "AKIDthatMayNothing": "secretThatMayNothing"}
TOKENS = {"AKIDofHours": ("secretOfHours", "tokenOfHours")}
PAGE = 1000


class Bucket:
    def __init__(self):
        self.objects = {}  # key: (bytes, etag, time, class)
        self.had_versions = False


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


buckets = {}
lock = threading.Lock()


def encoded(text):
    return urllib.parse.quote(text, safe="-_.~")


def sha1_mac(key, text):
    return hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest()


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def serve(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        self.key = urllib.parse.unquote(path)[1:]
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        try:
            with lock:
                status, headers, body = self.answer()
        except Refused as refused:
            status, headers = refused.status, {"Content-Type": "application/xml"}
            # The real one names the key id, too.
            body = (
                "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>%s</Code><Message>refused %s</Message>"
                "<Resource>%s</Resource><RequestId>1</RequestId><TraceId>2</TraceId></Error>"
                % (refused.code, html.escape(self.headers.get("Authorization", "")), html.escape(self.headers["Host"]))
            ).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = serve

    def answer(self):
        host = self.headers["Host"].split(":")[0]
        if host.endswith(".class"):
            storage_class, _, key = self.key.partition("/")
            objects = buckets[host.removesuffix(".class")].objects
            objects[key] = objects[key][:3] + (storage_class,)
            return 200, {}, b""
        name, found, _ = host.partition(".cos.%s.myqcloud.com" % REGION)
        if not found:
            raise Refused(403, "PathStyleDomainForbidden")
        self.check_signature(host)
        if not self.key and self.command == "PUT" and not self.query:
            buckets.setdefault(name, Bucket())
            return 200, {}, b""
        if name not in buckets:
            raise Refused(404, "NoSuchBucket")
        bucket = buckets[name]
        if not self.key and self.command == "PUT" and "versioning" in self.query:
            bucket.had_versions = True
            return 200, {}, b""
        if not self.key:
            return self.list(name, bucket)
        return {"GET": self.get, "HEAD": self.get, "PUT": self.put, "DELETE": self.delete}[self.command](bucket)

    def check_signature(self, host):
        said = dict(part.split("=", 1) for part in self.headers.get("Authorization", "=").split("&"))
        key_id = said.get("q-ak")
        secret = KEYS.get(key_id)
        if key_id in TOKENS:
            secret, token = TOKENS[key_id]
            if self.headers.get("x-cos-security-token") != token:
                raise Refused(403, "ExpiredToken")
        if secret is None:
            raise Refused(403, "InvalidAccessKeyId")
        if said["q-sign-algorithm"] != "sha1":
            raise Refused(403, "AccessDenied")
        begin, end = map(int, said["q-sign-time"].split(";"))
        if not begin <= time.time() <= end:
            raise Refused(403, "RequestTimeTooSkewed")
        parameters = self.signed(said["q-url-param-list"], {name.lower(): value for name, value in self.query.items()})
        headers = {name.lower(): value for name, value in self.headers.items()}
        # Some clients sign the host without its port.
        headers["host"] = host
        headers = self.signed(said["q-header-list"], headers)
        request = "%s\n/%s\n%s\n%s\n" % (self.command.lower(), self.key, parameters, headers)
        text = "sha1\n%s\n%s\n" % (said["q-sign-time"], hashlib.sha1(request.encode()).hexdigest())
        if sha1_mac(sha1_mac(secret, said["q-key-time"]), text) != said["q-signature"]:
            raise Refused(403, "SignatureDoesNotMatch")
        if key_id == "AKIDthatMayNothing":
            raise Refused(403, "AccessDenied")

    @staticmethod
    def signed(names, values):
        names = [name for name in names.split(";") if name]
        if any(urllib.parse.unquote(name) not in values for name in names):
            raise Refused(403, "SignatureDoesNotMatch")
        return "&".join("%s=%s" % (name, encoded(values[urllib.parse.unquote(name)])) for name in sorted(names))

    def list(self, name, bucket):
        prefix, marker = self.query.get("prefix", ""), self.query.get("marker", "")
        most = min(int(self.query.get("max-keys", PAGE)), PAGE)
        write = encoded if self.query.get("encoding-type") == "url" else (lambda text: text)
        after = [key for key in bucket.objects if key.startswith(prefix) and (not marker or key.encode() > marker.encode())]
        after.sort(key=str.encode)
        page, is_cut = after[:most], len(after) > most
        entries = "".join(
            "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%d</Size>"
            "<Owner><ID>1250000001</ID></Owner><StorageClass>%s</StorageClass></Contents>"
            % (write(key), time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified)), etag, len(data), storage_class)
            for key in page
            for data, etag, modified, storage_class in [bucket.objects[key]]
        )
        head = "<Name>%s</Name><EncodingType>%s</EncodingType><Prefix>%s</Prefix><Marker>%s</Marker><MaxKeys>%d</MaxKeys>" % (
            name, self.query.get("encoding-type", ""), write(prefix), write(marker), most,
        )
        next_marker = "<NextMarker>%s</NextMarker>" % write(page[-1]) if is_cut else ""
        is_cut = "<IsTruncated>%s</IsTruncated>" % str(is_cut).lower()
        body = "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult>%s%s%s%s</ListBucketResult>" % (
            head, is_cut, next_marker, entries,
        )
        return 200, {"Content-Type": "application/xml"}, body.encode()

    def get(self, bucket):
        if self.key not in bucket.objects:
            raise Refused(404, "NoSuchKey")
        data, etag, modified, storage_class = bucket.objects[self.key]
        wanted = self.headers.get("If-Match")
        if wanted is not None and wanted.strip('"') != etag:
            raise Refused(412, "PreconditionFailed")
        if "ARCHIVE" in storage_class:
            raise Refused(403, "InvalidObjectState")
        headers = {"ETag": '"%s"' % etag, "Last-Modified": email.utils.formatdate(modified, usegmt=True), "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted is None:
            return 200, {**headers, "Content-Length": str(len(data))}, data
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or len(data) - 1), len(data) - 1)
        if first > last:
            raise Refused(416, "InvalidRange")
        headers["Content-Range"] = "bytes %d-%d/%d" % (first, last, len(data))
        return 206, headers, data[first : last + 1]

    def put(self, bucket):
        is_create = self.headers.get("x-cos-forbid-overwrite", "").lower() == "true" and not bucket.had_versions
        if is_create and self.key in bucket.objects:
            raise Refused(409, "FileAlreadyExists")
        etag = hashlib.md5(self.body).hexdigest()
        storage_class = self.headers.get("x-cos-storage-class", "STANDARD")
        bucket.objects[self.key] = (self.body, etag, int(time.time()), storage_class)
        return 200, {"ETag": '"%s"' % etag}, b""

    def delete(self, bucket):
        bucket.objects.pop(self.key, None)
        return 204, {}, b""


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Stub)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()

"""A server that answers as Tencent Cloud COS does, as far as tests need it: COS has no emulator.

    cos_stub.py [PORT]      prints the port, and serves until its standard input ends

It keeps these rules of COS: a bucket stands in the name of the host, and a path that begins with it is refused; requests have COS's own
signature; listings go on after a marker, a thousand keys at a time; If-Match and ranges; archived objects are not given; create-only puts
(x-cos-forbid-overwrite) hold in buckets that never had versions, and in no others; a bucket with versioning keeps what is deleted; objects
note what x-cos-meta- headers say; uploads in parts are there until they are ended or given up. The vendor's SDK is held against it
(cos_sdk.py).

    PUT /CLASS/KEY with the host NAME.class puts an object of the bucket NAME into a storage class, such as ARCHIVE.
    PUT /METHOD/FAULT/TIMES/KEY with the host NAME.fault makes the next TIMES requests of the bucket go wrong that have this method and
    KEY in what they ask for, key?parameters: `before` answers 500 and does nothing, `after` does what is asked and answers 500, `cut` ends
    an answer after half of its bytes, `forget` leaves such objects out of listings, `remember` lists all that are deleted from then on.
    `none` ends all of that. `versions` and `lock` turn versioning or an object lock on.
"""

import email.utils
import hashlib
import hmac
import html
import itertools
import re
import socket
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
        self.notes = {}  # key: headers
        self.uploads = {}  # id: (key, notes, {number: bytes})
        self.had_versions = False
        self.has_lock = False
        self.listed_still = {}  # objects that were deleted
        self.faults = []  # [method, fault, times, key]


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


buckets = {}
upload_ids = itertools.count(1)
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
        self.is_cut = False
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
        if self.is_cut:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve

    def goes_wrong(self, bucket, fault):
        asked = "%s?%s" % (self.key, self.path.partition("?")[2])
        for planned in bucket.faults:
            if planned[:2] == [self.command, fault] and planned[2] > 0 and planned[3] in asked:
                planned[2] -= 1
                return True
        return False

    def answer(self):
        host = self.headers["Host"].split(":")[0]
        if host.endswith(".class"):
            storage_class, _, key = self.key.partition("/")
            objects = buckets[host.removesuffix(".class")].objects
            objects[key] = objects[key][:3] + (storage_class,)
            return 200, {}, b""
        if host.endswith(".fault"):
            method, fault, times, key = self.key.split("/", 3)
            bucket = buckets[host.removesuffix(".fault")]
            bucket.faults.append([method, fault, int(times), key])
            bucket.had_versions |= fault == "versions"
            bucket.has_lock |= fault == "lock"
            if fault == "none":
                bucket.faults, bucket.listed_still = [], {}
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
        if self.goes_wrong(bucket, "before"):
            raise Refused(500, "InternalError")
        answer = self.answer_of(name, bucket)
        if self.goes_wrong(bucket, "after"):
            raise Refused(500, "InternalError")
        self.is_cut = self.goes_wrong(bucket, "cut")
        return answer

    def answer_of(self, name, bucket):
        if not self.key:
            return self.of_bucket(name, bucket)
        if "uploads" in self.query or "uploadId" in self.query:
            return self.of_upload(bucket)
        return {"GET": self.get, "HEAD": self.get, "PUT": self.put, "DELETE": self.delete}[self.command](bucket)

    def of_bucket(self, name, bucket):
        xml = {"Content-Type": "application/xml"}
        if "versioning" in self.query:
            if self.command == "PUT":
                bucket.had_versions = True
                return 200, {}, b""
            status = "<Status>Enabled</Status>" if bucket.had_versions else ""
            return 200, xml, ("<VersioningConfiguration>%s</VersioningConfiguration>" % status).encode()
        if "object-lock" in self.query:
            if self.command == "PUT":
                bucket.has_lock = True
                return 200, {}, b""
            if not bucket.has_lock:
                raise Refused(404, "ObjectLockConfigurationNotFoundError")
            return 200, xml, b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
        if "uploads" in self.query:
            write = encoded if self.query.get("encoding-type") == "url" else (lambda text: text)
            uploads = "".join(
                "<Upload><Key>%s</Key><UploadId>%s</UploadId><StorageClass>STANDARD</StorageClass></Upload>" % (write(key), upload)
                for upload, (key, _, _) in bucket.uploads.items()
                if key.startswith(self.query.get("prefix", ""))
            )
            body = "<ListMultipartUploadsResult><Bucket>%s</Bucket><EncodingType>%s</EncodingType><IsTruncated>false</IsTruncated>%s</ListMultipartUploadsResult>"
            return 200, xml, (body % (name, self.query.get("encoding-type", ""), uploads)).encode()
        return self.list(name, bucket)

    def of_upload(self, bucket):
        xml = {"Content-Type": "application/xml"}
        if self.command == "POST" and "uploads" in self.query:
            upload = "upload%d" % next(upload_ids)
            bucket.uploads[upload] = (self.key, self.notes(), {})
            body = "<InitiateMultipartUploadResult><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>"
            return 200, xml, (body % (html.escape(self.key), upload)).encode()
        upload = self.query["uploadId"]
        if upload not in bucket.uploads or bucket.uploads[upload][0] != self.key:
            raise Refused(404, "NoSuchUpload")
        _, notes, parts = bucket.uploads[upload]
        if self.command == "PUT":
            parts[int(self.query["partNumber"])] = self.body
            return 200, {"ETag": '"%s"' % hashlib.md5(self.body).hexdigest()}, b""
        del bucket.uploads[upload]
        if self.command == "DELETE":
            return 204, {}, b""
        numbers = [int(number) for number in re.findall(r"<PartNumber>\s*(\d+)\s*</PartNumber>", self.body.decode())]
        etags = re.findall(r"<ETag>\s*(?:&quot;|\")?([0-9a-f]{32})(?:&quot;|\")?\s*</ETag>", self.body.decode())
        if etags != [hashlib.md5(parts.get(number, b"")).hexdigest() for number in numbers] or not numbers:
            raise Refused(400, "InvalidPart")
        if any(len(parts[number]) < 1 << 20 for number in numbers[:-1]):
            raise Refused(400, "EntityTooSmall")
        data = b"".join(parts[number] for number in numbers)
        etag = "%s-%d" % (hashlib.md5(data).hexdigest(), len(numbers))
        bucket.objects[self.key] = (data, etag, int(time.time()), "STANDARD")
        bucket.notes[self.key] = notes
        body = "<CompleteMultipartUploadResult><Key>%s</Key><ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>"
        return 200, xml, (body % (html.escape(self.key), etag)).encode()

    def notes(self):
        return {name: value for name, value in self.headers.items() if name.lower().startswith("x-cos-meta-")}

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
        forgotten = [key for method, fault, _, key in bucket.faults if fault == "forget"]
        objects = {**bucket.listed_still, **bucket.objects}
        after = [key for key in objects if key.startswith(prefix) and (not marker or key.encode() > marker.encode())]
        after = [key for key in after if not any(part in key for part in forgotten)]
        after.sort(key=str.encode)
        page, is_cut = after[:most], len(after) > most
        entries = "".join(
            "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%d</Size>"
            "<Owner><ID>1250000001</ID></Owner><StorageClass>%s</StorageClass></Contents>"
            % (write(key), time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified)), etag, len(data), storage_class)
            for key in page
            for data, etag, modified, storage_class in [objects[key]]
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
        headers = {**bucket.notes.get(self.key, {}), "ETag": '"%s"' % etag, "Last-Modified": email.utils.formatdate(modified, usegmt=True), "Accept-Ranges": "bytes"}
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
        bucket.notes[self.key] = self.notes()
        return 200, {"ETag": '"%s"' % etag}, b""

    def delete(self, bucket):
        deleted = bucket.objects.pop(self.key, None)
        if deleted and any(planned[1] == "remember" for planned in bucket.faults):
            bucket.listed_still[self.key] = deleted
        bucket.notes.pop(self.key, None)
        return 204, {}, b""


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Stub)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()

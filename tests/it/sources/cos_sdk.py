"""The vendor's own SDK (PyPI: cos-python-sdk-v5) against the stub: what our tests rest on is what the SDK expects of COS.

    cos_sdk.py HOST PORT
"""

import sys

from qcloud_cos import CosConfig, CosS3Client, CosServiceError

BUCKET = "sdk-1250000001"


def refused(code, call, **args):
    try:
        call(Bucket=BUCKET, **args)
    except CosServiceError as error:
        assert error.get_error_code() == code, error
        return
    raise AssertionError("%s was not refused" % call)


def client(secret):
    config = CosConfig(
        Region="ap-guangzhou", SecretId="AKIDofTheStub", SecretKey=secret, Scheme="http", IP=sys.argv[1], Port=int(sys.argv[2]),
    )
    return CosS3Client(config, retry=0)


cos = client("secretOfTheStub")
cos.create_bucket(Bucket=BUCKET)
for key in ["a b", "a+b", "x/../y", "x//y", "用量.csv", "z&=%2F"]:
    cos.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert cos.get_object(Bucket=BUCKET, Key=key)["Body"].get_raw_stream().read() == key.encode(), key
listed, marker = [], ""
while True:
    page = cos.list_objects(Bucket=BUCKET, Marker=marker, MaxKeys=2)
    listed += [entry["Key"] for entry in page["Contents"]]
    if page["IsTruncated"] == "false":
        break
    marker = page["NextMarker"]
assert listed == ["a b", "a+b", "x/../y", "x//y", "z&=%2F", "用量.csv"], listed
etag = cos.head_object(Bucket=BUCKET, Key="a b")["ETag"]
part = cos.get_object(Bucket=BUCKET, Key="a b", Range="bytes=1-", IfMatch=etag)
assert part["Body"].get_raw_stream().read() == b" b" and part["Content-Range"] == "bytes 1-2/3", part
refused("PreconditionFailed", cos.get_object, Key="a b", IfMatch='"other"')
refused("NoSuchKey", cos.get_object, Key="missing")
refused("SignatureDoesNotMatch", client("other").get_object, Key="a b")
cos.put_object(Bucket=BUCKET, Key="cold", Body=b"x", StorageClass="ARCHIVE")
refused("InvalidObjectState", cos.get_object, Key="cold")
create = {"x-cos-forbid-overwrite": "true"}
refused("FileAlreadyExists", cos.put_object, Key="a b", Body=b"x", Metadata=create)
cos.put_object(Bucket=BUCKET, Key="noted", Body=b"x", Metadata={"x-cos-meta-sha256": "0f"})
assert cos.head_object(Bucket=BUCKET, Key="noted")["x-cos-meta-sha256"] == "0f"
# Uploads in parts: one that is ended, and one that is given up.
parts = [b"a" * (1 << 20), b"b"]
for is_ended in [True, False]:
    upload = cos.create_multipart_upload(Bucket=BUCKET, Key="large", Metadata={"x-cos-meta-sha256": "1e"})["UploadId"]
    told = []
    for number, part in enumerate(parts, 1):
        etag = cos.upload_part(Bucket=BUCKET, Key="large", Body=part, PartNumber=number, UploadId=upload)["ETag"]
        told.append({"PartNumber": number, "ETag": etag})
    listed = cos.list_multipart_uploads(Bucket=BUCKET, Prefix="lar")["Upload"]
    assert [(one["Key"], one["UploadId"]) for one in listed] == [("large", upload)], listed
    if is_ended:
        cos.complete_multipart_upload(Bucket=BUCKET, Key="large", UploadId=upload, MultipartUpload={"Part": told})
    else:
        cos.abort_multipart_upload(Bucket=BUCKET, Key="large", UploadId=upload)
    assert "Upload" not in cos.list_multipart_uploads(Bucket=BUCKET)
    large = cos.get_object(Bucket=BUCKET, Key="large")
    assert large["Body"].get_raw_stream().read() == b"".join(parts) and large["x-cos-meta-sha256"] == "1e"
cos.delete_object(Bucket=BUCKET, Key="large")
cos.delete_object(Bucket=BUCKET, Key="large")
assert "Status" not in cos.get_bucket_versioning(Bucket=BUCKET)
cos.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
assert cos.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
cos.put_object(Bucket=BUCKET, Key="a b", Body=b"x", Metadata=create)
print("the SDK and the stub agree")

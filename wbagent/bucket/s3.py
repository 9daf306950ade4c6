"""Backups in an S3 bucket, by boto3's plain calls; works with Amazon's, Ceph's, MinIO's and other S3 stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import boto3
from botocore.config import Config

from wbagent.bucket.s3_errors import explained
from wbagent.bucket.s3_upload import IN_FLIGHT, MultipartUpload, part_size_for
from wbagent.bucket.store import Entry
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK: Final = 1 << 20
_ATTEMPTS: Final = 5
_CONNECT_TIMEOUT: Final = 10
_READ_TIMEOUT: Final = 60
# An abort is a courtesy that the next run makes up for: it must not hold up the end of a run whose link is down.
_COURTESY_TIMEOUT: Final = 5

Checksums: TypeAlias = Literal["when_supported", "when_required"]


class S3Store:
    """The objects below a connection string's bucket and prefix."""

    off_site = True

    def __init__(
        self,
        url: S3URL,
        *,
        part_size: int,
        checksums: Checksums = "when_supported",
    ) -> None:
        """`part_size` in bytes; `checksums`: whether to add CRC trailers, which old stores do not understand."""
        self._url = url
        self._part_size = part_size
        self._prefix = f"{url.prefix}/" if url.prefix else ""
        self._checksums: Checksums = checksums
        with explained(url, "be opened"):
            self._client = _client(url, checksums, patient=True)

    @property
    def address(self) -> str:
        return self._url.masked()

    @contextmanager
    def writer(self, key: str, *, largest: int) -> Iterator[MultipartUpload]:
        upload = MultipartUpload(self._client, self._url, self._prefix + key, part_size_for(largest, self._part_size))
        try:
            yield upload
        finally:
            if not upload.committed:
                # When the store cannot be told, the next run does it (clear_unfinished).
                with suppress(BucketError):
                    upload.abort(_client(self._url, self._checksums, patient=False))

    def put(self, key: str, data: bytes) -> None:
        with explained(self._url, f"take {key}"):
            self._client.put_object(Bucket=self._url.bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> Iterator[bytes]:
        with explained(self._url, f"give {key}"):
            body = self._client.get_object(Bucket=self._url.bucket, Key=self._prefix + key)["Body"]
            with body:
                yield from body.iter_chunks(_CHUNK)

    def entries(self, prefix: str) -> Iterator[Entry]:
        with explained(self._url, "be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._url.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Entry(found["Key"].removeprefix(self._prefix), found["Size"])

    def size(self, key: str) -> int:
        with explained(self._url, f"give the size of {key}"):
            return self._client.head_object(Bucket=self._url.bucket, Key=self._prefix + key)["ContentLength"]

    def delete(self, key: str) -> None:
        with explained(self._url, f"delete {key}"):
            self._client.delete_object(Bucket=self._url.bucket, Key=self._prefix + key)

    def clear_unfinished(self, prefix: str) -> int:
        count = 0
        with explained(self._url, "clear unfinished uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._url.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    self._client.abort_multipart_upload(
                        Bucket=self._url.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    count += 1
        return count


def _client(url: S3URL, checksums: Checksums, *, patient: bool) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=url.endpoint_url,
        region_name=url.region or "us-east-1",
        # Without keys in the URL boto3 looks for the machine's own (instance role, environment).
        aws_access_key_id=url.access_key or None,
        aws_secret_access_key=url.secret_key or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if url.path_style else "virtual"},
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS if patient else 1},
            connect_timeout=_CONNECT_TIMEOUT if patient else _COURTESY_TIMEOUT,
            read_timeout=_READ_TIMEOUT if patient else _COURTESY_TIMEOUT,
            max_pool_connections=IN_FLIGHT + 2,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )

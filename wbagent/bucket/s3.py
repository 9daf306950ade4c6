"""Backups in an S3 bucket, by boto3's plain calls; works with Amazon's, Ceph's, MinIO's and other S3 stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypedDict, Unpack

import boto3
from botocore.config import Config

from wbagent.bucket.s3_errors import explained
from wbagent.bucket.s3_upload import IN_FLIGHT, MultipartUpload, part_size_for
from wbagent.bucket.store import Entry
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_CHUNK: Final = 1 << 20
_MOST_FRUITLESS: Final = 3


class _Part(TypedDict, total=False):
    """Which bytes of an object, and of which version of it."""

    Range: str
    IfMatch: str


@dataclass(frozen=True, slots=True)
class _Patience:
    """Seconds to wait for a connection and for an answer, and how often a request is made."""

    connect: int
    answer: int
    attempts: int


_USUAL: Final = _Patience(10, 30, 5)
_IMPATIENT: Final = _Patience(5, 10, 1)
# Putting thousands of parts together takes some stores minutes, during which they say nothing.
_FOR_COMPLETION: Final = _Patience(10, 600, 3)
# An abort is a courtesy that the next run makes up for: it must not hold up the end of a run whose link is down.
_FOR_COURTESY: Final = _Patience(5, 5, 1)

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
        impatient: bool = False,
    ) -> None:
        """`part_size` in bytes; `checksums`: whether to add CRC trailers, which old stores do not understand.

        `impatient`: for a caller that tries again by itself, and has other things to do meanwhile.
        """
        self._url = url
        self._part_size = part_size
        self._prefix = f"{url.prefix}/" if url.prefix else ""
        self._checksums: Checksums = checksums
        with explained(url, "be opened"):
            self._client = self._client_for(_IMPATIENT if impatient else _USUAL)

    @property
    def address(self) -> str:
        return f"s3://{self._url.address}"

    @contextmanager
    def writer(self, key: str, *, largest: int) -> Iterator[MultipartUpload]:
        size = part_size_for(largest, self._part_size)
        upload = MultipartUpload(self._client, self._client_for(_FOR_COMPLETION), self._url, self._prefix + key, size)
        try:
            yield upload
        finally:
            if not upload.committed:
                # When the store cannot be told, the next run does it (clear_unfinished).
                with suppress(BucketError):
                    upload.abort(self._client_for(_FOR_COURTESY))

    def put(self, key: str, data: bytes) -> None:
        with explained(self._url, f"take {key}"):
            self._client.put_object(Bucket=self._url.bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> Iterator[bytes]:
        # A restore reads for hours, with pauses while MySQL builds indexes, in which stores close the connection:
        # go on where it broke off, as long as there is progress and it is the same object.
        answer = self._object(key)
        size, offset, fruitless = answer["ContentLength"], 0, 0
        while True:
            before = offset
            try:
                # Leaving the body's block closes the connection; what it gives on entering lacks iter_chunks.
                with explained(self._url, f"give {key}"), answer["Body"]:
                    for chunk in answer["Body"].iter_chunks(_CHUNK):
                        offset += len(chunk)
                        yield chunk
            except BucketError:
                fruitless = 0 if offset > before else fruitless + 1
                if offset == size or fruitless == _MOST_FRUITLESS:
                    raise
            else:
                return
            answer = self._object(key, Range=f"bytes={offset}-", IfMatch=answer["ETag"])

    def _object(self, key: str, **part: Unpack[_Part]) -> GetObjectOutputTypeDef:
        with explained(self._url, f"give {key}"):
            return self._client.get_object(Bucket=self._url.bucket, Key=self._prefix + key, **part)

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

    def _client_for(self, patience: _Patience) -> S3Client:
        return open_client(self._url, self._checksums, patience)


def open_client(url: S3URL, checksums: Checksums = "when_supported", patience: _Patience = _USUAL) -> S3Client:
    """boto3's client for the store of a connection string; raises what boto3 raises."""
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
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            connect_timeout=patience.connect,
            read_timeout=patience.answer,
            max_pool_connections=IN_FLIGHT + 2,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )

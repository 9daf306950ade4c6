"""Backups in an S3 bucket, by boto3's plain calls; works with Amazon's, Ceph's, MinIO's and other S3 stores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, Unpack

from botocore.exceptions import ClientError

from wbagent.bucket.client import IMPATIENT, STEADY, USUAL, Checksums, Patience, open_client
from wbagent.bucket.pace import Throttle
from wbagent.bucket.retry import Persistence
from wbagent.bucket.s3_errors import explained
from wbagent.bucket.s3_upload import Clients, MultipartUpload, compare_etag, content_md5, part_size_for
from wbagent.bucket.store import Entry, NotStoredError
from wbagent.bucket.versions import ObjectLock, delete_version, error_code, is_versioned, versions_of
from wbagent.chunk import CHUNK
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError
from wbagent.quantities import format_duration
from wbagent.systemd import journal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_T = TypeVar("_T")
_MOST_FRUITLESS: Final = 3
# Putting thousands of parts together takes some stores minutes, during which they say nothing: so many time-outs.
_COMPLETION: Final = 20
# What the next run makes up for, such as an abort, must not hold up the end of a run whose link is down.
_FOR_COURTESY: Final = Patience(5, 5, 1)
_NO_LOCK: Final = {"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest"}
_NOT_ALLOWED: Final = {"AccessDenied", "403"}


class _Part(TypedDict, total=False):
    """Which bytes of an object, and of which version of it."""

    Range: str
    IfMatch: str


class S3Store:
    """The objects below a connection string's bucket and prefix."""

    off_site = True

    def __init__(
        self,
        url: S3URL,
        *,
        part_size: int,
        checksums: Checksums = "when_supported",
        timeout: float = USUAL.answer,
        retry_for: float = 0.0,
        bandwidth: int | None = None,
        lock: ObjectLock | None = None,
        reads: bool = True,
        impatient: bool = False,
    ) -> None:
        """`part_size` in bytes; `timeout`: seconds that the store may be silent.

        `retry_for`: for how many seconds a request that failed in passing is made again; 0 leaves that to boto3, which
        gives up after a quarter of a minute, and sooner where nobody is there. `bandwidth`: bytes a second, each way.
        `lock`: for all that is written.
        `impatient`: for a caller that tries again by itself, and has other things to do meanwhile.
        `reads`: whether the keys may read objects; if not, the store's MD5 of what it takes is compared.
        """
        self._url = url
        self._part_size = part_size
        self._prefix = f"{url.prefix}/" if url.prefix else ""
        self._checksums: Checksums = checksums
        self._retry_for = retry_for
        self._lock = lock
        self._reads = reads
        # Each way for itself: what is stored is read back while more is sent.
        self._sending = Throttle(bandwidth) if bandwidth else None
        self._reading = Throttle(bandwidth) if bandwidth else None
        usual = replace(STEADY, attempts=1) if retry_for else USUAL
        usual = replace(usual, connect=min(timeout, usual.connect), answer=timeout)
        self._usual = IMPATIENT if impatient else usual
        self._persist = Persistence(retry_for, self._tell)
        self._told = False
        self._versioned: bool | None = None
        with explained(url, "be opened"):
            self._client = self._client_for(self._usual)

    @property
    def address(self) -> str:
        return f"s3://{self._url.address}"

    def hurried(self) -> S3Store:
        other = copy.copy(self)
        other._retry_for, other._usual = 0.0, _FOR_COURTESY
        other._persist = Persistence(0.0, other._tell)
        other._client = other._client_for(_FOR_COURTESY)
        return other

    def check_ready(self) -> None:
        if self._lock is None:
            return
        with explained(self._url, "say whether it has Object Lock"):
            try:
                found = self._persist(lambda: self._client.get_object_lock_configuration(Bucket=self._url.bucket))
            except ClientError as error:
                if error_code(error) in _NOT_ALLOWED:
                    return  # A key that may only write; the store refuses the first object then.
                if error_code(error) not in _NO_LOCK:
                    raise
                found = {}  # type: ignore[typeddict-item] # as an answer that says nothing
        if found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise BucketError(
                f"{self.address} has no Object Lock, which [backup] lock_days asks for",
                hint="a bucket has it from its making on: name a new one and make it with it"
                " (wbagent bucket create --backup --lock), or take lock_days out",
            )

    @contextmanager
    def writer(self, key: str, *, largest: int) -> Iterator[MultipartUpload]:
        completion = replace(self._usual, answer=self._usual.answer * _COMPLETION)
        clients = Clients(self._client, self._client_for(completion), self._client_for(_FOR_COURTESY))
        size = part_size_for(largest, self._part_size)
        persistence = Persistence(self._retry_for, self._tell, answered=True)
        upload = MultipartUpload(
            clients,
            self._url,
            self._prefix + key,
            size,
            persistence,
            self._retention(),
            compare=not self._reads,
        )
        try:
            yield upload
        finally:
            if not upload.committed:
                # When the store cannot be told, the next run does it (clear_unfinished).
                with suppress(BucketError):
                    upload.abort()

    def put(self, key: str, data: bytes) -> None:
        more = {**self._retention(), "ContentMD5": content_md5(data)} if self._lock else {}
        answer = self._ask(f"take {key}", lambda: self._client.put_object(**self._place(key), Body=data, **more))
        if not self._reads:
            compare_etag(answer["ETag"], data, key)

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
                    for chunk in answer["Body"].iter_chunks(CHUNK):
                        if self._reading:
                            self._reading.wait(len(chunk))
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
        return self._ask(f"give {key}", lambda: self._client.get_object(**self._place(key), **part))

    def entries(self, prefix: str) -> Iterator[Entry]:
        wanted: dict[str, Any] = {"Bucket": self._url.bucket, "Prefix": self._prefix + prefix}
        while True:
            page = self._ask("be listed", lambda: self._client.list_objects_v2(**wanted))
            for found in page.get("Contents", ()):
                yield Entry(found["Key"].removeprefix(self._prefix), found["Size"])
            if not page.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def size(self, key: str) -> int:
        if not self._reads:
            found = [entry.size for entry in self.entries(key) if entry.key == key]
            if not found:
                raise NotStoredError(f"{self.address} lists no {key}", hint="wbagent backup list --all")
            return found[0]
        return self._ask(f"give the size of {key}", lambda: self._client.head_object(**self._place(key)))[
            "ContentLength"
        ]

    def delete(self, key: str) -> None:
        self._ask(f"delete {key}", lambda: self._delete(self._client, self._prefix + key))

    def withdraw(self, keys: Iterable[str]) -> None:
        # The next retention makes up for what cannot be done now.
        with suppress(BucketError), explained(self._url, "take back what was stored"):
            client = self._client_for(_FOR_COURTESY)
            for key in keys:
                self._delete(client, self._prefix + key)

    def _delete(self, client: S3Client, key: str) -> None:
        bucket = self._url.bucket
        if self._versioned is None:
            self._versioned = is_versioned(client, bucket)
        if not self._versioned:
            client.delete_object(Bucket=bucket, Key=key)
            return
        for version in versions_of(client, bucket, key):
            delete_version(client, bucket, key, version)

    def clear_unfinished(self, prefix: str) -> int:
        return self._ask("clear unfinished uploads", lambda: self._clear_unfinished(self._prefix + prefix))

    def _clear_unfinished(self, prefix: str) -> int:
        count = 0
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._url.bucket, Prefix=prefix)
        for page in pages:
            for upload in page.get("Uploads", ()):
                try:
                    self._client.abort_multipart_upload(
                        Bucket=self._url.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                except ClientError as error:
                    # By an attempt whose answer was lost; and some stores list for ever what is gone.
                    if error_code(error) != "NoSuchUpload":
                        raise
                else:
                    count += 1
        return count

    def _place(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._url.bucket, "Key": self._prefix + key}

    def _retention(self) -> dict[str, Any]:
        return self._lock.headers(datetime.now(UTC)) if self._lock else {}

    def _ask(self, action: str, request: Callable[[], _T]) -> _T:
        with explained(self._url, action):
            return self._persist(request)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            journal.send(
                f"{self.address} fails for the moment; what fails in passing is asked for again for up to"
                f" {format_duration(self._retry_for)}: {type(error).__name__}: {str(error)[:300]}",
                level="warning",
            )

    def _client_for(self, patience: Patience) -> S3Client:
        return open_client(self._url, self._checksums, patience, self._sending)

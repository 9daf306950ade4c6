"""A multipart upload with a few parts in flight: bounded memory, parts sent again, an abort that leaves nothing."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from wbagent.bucket.s3_errors import explained
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from wbagent.bucket.retry import Persistence

IN_FLIGHT: Final = 2
_MOST_PARTS: Final = 10_000
_SMALLEST_PART: Final = 5 << 20
_LARGEST_PART: Final = 5 << 30


def part_size_for(largest: int, configured: int) -> int:
    """Bytes a part so that `largest` bytes fit twice over into the 10,000 parts that S3 allows; at least 5 MiB."""
    needed = -(-2 * largest // _MOST_PARTS)
    return min(max(configured, needed, _SMALLEST_PART), _LARGEST_PART)


@dataclass(frozen=True, slots=True)
class Clients:
    """`sender` for parts; `completer` waits long enough for the store to put them together; `aborter` hardly waits."""

    sender: S3Client
    completer: S3Client
    aborter: S3Client


class MultipartUpload:
    """Takes bytes, sends them as parts in the background; holds at most IN_FLIGHT + 1 parts in memory.

    Invariant: after the first part that failed for good, nothing more is sent and `commit` cannot succeed.
    """

    def __init__(
        self,
        clients: Clients,
        url: S3URL,
        key: str,
        part_size: int,
        persistence: Persistence,
        retention: Mapping[str, Any],
        *,
        compare: bool = False,
    ) -> None:
        """Begin it; `persistence` is this upload's own, `retention` what is asked of Object Lock.

        `compare`: whether the store's MD5 of each part, its ETag, must be ours: for keys that may not read it back.
        """
        self._clients = clients
        self._url = url
        self._key = key
        self._place: dict[str, Any] = {"Bucket": url.bucket, "Key": key}
        self._part_size = part_size
        self._persistence = persistence
        self._locked = bool(retention)
        self._compare = compare
        self._part, self._filled = bytearray(part_size), 0
        self._spare: list[bytearray] = []
        self._sent: deque[tuple[Future[CompletedPartTypeDef], bytearray]] = deque()
        self._done: list[CompletedPartTypeDef] = []
        self._count = self._size = 0
        self._failed = False
        self.committed = False
        with explained(url, f"take {key}"):
            begun = persistence(lambda: clients.sender.create_multipart_upload(**self._place, **retention))
        self._place["UploadId"] = begun["UploadId"]
        self._senders = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="upload")

    def write(self, data: bytes | memoryview) -> None:
        """Add to the object; waits while IN_FLIGHT parts are under way; raises BucketError."""
        view = memoryview(data)
        while view:
            fitting = view[: self._part_size - self._filled]
            self._part[self._filled : self._filled + len(fitting)] = fitting
            self._filled += len(fitting)
            view = view[len(fitting) :]
            if self._filled == self._part_size:
                self._send()
                self._part = self._spare.pop() if self._spare else bytearray(self._part_size)

    def commit(self) -> None:
        """Send the rest and put the parts together under the key; raises BucketError."""
        if self._filled or not self._count:
            del self._part[self._filled :]
            self._send()
        while self._sent:
            self._collect()
        with explained(self._url, f"complete {self._key}"):
            self._persistence(self._complete)
        self.committed = True
        self._senders.shutdown()

    def abort(self) -> None:
        """Let go of everything that was sent; raises BucketError when the store cannot be told.

        Waits for the parts that are on their way, which are not sent again: one that arrives after the abort would
        stay.
        """
        self._failed = True
        self._persistence.stop()
        self._part, self._spare = bytearray(), []
        self._senders.shutdown(wait=True, cancel_futures=True)
        with explained(self._url, f"abort the upload of {self._key}"):
            self._clients.aborter.abort_multipart_upload(**self._place)

    def _send(self) -> None:
        while len(self._sent) >= IN_FLIGHT:
            self._collect()
        self._count += 1
        if self._count > _MOST_PARTS:
            raise BucketError(
                f"{self._key} is larger than 10,000 parts of {self._part_size >> 20} MiB",
                hint="raise [backup] part_size",
            )
        self._size += len(self._part)
        self._sent.append((self._senders.submit(self._upload, self._count, self._part), self._part))
        self._filled = 0

    def _collect(self) -> None:
        sent, part = self._sent.popleft()
        with explained(self._url, f"take {self._key}"):
            self._done.append(sent.result())
        # Filled again: memory that is new each time costs as much processor time as its checksum.
        self._spare.append(part)

    def _upload(self, number: int, part: bytearray) -> CompletedPartTypeDef:
        if self._failed:
            raise BucketError("an earlier part could not be stored")
        # As it is: botocore would send a file, which it makes of bytes, in pieces of 16 KiB.
        more: dict[str, Any] = {"Body": part}
        if self._locked:
            more["ContentMD5"] = content_md5(part)
        try:
            answer = self._persistence(
                lambda: self._clients.sender.upload_part(**self._place, PartNumber=number, **more)
            )
            if self._compare:
                compare_etag(answer["ETag"], part, self._key)
        except BaseException:
            self._failed = True
            raise
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _complete(self) -> None:
        try:
            self._clients.completer.complete_multipart_upload(**self._place, MultipartUpload={"Parts": self._done})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload" or not self._is_there():
                raise

    def _is_there(self) -> bool:
        """Whether the upload is gone because it was completed: by an earlier attempt, whose answer was lost."""
        found = self._clients.sender.list_objects_v2(Bucket=self._url.bucket, Prefix=self._key).get("Contents", ())
        return any(
            (each["Key"], each["Size"]) == (self._key, self._size) and each["ETag"].endswith(f'-{len(self._done)}"')
            for each in found
        )


def compare_etag(etag: str, data: bytes | bytearray, key: str) -> None:
    """Raise BucketError unless the store's MD5 of what it took is that of what was sent."""
    if etag.strip('"') != hashlib.md5(data, usedforsecurity=False).hexdigest():
        raise BucketError(
            f"the store's MD5 of a part of {key} is not that of what was sent",
            hint="a store that encrypts with keys of a key service tells none: set [backup] read_back = true there",
        )


def content_md5(data: bytes | bytearray) -> str:
    """The header that S3 wants with what is locked; a check of transport, not of trust."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

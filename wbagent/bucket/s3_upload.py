"""A multipart upload with a few parts in flight: bounded memory, the first error ends it, an abort leaves nothing."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from wbagent.bucket.s3_errors import explained
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

IN_FLIGHT: Final = 2
_MOST_PARTS: Final = 10_000
_SMALLEST_PART: Final = 5 << 20
_LARGEST_PART: Final = 5 << 30


def part_size_for(largest: int, configured: int) -> int:
    """Bytes a part so that `largest` bytes fit twice over into the 10,000 parts that S3 allows; at least 5 MiB."""
    needed = -(-2 * largest // _MOST_PARTS)
    return min(max(configured, needed, _SMALLEST_PART), _LARGEST_PART)


class MultipartUpload:
    """Takes bytes, sends them as parts in the background; holds at most IN_FLIGHT + 2 parts in memory.

    Invariant: after the first part that failed, nothing more is sent and `commit` cannot succeed.
    """

    def __init__(self, client: S3Client, completer: S3Client, url: S3URL, key: str, part_size: int) -> None:
        """Begin it; `completer` is the client that waits long enough for the store to put the parts together."""
        self._client = client
        self._completer = completer
        self._url = url
        self._key = key
        self._part_size = part_size
        self._buffer = bytearray()
        self._sent: deque[Future[CompletedPartTypeDef]] = deque()
        self._done: list[CompletedPartTypeDef] = []
        self._count = 0
        self._failed = False
        self.committed = False
        with explained(url, f"take {key}"):
            self._id = client.create_multipart_upload(Bucket=url.bucket, Key=key)["UploadId"]
        self._senders = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="upload")

    def write(self, data: bytes) -> None:
        """Add to the object; waits while IN_FLIGHT parts are under way; raises BucketError."""
        self._buffer += data
        while len(self._buffer) >= self._part_size:
            part = bytes(memoryview(self._buffer)[: self._part_size])
            del self._buffer[: self._part_size]
            self._send(part)

    def commit(self) -> None:
        """Send the rest and put the parts together under the key; raises BucketError."""
        if self._buffer or not self._count:
            self._send(bytes(self._buffer))
            self._buffer.clear()
        while self._sent:
            self._collect()
        with explained(self._url, f"complete {self._key}"):
            self._completer.complete_multipart_upload(
                Bucket=self._url.bucket,
                Key=self._key,
                UploadId=self._id,
                MultipartUpload={"Parts": self._done},
            )
        self.committed = True
        self._senders.shutdown()

    def abort(self, client: S3Client) -> None:
        """Let go of everything that was sent, told by `client`; raises BucketError when the store cannot be told.

        Waits for the parts that are on their way: one that arrives after the abort would stay.
        """
        self._failed = True
        self._buffer.clear()
        self._senders.shutdown(wait=True, cancel_futures=True)
        with explained(self._url, f"abort the upload of {self._key}"):
            client.abort_multipart_upload(Bucket=self._url.bucket, Key=self._key, UploadId=self._id)

    def _send(self, part: bytes) -> None:
        while len(self._sent) >= IN_FLIGHT:
            self._collect()
        self._count += 1
        if self._count > _MOST_PARTS:
            raise BucketError(
                f"{self._key} is larger than 10,000 parts of {self._part_size >> 20} MiB",
                hint="raise [backup] part_size",
            )
        self._sent.append(self._senders.submit(self._upload, self._count, part))

    def _collect(self) -> None:
        with explained(self._url, f"take {self._key}"):
            self._done.append(self._sent.popleft().result())

    def _upload(self, number: int, part: bytes) -> CompletedPartTypeDef:
        if self._failed:
            raise BucketError("an earlier part could not be stored")
        try:
            answer = self._client.upload_part(
                Bucket=self._url.bucket, Key=self._key, UploadId=self._id, PartNumber=number, Body=part
            )
        except BaseException:
            self._failed = True
            raise
        return {"PartNumber": number, "ETag": answer["ETag"]}

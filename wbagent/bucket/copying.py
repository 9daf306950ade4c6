"""Copies every object of one bucket into another, reads each back, and compares both in the end."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wbagent.bucket.client import STEADY, open_client
from wbagent.bucket.s3_errors import explained
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK: Final = 1 << 20
_PROBE: Final = "wbagent-probe"
# What the object's reader sees beside its bytes.
_KEPT: Final = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")


@dataclass(frozen=True, slots=True)
class Copied:
    """How many objects are in both buckets, and how many bytes."""

    objects: int
    size: int


class Bucket:
    """The objects below a connection string's bucket and prefix. Every method raises BucketError."""

    def __init__(self, url: S3URL) -> None:
        self._url = url
        self._prefix = f"{url.prefix}/" if url.prefix else ""
        with explained(url, "be opened"):
            # Every object is read back and compared: the newer checksums would add nothing that old stores understand.
            self._client: S3Client = open_client(url, "when_required", STEADY)

    @property
    def address(self) -> str:
        """For messages."""
        return f"s3://{self._url.address}"

    def sizes(self) -> dict[str, int]:
        """The size of each object, by its key without the prefix."""
        with explained(self._url, "be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._url.bucket, Prefix=self._prefix)
            return {
                found["Key"].removeprefix(self._prefix): found["Size"]
                for page in pages
                for found in page.get("Contents", ())
            }

    def probe(self) -> None:
        """Write, read and delete a small object."""
        place: Any = {"Bucket": self._url.bucket, "Key": f"{self._prefix}{_PROBE}"}
        with explained(self._url, "be written to, read and deleted from"):
            self._client.put_object(**place, Body=b"probe")
            came_back = self._client.get_object(**place)["Body"].read()
            self._client.delete_object(**place)
        if came_back != b"probe":
            raise BucketError(f"{self.address} gave back something else than was written", hint="do not trust it")

    def take(self, key: str, other: Bucket) -> None:
        """Copy the other bucket's object `key`, with what belongs to it, and read it back."""
        with explained(other._url, f"give {key}"):
            answer = other._client.get_object(Bucket=other._url.bucket, Key=other._prefix + key)
        digest = _Hashed(answer["Body"].iter_chunks(_CHUNK))
        more = {name: answer[name] for name in _KEPT if answer.get(name)}
        with explained(self._url, f"take {key}"):
            self._client.upload_fileobj(digest, self._url.bucket, self._prefix + key, ExtraArgs=more)
        back = hashlib.sha256()
        with explained(self._url, f"give {key}"):
            body = self._client.get_object(Bucket=self._url.bucket, Key=self._prefix + key)["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                back.update(chunk)
        if back.digest() != digest.sha256.digest():
            raise BucketError(f"{self.address} holds something else than was sent for {key}", hint="do not trust it")


class _Hashed(io.BytesIO):
    """A stream of chunks as the file that boto3 reads, with the SHA-256 of what was read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = b""
        self.sha256 = hashlib.sha256()

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1) -> bytes:
        size = -1 if size is None else size
        while size < 0 or len(self._left) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._left += chunk
        taken, self._left = (self._left, b"") if size < 0 else (self._left[:size], self._left[size:])
        self.sha256.update(taken)
        return taken


def copy_objects(source: Bucket, target: Bucket, report: Callable[[int, int], None]) -> Copied:
    """Copy everything; `report(done, of)` after each object. Raises BucketError also when both differ afterwards."""
    wanted = source.sizes()
    for number, key in enumerate(sorted(wanted), start=1):
        target.take(key, source)
        report(number, len(wanted))
    there, now = target.sizes(), source.sizes()
    wrong = [key for key, size in now.items() if there.get(key) != size]
    if wrong or now != wanted:
        raise BucketError(
            f"{len(wrong)} of {len(now)} objects of {source.address} are not in {target.address} as they are there",
            hint="something writes to the embedded bucket meanwhile; run it again",
        )
    return Copied(len(wanted), sum(wanted.values()))

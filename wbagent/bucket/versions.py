"""Deleting in buckets with versions and Object Lock, where DELETE alone frees nothing and may hide everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from wbagent.bucket.store import LockedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Mode = Literal["governance", "compliance"]
_NO_ANSWER: Final = {"AccessDenied", "403", "NotImplemented", "MethodNotAllowed"}
# By how much the store's clock may be behind this host's.
_CLOCKS: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """How long what is written is kept from everyone (compliance), or from all without a special right (governance)."""

    mode: Mode
    days: int

    def headers(self, now: datetime) -> dict[str, Any]:
        """boto3's arguments for an object that is written at `now` (aware)."""
        return {"ObjectLockMode": self.mode.upper(), "ObjectLockRetainUntilDate": now + timedelta(days=self.days)}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key, or a marker that says "deleted"."""

    id: str
    current: bool


def is_versioned(client: S3Client, bucket: str) -> bool:
    """Whether the bucket keeps versions, or kept some once; keys that may not ask hear no. Raises ClientError."""
    try:
        return bool(client.get_bucket_versioning(Bucket=bucket).get("Status"))
    except ClientError as error:
        if error_code(error) in _NO_ANSWER:
            return False
        raise


def versions_of(client: S3Client, bucket: str, key: str) -> tuple[Version, ...]:
    """All versions and markers of this very key, the current one last."""
    listed = (each for each in _listed(client, bucket, key) if each["Key"] == key)
    found = [Version(each["VersionId"], each["IsLatest"]) for each in listed]
    return tuple(sorted(found, key=lambda version: version.current))


def delete_version(client: S3Client, bucket: str, key: str, version: Version) -> None:
    """Remove one version for good; raises LockedError for one that is locked, else ClientError."""
    try:
        client.delete_object(Bucket=bucket, Key=key, VersionId=version.id)
    except ClientError as error:
        until, for_ever = _lock(client, bucket, key, version)
        if for_ever or (until and until > datetime.now(UTC) - _CLOCKS):
            when = "a legal hold is taken from it" if for_ever or until is None else f"{until:%Y-%m-%d %H:%M %Z}"
            raise LockedError(
                f"{key} is locked until {when}",
                until=None if for_ever else until,
                hint="nothing to do: it is removed when its time has come",
            ) from error
        raise


def error_code(error: ClientError) -> str:
    """S3's name for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _listed(client: S3Client, bucket: str, prefix: str) -> Iterator[Any]:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Versions", ())
        yield from page.get("DeleteMarkers", ())


def _lock(client: S3Client, bucket: str, key: str, version: Version) -> tuple[datetime | None, bool]:
    """Until when this version is locked, and whether it is held without a time; (None, False) when nobody says."""
    try:
        found = client.head_object(Bucket=bucket, Key=key, VersionId=version.id)
    except ClientError:
        return None, False
    return found.get("ObjectLockRetainUntilDate"), found.get("ObjectLockLegalHoldStatus") == "ON"

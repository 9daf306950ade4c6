"""Removes an object for good, also from a bucket that keeps versions, or says until when it is locked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from wbagent.bucket.store import LockedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "InvalidRequest", "ObjectLocked", "MethodNotAllowed"})


def remove(client: S3Client, bucket: str, key: str) -> bool:
    """Remove `key` with all its versions; False when a delete marker is all that this key may add.

    The versions go, oldest first, and no marker is made: interrupted, the object is still listed and the next call goes
    on. Raises LockedError, and ClientError as boto3 does.
    """
    versions = _versions(client, bucket, key)
    if not versions:
        # Not a bucket with versions, or the key may not list them: then the answer tells.
        return not client.delete_object(Bucket=bucket, Key=key).get("DeleteMarker", False)
    for version in versions:
        try:
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _DENIED:
                raise
            _raise_if_locked(client, bucket, key, version)
            client.delete_object(Bucket=bucket, Key=key)
            return False
    return True


def _versions(client: S3Client, bucket: str, key: str) -> list[str]:
    """The ids of the versions and markers of exactly this key, oldest first; [] where there are none but the one."""
    found: list[tuple[datetime, str]] = []
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            found += [
                (each["LastModified"], each["VersionId"])
                for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if each["Key"] == key
            ]
    except ClientError:
        # A policy may allow to delete and not to list versions, and old stores know no versions: a plain delete then.
        return []
    ids = [version for _, version in sorted(found)]
    return [] if ids == ["null"] else ids


def _raise_if_locked(client: S3Client, bucket: str, key: str, version: str) -> None:
    """Raise LockedError when the store says that it keeps this version; it says so only to keys that may ask."""
    try:
        head = client.head_object(Bucket=bucket, Key=key, VersionId=version)
    except ClientError:
        return
    until = head.get("ObjectLockRetainUntilDate")
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        raise LockedError(f"{key} is under a legal hold", hint="whoever set the hold can lift it")
    if until is not None and until > datetime.now(UTC):
        raise LockedError(f"{key} is locked until {until:%Y-%m-%d %H:%M} UTC", until=until, hint="nothing: wait for it")

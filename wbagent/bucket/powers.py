"""What the keys of this host may do in the bucket, found out by doing it to a small object of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from wbagent.bucket.client import USUAL, Checksums, Patience, open_client
from wbagent.bucket.s3_errors import explained
from wbagent.bucket.s3_upload import content_md5
from wbagent.bucket.versions import error_code, versions_of
from wbagent.config.dsn import S3URL

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROBE: Final = b"a probe of wbagent backup check-destination; it may be removed"
# Long enough to outlast a difference of clocks, short enough that what stays is removed by the next check.
_LOCK: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Powers:
    """What is allowed; None where it could not be found out, or does not apply.

    `delete` is a plain DELETE, `delete_version` one of an older version, `bypass` one of a version under a governance
    lock, `shorten` making such a lock shorter; `administer`: changing the bucket's settings. `retention` is the lock
    that the bucket itself gives new objects, such as "GOVERNANCE", or "". `encryption`: what the store says that it
    encrypts with, at its own keys, or "".
    """

    put: bool
    read: bool
    list: bool
    delete: bool | None = None
    versioned: bool | None = None
    delete_version: bool | None = None
    locking: bool | None = None
    retention: str = ""
    bypass: bool | None = None
    shorten: bool | None = None
    administer: bool | None = None
    encryption: str = ""
    left: int = 0


def probe(url: S3URL, owner: str, checksums: Checksums, patience: Patience = USUAL) -> Powers:
    """Find out; what was stored for it is removed again, where that is allowed. Raises BucketError.

    Harmless: everything is done to objects below OWNER/.check/ that this makes, but for one request that gives the
    bucket the versioning that it has already.
    """
    with explained(url, "be probed"):
        return _Probing(open_client(url, checksums, patience), url, owner).run()


def clear(url: S3URL, owner: str, checksums: Checksums, patience: Patience = USUAL) -> None:
    """Remove what a probe that was interrupted left, as far as that is allowed. Raises BucketError."""
    with explained(url, "be cleared of probes"):
        _Probing(open_client(url, checksums, patience), url, owner).clear()


class _Probing:
    def __init__(self, client: S3Client, url: S3URL, owner: str) -> None:
        self._client = client
        self._bucket = url.bucket
        self._directory = "/".join(part for part in (url.prefix, owner) if part)
        self._key = f"{self._directory}/.check/{secrets.token_hex(8)}"
        self._place: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key}

    def run(self) -> Powers:
        put = self._allowed(lambda: self._client.put_object(**self._place, Body=_PROBE))
        read = self._allowed(self._read)
        listed = self._allowed(lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=f"{self._directory}/"))
        facts = self._settings()
        if not put:
            return Powers(put, read, listed, **facts)
        first = self._first_version() if facts["versioned"] else None
        # Overwriting needs no right of its own: whoever may put may do that.
        facts["delete"] = self._allowed(lambda: self._client.delete_object(**self._place))
        if first:
            gone = self._allowed(lambda: self._client.delete_object(**self._place, VersionId=first))
            facts["delete_version"] = gone
        if facts["locking"]:
            facts |= self._lock()
        return Powers(put, read, listed, **facts, left=self.clear())

    def _read(self) -> None:
        with self._client.get_object(**self._place)["Body"] as body:
            body.read()

    def _settings(self) -> dict[str, Any]:
        """What the bucket says of itself."""
        client, bucket = self._client, self._bucket
        versioning = self._asked(lambda: client.get_bucket_versioning(Bucket=bucket))
        lock = self._asked(lambda: client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"])
        default = ((lock or {}).get("Rule") or {}).get("DefaultRetention") or {}
        rules = self._asked(
            lambda: client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        )
        applied = (rules or [{}])[0].get("ApplyServerSideEncryptionByDefault") or {}
        enabled = versioning is not None and versioning.get("Status") == "Enabled"
        return {
            "versioned": None if versioning is None else enabled,
            "locking": None if lock is None else lock.get("ObjectLockEnabled") == "Enabled",
            "retention": default.get("Mode", ""),
            "encryption": applied.get("SSEAlgorithm", ""),
            "administer": self._allowed(
                lambda: client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            )
            if enabled
            else None,
        }

    def _first_version(self) -> str | None:
        """The version that a second put has made an old one."""
        first = self._client.put_object(**self._place, Body=_PROBE).get("VersionId")
        self._client.put_object(**self._place, Body=_PROBE)
        return first

    def _lock(self) -> dict[str, bool]:
        """Whether a governance lock holds these keys off."""
        until = datetime.now(UTC) + _LOCK
        place = {**self._place, "Key": f"{self._key}-locked"}
        locked: dict[str, Any] = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        try:
            version = self._client.put_object(**place, **locked, Body=_PROBE, ContentMD5=content_md5(_PROBE))
        except ClientError:
            return {}
        place["VersionId"] = version["VersionId"]
        sooner: Any = {"Mode": "GOVERNANCE", "RetainUntilDate": until - _LOCK / 2}
        shorten = self._allowed(
            lambda: self._client.put_object_retention(**place, Retention=sooner, BypassGovernanceRetention=True)
        )
        bypass = self._allowed(lambda: self._client.delete_object(**place, BypassGovernanceRetention=True))
        return {"shorten": shorten, "bypass": bypass}

    def clear(self) -> int:
        """Remove what this and earlier checks left; how much of it stays."""
        left = 0
        for key in sorted(self._stored()):
            for version in versions_of(self._client, self._bucket, key):
                place: Any = {"Bucket": self._bucket, "Key": key, "VersionId": version.id}
                left += not self._allowed(lambda: self._client.delete_object(**place))  # noqa: B023 - called at once
        return left

    def _stored(self) -> set[str]:
        """The keys of all probes that have a version, or that hide behind a marker; none when that may not be seen."""
        keys: set[str] = set()
        with suppress(ClientError):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=f"{self._directory}/.check/"
            )
            for page in pages:
                keys |= {each["Key"] for each in page.get("Versions", ())}
                keys |= {each["Key"] for each in page.get("DeleteMarkers", ())}
        return keys

    def _allowed(self, request: Callable[[], object]) -> bool:
        try:
            request()
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                raise
            if error_code(error) in {"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
                raise
            return False
        return True

    def _asked(self, request: Callable[[], Any]) -> Any:
        """The answer; an empty one where there is no such setting, None where it may not be asked."""
        try:
            return request()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return {} if status == 404 or error_code(error) == "InvalidRequest" else None

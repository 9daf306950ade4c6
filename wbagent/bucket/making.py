"""Makes a bucket as it should be, or mends one that is there: what is missing is decided first, then done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from wbagent.bucket.cors import NoCorsRulesError, Rule, merged, read, write
from wbagent.bucket.s3_errors import explained
from wbagent.bucket.store import NotAllowedError
from wbagent.bucket.versions import error_code
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Amazon's first region is named by naming none.
_FIRST_REGION: Final = "us-east-1"


class Step(StrEnum):
    """In the order in which they are done."""

    MAKE = "make"
    VERSIONING = "versioning"
    CORS = "cors"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; `origin` is HOST, "" for a bucket that no browser uses. A lock brings versions with it."""

    versioning: bool = False
    lock: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is; `rules` (CORS) are None where the store has no such rules of single buckets."""

    exists: bool
    versioned: bool = False
    locking: bool = False
    rules: tuple[Rule, ...] | None = ()
    server: str = ""


def steps(found: Found, wanted: Wanted) -> tuple[Step, ...]:
    """What is left to do; none when all is as it should be.

    Raises BucketError for a lock on a bucket that was made without: no store adds one later (Amazon does, on request).
    """
    if found.exists and wanted.lock and not found.locking:
        raise BucketError(
            "the bucket is there already, without Object Lock, which it can only have from its making on",
            hint="choose another name, or do without --lock",
        )
    todo = [] if found.exists else [Step.MAKE]
    if wanted.versioning and not wanted.lock and not found.versioned:
        todo.append(Step.VERSIONING)
    if wanted.origin and found.rules is not None and merged(found.rules, wanted.origin) != found.rules:
        todo.append(Step.CORS)
    return tuple(todo)


def look(client: S3Client, url: S3URL) -> Found:
    """What there is; raises BucketError, also for a bucket of that name that belongs to another."""
    with explained(url, "be looked at"):
        try:
            answer = client.head_bucket(Bucket=url.bucket)
        except ClientError as error:
            _refused(client, url, error)
            headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
            return Found(exists=False, server=headers.get("server", ""))
        versioning = client.get_bucket_versioning(Bucket=url.bucket)
        locking = _locking(client, url.bucket)
    try:
        rules: tuple[Rule, ...] | None = read(client, url)
    except NoCorsRulesError:
        rules = None
    server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "")
    return Found(True, versioning.get("Status") == "Enabled", locking, rules, server)


def carry_out(client: S3Client, url: S3URL, todo: Sequence[Step], found: Found, wanted: Wanted) -> Iterator[Step]:
    """Do them, and give each one that is done; raises BucketError. Done again it has the same end."""
    for step in todo:
        match step:
            case Step.MAKE:
                _make(client, url, lock=wanted.lock)
            case Step.VERSIONING:
                with explained(url, "keep versions"):
                    client.put_bucket_versioning(Bucket=url.bucket, VersioningConfiguration={"Status": "Enabled"})
            case Step.CORS:
                write(client, url, merged(found.rules or (), wanted.origin))
        yield step


def _make(client: S3Client, url: S3URL, *, lock: bool) -> None:
    options: Any = {"ObjectLockEnabledForBucket": True} if lock else {}
    if url.region not in {None, _FIRST_REGION}:
        options["CreateBucketConfiguration"] = {"LocationConstraint": url.region}
    with explained(url, "be made"):
        try:
            client.create_bucket(Bucket=url.bucket, **options)
        except ClientError as error:
            if error_code(error) != "BucketAlreadyOwnedByYou":
                raise


def _refused(client: S3Client, url: S3URL, error: ClientError) -> None:
    """Return when there is no such bucket; the answer to HEAD has no code, so that of a question with one is raised."""
    if error_code(error) in {"404", "NoSuchBucket"}:
        return
    try:
        client.list_objects_v2(Bucket=url.bucket, MaxKeys=1)
    except ClientError as told:
        if error_code(told) not in {"AccessDenied", "403"}:
            raise
        raise NotAllowedError(
            f"there is a bucket {url.bucket} at {url.address}, and these keys may not see into it: it may be another's",
            hint="choose another name, or let its owner allow these keys to use it",
        ) from None
    raise error


def _locking(client: S3Client, bucket: str) -> bool:
    try:
        found = client.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in {404, 400, 501}:
            return False
        raise
    return found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

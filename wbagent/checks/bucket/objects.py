"""What needs several requests with the keys themselves: an upload in parts, and deletion."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from wbagent.bucket.plain_http import Reply
from wbagent.bucket.s3_errors import explained
from wbagent.bucket.versions import error_code
from wbagent.checks.bucket.signed import judge_get
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn

_SIZE: Final = 64 * 1024
_POLICY: Final = "give the keys the policy of: wbagent bucket create --policy minio   # or: aws, ceph"


def multipart(store: Store, subject: Subject) -> Iterator[Finding]:
    """An upload in parts, each by a signed URL, as W&B's clients send large files; another one is taken back."""
    body, key = secrets.token_bytes(_SIZE), store.key("in-parts")
    place: Any = {"Bucket": store.url.bucket, "Key": key}
    with store.removed(subject, key), subject.scratch.removed(lambda: _abort_all(store, key)):
        try:
            upload = store.client.create_multipart_upload(**place)["UploadId"]
            part = store.use("PUT", key, body, query={"partNumber": "1", "uploadId": upload})
            if not part.good:
                yield fail(f"a part of an upload is answered {part.said}", needed="uploads in parts", remedy=_POLICY)
                return
            parts: Any = {"Parts": [{"ETag": part.headers.get("etag", ""), "PartNumber": 1}]}
            store.client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
            whole = judge_get(store.use("GET", key), body)
            yield whole if whole.verdict == "fail" else passed("an upload in parts came back equal")
            other = store.client.create_multipart_upload(**place)["UploadId"]
            store.client.abort_multipart_upload(**place, UploadId=other)
        except ClientError:
            with explained(store.url, "take an upload in parts"):
                raise
        left = _unfinished(store, key)
        yield (
            warn(
                "an aborted upload is still listed: what is uploaded in part fills the store",
                needed="that aborting removes what was sent",
                remedy="see the store's own log",
                about="abort",
            )
            if left
            else passed("an upload was aborted and is gone", about="abort")
        )


def deletion(store: Store, subject: Subject) -> Iterator[Finding]:
    """Delete an object, as the server does when a run or an artifact is deleted; and what killed checks have left."""
    key = store.key("deleted")
    place: Any = {"Bucket": store.url.bucket, "Key": key}
    with explained(store.url, "delete an object"), store.removed(subject, key):
        store.client.put_object(**place, Body=b"to be deleted")
        try:
            store.client.delete_object(**place)
        except ClientError as error:
            if error_code(error) not in {"AccessDenied", "403"}:
                raise
            yield warn(
                "these keys may not delete: what users delete stays and is paid for",
                needed="s3:DeleteObject",
                remedy=_POLICY,
            )
            return
        yield judge_deleted(store.use("HEAD", key))
    if old := store.left_behind():
        for each in old:
            store.remove(each)
        yield note(f"{len(old)} test objects of earlier checks, which were killed, were removed", about="left behind")


def judge_deleted(head: Reply) -> Finding:
    """A look at an object that was deleted; keys that may not list get 403 for what is not there."""
    if not head.good:
        return passed("an object was deleted and is gone")
    return fail(
        "a deleted object is still given",
        needed="404",
        remedy="see what stands before the store: a cache, or two stores behind one name",
    )


def _unfinished(store: Store, key: str) -> list[str]:
    """Uploads of this key that are neither completed nor aborted; none where these keys may not ask."""
    try:
        page = store.client.list_multipart_uploads(Bucket=store.url.bucket, Prefix=key)
    except ClientError:
        return []
    return [upload["UploadId"] for upload in page.get("Uploads", ()) if upload["Key"] == key]


def _abort_all(store: Store, key: str) -> None:
    with explained(store.url, "abort an upload"):
        for upload in _unfinished(store, key):
            store.client.abort_multipart_upload(Bucket=store.url.bucket, Key=key, UploadId=upload)

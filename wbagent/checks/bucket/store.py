"""The server's bucket as its checks share it: where it is, what is known of it so far, and how test objects go away."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.plain_http import Reply, send
from wbagent.bucket.signing import presigned
from wbagent.checks.check import Subject
from wbagent.config.dsn import S3URL
from wbagent.monitor.trust import trust

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# As W&B's server signs: a day to upload, an hour to read.
PUT_S: Final = 86400
GET_S: Final = 3600
# No check takes so long.
_OLD_S: Final = 3600
_OWN: Final = ".wbagent-check"


@dataclass
class Store:
    """One run's view of the bucket; the checks of an area run one after the other.

    `closed` says why nothing more can be asked, `unwritable` why nothing can be stored; `skipped` are the checks that
    were left out for either. `host` is HOST, as users open it, `now` the clock that requests are signed with.
    """

    url: S3URL
    host: str
    now: Callable[[], float] = time.time
    closed: str = ""
    unwritable: str = ""
    skipped: list[str] = field(default_factory=list)
    hidden: int = 0
    _refused: set[str] = field(default_factory=set)
    _client: S3Client | None = None

    @property
    def mc(self) -> McLines:
        """The lines of MinIO's client for this bucket."""
        return McLines(self.url, "wandb")

    @property
    def trust(self) -> ssl.SSLContext | None:
        """The authorities of this host, None for a store without TLS."""
        return trust() if self.url.tls else None

    @property
    def client(self) -> S3Client:
        """For what is asked with the keys themselves; it gives up soon, as every check has its limit."""
        if self._client is None:
            from wbagent.bucket.client import IMPATIENT, open_client  # noqa: PLC0415 - half a second

            self._client = open_client(self.url, "when_required", IMPATIENT)
        return self._client

    def key(self, name: str) -> str:
        """A new object's key, below a prefix that is the checks' own."""
        parts = (self.url.prefix, _OWN, secrets.token_hex(8), name)
        return "/".join(part for part in parts if part)

    def use(
        self,
        method: str,
        key: str,
        body: bytes = b"",
        *,
        query: Mapping[str, str] | None = None,
        signed: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        preflight: bool = False,
    ) -> Reply:
        """Sign a URL as the server does and use it as a client does; raises BucketError when nobody answers.

        `preflight`: ask as a browser does before it uses the URL, which is signed for `method` all the same.
        """
        expires = PUT_S if method == "PUT" else GET_S
        url = presigned(self.url, method, key, now=self.now(), expires=expires, query=query, headers=signed)
        asked = "OPTIONS" if preflight else method
        reply = send(url, asked, body, more=more, trust=self.trust)
        if asked == "PUT" and 400 <= reply.status < 500:
            self._refused.add(key)
        return reply

    @contextmanager
    def removed(self, subject: Subject, key: str) -> Iterator[None]:
        """Remove the object `key` when the block ends, or when all is interrupted; put it once only."""

        def remove() -> None:
            # Keys that may not put often may not delete either: that nothing could be removed would be untrue.
            if key not in self._refused:
                self.remove(key)

        with subject.scratch.removed(remove):
            yield

    def left_behind(self) -> list[str]:
        """The test objects of checks that were killed, by their age; none where these keys may not list."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is loaded by now

        prefix = f"{self.url.prefix}/{_OWN}/".removeprefix("/")
        oldest = self.now() - _OLD_S
        try:
            page = self.client.list_objects_v2(Bucket=self.url.bucket, Prefix=prefix)
        except ClientError:
            return []
        return [each["Key"] for each in page.get("Contents", ()) if each["LastModified"].timestamp() < oldest]

    def remove(self, key: str) -> None:
        """Every version of it, where these keys may do that; else it is hidden, which is counted."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is loaded by now

        from wbagent.bucket.s3_errors import explained  # noqa: PLC0415 - as above
        from wbagent.bucket.versions import versions_of  # noqa: PLC0415 - as above

        place: Any = {"Bucket": self.url.bucket, "Key": key}
        with explained(self.url, f"delete {key}"):
            marker = self.client.delete_object(**place).get("VersionId")
            if not marker:
                return
            try:
                for version in versions_of(self.client, self.url.bucket, key):
                    self.client.delete_object(**place, VersionId=version.id)
            except ClientError:
                self.hidden += 1

"""The lines of MinIO's client that do the same by hand; they hold no secret, since it asks for the keys itself.

The program is called mcli here, as MinIO's own package calls it: Debian's calls it minio-client, others mc.
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from wbagent.config.dsn import S3URL


@dataclass(frozen=True, slots=True)
class McLines:
    """Of one bucket; `alias` is the name under which the client knows the store from the first line on."""

    url: S3URL
    alias: str

    @property
    def place(self) -> str:
        """The bucket as the client names it."""
        return f"{self.alias}/{self.url.bucket}"

    def login(self) -> str:
        """Asks for the keys."""
        endpoint = self.url.endpoint_url or f"https://s3.{self.url.region or 'us-east-1'}.amazonaws.com"
        path = "on" if self.url.path_style else "off"
        return f"mcli alias set {self.alias} {quote(endpoint)} --path {path}"

    def make(self, *, lock: bool = False) -> str:
        """Makes the bucket, in its region when one is named, unless it is there."""
        region = f" --region {quote(self.url.region)}" if self.url.region else ""
        return f"mcli mb --ignore-existing{region}{' --with-lock' if lock else ''} {self.place}"

    def keep_versions(self) -> str:
        """Turns versioning on."""
        return f"mcli version enable {self.place}"

    def set_cors(self, file: str) -> str:
        """Replaces the bucket's CORS rules by those of `file` (XML)."""
        return f"mcli cors set {self.place} {file}"

    def allow_origin(self, origin: str) -> str:
        """For MinIO's server, which has no CORS rules of single buckets but one setting for all of them."""
        return f"mcli admin config set {self.alias} api cors_allow_origin={quote(origin)}"

    def remove_rule(self, rule: str) -> str:
        """Removes one rule of the bucket's lifecycle."""
        return f"mcli ilm rule rm --id {quote(rule)} {self.place}"

    def clear_default_lock(self) -> str:
        """What is stored from then on is not locked by itself."""
        return f"mcli retention clear --default {self.place}"

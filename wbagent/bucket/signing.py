"""Signs one request to an S3 store, or a URL for one (AWS Signature Version 4), without boto3's 40 MB.

After "Create a signed AWS API request" of the IAM user guide; a test compares it with botocore's own signatures.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from wbagent.config.connection_string import with_port
from wbagent.config.dsn import S3URL

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def host_of(url: S3URL) -> tuple[str, int]:
    """Name and port to ask, with the bucket in the name where the store wants that."""
    host, port = endpoint_of(url)
    return (host if url.path_style else f"{url.bucket}.{host}"), port


def endpoint_of(url: S3URL) -> tuple[str, int]:
    """Name and port of the store, the same for all its buckets."""
    return url.host or f"s3.{url.region or 'us-east-1'}.amazonaws.com", url.port or (443 if url.tls else 80)


def target(url: S3URL, key: str, query: Mapping[str, str]) -> str:
    """Path and query of an object, as they stand in the request line."""
    path = f"/{url.bucket}/{key}" if url.path_style else f"/{key}"
    return quote(path, safe="/-_.~") + ("?" + _query(query) if query else "")


def signed(url: S3URL, method: str, key: str, query: Mapping[str, str], body: bytes, now: float) -> Mapping[str, str]:
    """The headers of the request, signed with the connection string's keys; `now`: seconds since the epoch."""
    at = _stamp(now)
    headers = {
        "host": _host_header(url),
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": at,
    }
    signature = _signature(url, method, key, query, headers, headers["x-amz-content-sha256"], at)
    names = ";".join(headers)
    credential = f"{url.access_key}/{_scope(url, at)}"
    authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": authorization}


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """What a client is handed: where to send a request (`target`: its path and query), and with which headers.

    Whoever has it may make the request, so it is not shown.
    """

    secure: bool
    host: str
    port: int
    target: str = field(repr=False)
    headers: Mapping[str, str]


def presigned(
    url: S3URL,
    method: str,
    key: str,
    *,
    now: float,
    expires: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> SignedUrl:
    """A URL that allows this one request for `expires` seconds to whoever has it, as W&B's server makes them.

    `headers`, named in lower case, are signed too: who uses the URL must send exactly these.
    """
    at = _stamp(now)
    host, port = host_of(url)
    sent = dict(sorted({"host": _host_header(url), **(headers or {})}.items()))
    asked = {
        **(query or {}),
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{url.access_key}/{_scope(url, at)}",
        "X-Amz-Date": at,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": ";".join(sent),
    }
    signature = _signature(url, method, key, asked, sent, "UNSIGNED-PAYLOAD", at)
    return SignedUrl(url.tls, host, port, f"{target(url, key, asked)}&X-Amz-Signature={signature}", sent)


def _signature(
    url: S3URL, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: str, at: str
) -> str:
    path = target(url, key, {})
    lines = [f"{header}:{value}" for header, value in headers.items()]
    request = [method, path, _query(query), *lines, "", ";".join(headers), body]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    scope = _scope(url, at)
    signing_key = f"AWS4{url.secret_key}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    to_sign = "\n".join([_ALGORITHM, at, scope, digest])
    return hmac.digest(signing_key, to_sign.encode(), "sha256").hex()


def _stamp(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"


def _scope(url: S3URL, at: str) -> str:
    return f"{at[:8]}/{url.region or 'us-east-1'}/s3/aws4_request"


def _host_header(url: S3URL) -> str:
    name, port = host_of(url)
    return name if port == (443 if url.tls else 80) else with_port(name, port)


def _query(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(query.items()))

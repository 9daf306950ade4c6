"""Signs one request to an S3 store (AWS Signature Version 4), for the agent, which has no room for boto3's 40 MB.

After "Create a signed AWS API request" of the IAM user guide; a test compares it with botocore's own signatures.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from wbagent.config.connection_string import with_port
from wbagent.config.dsn import S3URL

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def host_of(url: S3URL) -> tuple[str, int]:
    """Name and port of the machine to ask."""
    host = url.host or f"s3.{url.region or 'us-east-1'}.amazonaws.com"
    return (host if url.path_style else f"{url.bucket}.{host}"), url.port or (443 if url.tls else 80)


def target(url: S3URL, key: str, query: Mapping[str, str]) -> str:
    """Path and query of an object, as they stand in the request line."""
    path = f"/{url.bucket}/{key}" if url.path_style else f"/{key}"
    return quote(path, safe="/-_.~") + ("?" + _query(query) if query else "")


def signed(url: S3URL, method: str, key: str, query: Mapping[str, str], body: bytes, now: float) -> Mapping[str, str]:
    """The headers of the request, signed with the connection string's keys; `now`: seconds since the epoch."""
    at = datetime.fromtimestamp(now, UTC)
    name, port = host_of(url)
    plain = port == (443 if url.tls else 80)
    headers = {
        "host": name if plain else with_port(name, port),
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}",
    }
    scope = f"{at:%Y%m%d}/{url.region or 'us-east-1'}/s3/aws4_request"
    names = ";".join(headers)
    path, _, _ = target(url, key, {}).partition("?")
    lines = [f"{header}:{value}" for header, value in headers.items()]
    request = [method, path, _query(query), *lines, "", names, headers["x-amz-content-sha256"]]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, headers["x-amz-date"], scope, digest])
    signing_key = f"AWS4{url.secret_key}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    credential = f"{url.access_key}/{scope}"
    authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": authorization}


def _query(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(query.items()))

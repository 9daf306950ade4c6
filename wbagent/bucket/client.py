"""Makes boto3's client for the store of a connection string: signatures, time-outs, checksums, bandwidth."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import boto3
from botocore.config import Config

from wbagent.bucket.s3_errors import UNANSWERED
from wbagent.config.dsn import S3URL

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from wbagent.bucket.pace import Throttle

Checksums: TypeAlias = Literal["when_supported", "when_required"]
# Opened as they are needed: binary logs are read in so many small pieces at once.
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a connection and for an answer, and how often boto3 itself makes a request.

    `silence`: after so many seconds in which nobody answered a request, it is not made again.
    """

    connect: float
    answer: float
    attempts: int
    silence: float = math.inf


# For what a person waits for: boto3 tries for about a quarter of a minute, and about 10 s where nobody is there at all.
USUAL: Final = Patience(5, 30, 5, silence=8)
# For what goes on for long, and is not to end because the network was away for ten seconds.
STEADY: Final = Patience(10, 30, 5)
# For what tries again by itself and has other things to do meanwhile.
IMPATIENT: Final = Patience(5, 10, 1)


def open_client(
    url: S3URL,
    checksums: Checksums = "when_supported",
    patience: Patience = USUAL,
    throttle: Throttle | None = None,
) -> S3Client:
    """A client of its own; clients share what boto3 knows of S3, so a further one is small. Raises what boto3 raises.

    `checksums`: whether to add CRC trailers, which old stores do not understand.
    """
    client = boto3.client(
        "s3",
        endpoint_url=url.endpoint_url,
        region_name=url.region or "us-east-1",
        # Without keys in the URL boto3 looks for the machine's own (instance role, environment).
        aws_access_key_id=url.access_key or None,
        aws_secret_access_key=url.secret_key or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if url.path_style else "virtual"},
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            connect_timeout=patience.connect,
            read_timeout=patience.answer,
            max_pool_connections=_CONNECTIONS,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )
    if patience.attempts > 1 and patience.silence < math.inf:
        silence = _Silence(patience.silence)
        client.meta.events.register("before-call.s3", silence.begin)
        # Before boto3's own, which says whether to make the request again.
        client.meta.events.register_first("needs-retry.s3", silence.end)
    if throttle:
        # The last moment before the body goes out: what reads it earlier computes checksums, which costs no bandwidth.
        client.meta.events.register("before-send.s3", _Pacing(throttle))
    return client


class _Silence:
    """Event handlers of botocore that end a request which nobody has answered for `limit` seconds."""

    _BEGUN = "wbagent_begun"

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def begin(self, context: dict[str, Any], **_: object) -> None:
        """Note when the request is made for the first time."""
        context[self._BEGUN] = time.monotonic()

    def end(self, caught_exception: Exception | None, request_dict: dict[str, Any], **_: object) -> None:
        """Raise what it failed with when that was silence, and has taken so long."""
        begun = request_dict["context"][self._BEGUN]
        if isinstance(caught_exception, UNANSWERED) and time.monotonic() - begun >= self._limit:
            raise caught_exception


class _Pacing:
    """An event handler of botocore that lets a request's body go out at the throttle's pace."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def __call__(self, request: Any, **_: object) -> None:
        if request.body:
            request.body = _PacedBody(request.body, self._throttle)


class _PacedBody:
    """What urllib3 reads a body from, piece by piece."""

    def __init__(self, body: bytes | bytearray | IO[bytes], throttle: Throttle) -> None:
        self._throttle = throttle
        self._view = memoryview(body) if isinstance(body, bytes | bytearray) else None
        self._file = cast("IO[bytes]", body)
        self._offset = 0

    def read(self, size: int = -1) -> bytes:
        """The next piece, when it may go."""
        piece = self._throttle.piece
        size = piece if size < 0 else min(size, piece)
        if self._view is None:
            data = self._file.read(size)
        else:
            data = bytes(self._view[self._offset : self._offset + size])
            self._offset += len(data)
        self._throttle.wait(len(data))
        return data

    def seek(self, offset: int) -> None:
        """Begin again: boto3 does so before it makes the request once more."""
        self._offset = offset
        if self._view is None:
            self._file.seek(offset)

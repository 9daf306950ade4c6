"""Uses a signed URL as a browser or W&B's client does: plain HTTP, without keys, exactly the headers it was given."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

from wbagent.bucket.signing import SignedUrl
from wbagent.errors import BucketError

_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_LONGEST: Final = 4 << 20
_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `code` is S3's name of an error, "" for none; names of headers are in lower case."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def good(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300

    @property
    def said(self) -> str:
        """Such as "403 SignatureDoesNotMatch"."""
        return f"{self.status} {self.code}".rstrip()

    @property
    def date(self) -> float | None:
        """The store's clock, to the second."""
        try:
            return parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return None


def send(
    signed: SignedUrl,
    method: str,
    body: bytes = b"",
    *,
    more: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Reply:
    """Make one request on a connection of its own; `more`: headers that are not signed. Raises BucketError."""
    place = (signed.host, signed.port)
    connection = (
        http.client.HTTPSConnection(*place, timeout=_TIMEOUT_S, context=trust)
        if signed.secure
        else http.client.HTTPConnection(*place, timeout=_TIMEOUT_S)
    )
    try:
        # Who refuses so large a body answers before it has come, and takes no more of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, signed.target, body or None, {**signed.headers, **(more or {})})
        answer = connection.getresponse()
        content = answer.read(_LONGEST)
    except (OSError, http.client.HTTPException) as error:
        what = f"no answer in {_TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else str(error)
        raise BucketError(
            f"{signed.host}:{signed.port}: {method}: {what}", hint="see the store and what stands before it"
        ) from None
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, code_of(answer.status, content), headers, content)


def code_of(status: int, body: bytes) -> str:
    """S3's name of the error in an answer, "" for none."""
    code = _CODE.search(body) if status >= 300 else None
    return code[1].decode() if code else ""

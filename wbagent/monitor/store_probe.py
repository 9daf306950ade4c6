"""Asks an object store what the server or the backup will ask it: a tiny object put, read, removed, or only read."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from wbagent.bucket.plain_http import code_of
from wbagent.bucket.signing import host_of, signed, target
from wbagent.config.dsn import S3URL
from wbagent.monitor.outside import Stage, failure
from wbagent.monitor.trust import forget, trust

_BODY: Final = b"a probe of wbagent; it is removed at once"
_LONGEST: Final = 4096


class Trouble(StrEnum):
    """What keeps a store from being used; each has its own remedy."""

    UNRESOLVED = "unresolved"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    KEY = "key"
    SIGNATURE = "signature"
    CLOCK = "clock"
    BUCKET = "bucket"
    REGION = "region"
    DENIED = "denied"
    FULL = "full"
    FAILING = "failing"
    LOST = "lost"


_TROUBLES: Final = {
    "InvalidAccessKeyId": Trouble.KEY,
    "SignatureDoesNotMatch": Trouble.SIGNATURE,
    "RequestTimeTooSkewed": Trouble.CLOCK,
    "RequestExpired": Trouble.CLOCK,
    "NoSuchBucket": Trouble.BUCKET,
    "AuthorizationHeaderMalformed": Trouble.REGION,
    "PermanentRedirect": Trouble.REGION,
    "TemporaryRedirect": Trouble.REGION,
    "QuotaExceeded": Trouble.FULL,
}
_BROKEN: Final = {Stage.NAME: Trouble.UNRESOLVED, Stage.REFUSED: Trouble.REFUSED, Stage.TLS: Trouble.TLS}
_FULL: Final = 507
# The trouble, what was seen, and whether something is left behind.
_Outcome: TypeAlias = "tuple[Trouble | None, str, bool]"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's outcome. `code` is S3's name of the error, "" for none; `what` names the request, for people."""

    what: str
    status: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One look: `trouble` None when all is well, `said` what was seen in one line, `seconds` for all its requests.

    `reached`: the machine answered, if only by refusing. `left`: the object could not be removed again.
    """

    trouble: Trouble | None
    said: str
    seconds: float
    reached: bool = True
    left: bool = False


def judge(answer: Answer, *, may_be_refused: bool) -> Trouble | None:
    """What an answer of the store means.

    `may_be_refused`: of keys that may only write, or not list, a refused read is what is to be expected; wrong keys, a
    wrong clock and a missing bucket are trouble all the same.
    """
    if answer.code in _TROUBLES:
        return _TROUBLES[answer.code]
    if answer.status == _FULL:
        return Trouble.FULL
    if answer.status in {401, 403}:
        return None if may_be_refused else Trouble.DENIED
    if answer.status in {301, 307}:
        return Trouble.REGION
    # No such object: that is what a read of one that was never there is to give.
    if 200 <= answer.status < 300 or (answer.status == 404 and answer.code in {"", "NoSuchKey"}):
        return None
    return Trouble.FAILING


def read(url: S3URL, key: str, timeout: float, now: float) -> Asked:
    """Read an object that is not there: nothing is written, which a store with locks could not be rid of.

    `now` is the wall clock, which requests are signed with.
    """
    return _ask(url, timeout, now, lambda way: _judged(way.request("GET", key), may_be_refused=True))


def write(url: S3URL, key: str, timeout: float, now: float) -> Asked:
    """Put a small object, read and compare it, remove it with the very version that was made; `now` as for `read`."""
    return _ask(url, timeout, now, lambda way: _round_trip(way, key))


def _ask(url: S3URL, timeout: float, now: float, ask: Callable[[_Way], _Outcome]) -> Asked:
    begun = time.monotonic()
    way = _Way(url, timeout, now)
    reached = True
    try:
        trouble, said, left = ask(way)
    except (OSError, http.client.HTTPException) as error:
        host, port = host_of(url)
        stage, said = failure(error, f"{host}:{port}", timeout, connected=way.connected)
        trouble, left = _BROKEN.get(stage, Trouble.UNREACHABLE), False
        reached = way.connected or trouble in {Trouble.REFUSED, Trouble.TLS}
        if trouble is Trouble.TLS:
            forget()
    finally:
        way.close()
    return Asked(trouble, said.replace("\n", " ")[:200], time.monotonic() - begun, reached, left)


class _Way:
    """One connection to a store."""

    def __init__(self, url: S3URL, timeout: float, now: float) -> None:
        self._url = url
        self._now = now
        host, port = host_of(url)
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, timeout=timeout, context=trust())
            if url.tls
            else http.client.HTTPConnection(host, port, timeout=timeout)
        )
        self.connected = False
        self.headers: Mapping[str, str] = {}
        self.body = b""

    def request(self, method: str, key: str, body: bytes = b"", version: str = "") -> Answer:
        if not self.connected:
            self._connection.connect()
            self.connected = True
        query = {"versionId": version} if version else {}
        headers = dict(signed(self._url, method, key, query, body, self._now)) | {"user-agent": "wbagent"}
        self._connection.request(method, target(self._url, key, query), body or None, headers)
        response = self._connection.getresponse()
        self.body = response.read(_LONGEST)
        # An answer that is longer is no S3 store's; what is left of it must not be taken for the next one.
        if response.read(1):
            self._connection.close()
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(method, response.status, code_of(response.status, self.body))

    def close(self) -> None:
        self._connection.close()


def _judged(answer: Answer, *, may_be_refused: bool) -> _Outcome:
    trouble = judge(answer, may_be_refused=may_be_refused)
    return trouble, f"{answer.what}: {answer.status} {answer.code}".strip(), False


def _round_trip(way: _Way, key: str) -> _Outcome:
    put = _judged(way.request("PUT", key, _BODY), may_be_refused=False)
    if put[0]:
        return put
    version = way.headers.get("x-amz-version-id", "")
    got = way.request("GET", key)
    read = _judged(got, may_be_refused=False)
    # Of a store that is only in the end consistent "not there" is no trouble yet.
    whole = got.status != 200 or way.body == _BODY
    removed = way.request("DELETE", key, version="" if version == "null" else version)
    left = judge(removed, may_be_refused=False) is not None
    if not whole:
        return Trouble.LOST, "what was read is not what was stored", left
    return read[0], read[1], left

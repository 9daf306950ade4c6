"""Which failures of a store may pass by themselves, and how long a request that met one is made again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from botocore import exceptions

from wbagent.errors import BucketError, WbagentError

_T = TypeVar("_T")
_FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
# A store that never answered may be one that is not there: a wrong address must not look like work for ten minutes.
_FIRST_CONTACT_S: Final = 60.0
# 400 RequestTimeout is how Amazon's S3 ends a connection that was silent for 20 s.
_TRANSIENT_CODES: Final = {"RequestTimeout", "SlowDown", "TooManyRequests", "Throttling", "ThrottlingException"}
_TRANSIENT_STATUSES: Final = {408, 429, 500, 502, 503, 504}
_TRANSIENT: Final = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    exceptions.IncompleteReadError,
    ConnectionError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later: the network, an overloaded or restarting store; never a refusal."""
    if isinstance(error, exceptions.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in _TRANSIENT_CODES or status in _TRANSIENT_STATUSES
    if isinstance(error, exceptions.SSLError):
        # A link that is cut shows up here too; a certificate that is wrong now is wrong later.
        return "certificate" not in str(error).lower()
    return isinstance(error, _TRANSIENT)


def next_delay(failures: int, elapsed: float, limit: float, chance: float) -> float | None:
    """Seconds until the next attempt, or None when it is time to give up.

    `failures` so far (at least one); `elapsed`: seconds since the first; `limit`: how many those may be; `chance`: 0 to
    1, so that many hosts that lost one store do not come back as one. Invariant: no attempt begins later than `limit`
    after the first failure, one is made when it is used up, and no delay is longer than 30 s.
    """
    if elapsed >= limit:
        return None
    longest = min(_FIRST_S * float(2 ** min(failures - 1, 10)), _LONGEST_S)
    return min(longest * (0.5 + chance / 2), limit - elapsed)


class Persistence:
    """Makes requests again, for at most `limit` seconds after the first failure of each; 0: once only.

    Until the store has answered for the first time it is a minute at most.
    """

    def __init__(self, limit: float, tell: Callable[[Exception], None], *, answered: bool = False) -> None:
        """`tell` is called with each failure that is not the end of it, from whatever thread."""
        self._limit = limit
        self._answered = answered
        self._tell = tell
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End all waiting, of whatever thread: nothing is made again from now on."""
        self._stopped.set()

    def __call__(self, request: Callable[[], _T]) -> _T:
        """The request's result; raises what it raised last, and BucketError when it was stopped meanwhile."""
        began, failures = 0.0, 0
        while not self._stopped.is_set():
            try:
                result = request()
            except Exception as error:
                _raise_own(error)
                self._answered |= isinstance(error, exceptions.ClientError)
                failures += 1
                began = began or time.monotonic()
                limit = self._limit if self._answered else min(self._limit, _FIRST_CONTACT_S)
                delay = next_delay(failures, time.monotonic() - began, limit, random.random())  # noqa: S311 - jitter
                if delay is None or not is_transient(error):
                    raise
                self._tell(error)
            else:
                self._answered = True
                return result
            self._stopped.wait(delay)
        raise BucketError("given up, because something else failed")


def _raise_own(error: Exception) -> None:
    """Raise what a signal's handler raised in the midst of a request, which botocore takes for a broken connection."""
    inner = error.kwargs.get("error") if isinstance(error, exceptions.HTTPClientError) else None
    if isinstance(inner, WbagentError):
        raise inner from None

"""A bandwidth limit: a pure token bucket, and the throttle that all transfers of one store wait at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

# What may pass at once after a pause, in seconds of the rate: enough that many small waits do not lose time.
_BURST_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Allowance:
    """A token bucket: `rate` bytes a second; all that was allowed so far is spent at time `spent_at`."""

    rate: float
    spent_at: float = float("-inf")


def spend(allowance: Allowance, size: int, now: float) -> tuple[Allowance, float]:
    """What is left after `size` bytes, and how many seconds from `now` to wait before they may pass.

    Invariant: in any span of t seconds no more passes than `rate` * (t + _BURST_S) bytes and one piece, in whatever
    sizes and order it comes; and who asks for less than the rate never waits.
    """
    start = max(allowance.spent_at, now - _BURST_S)
    spent_at = start + size / allowance.rate
    return replace(allowance, spent_at=spent_at), max(0.0, start - now)


class Throttle:
    """Makes its callers, of whatever thread, wait so that together they keep to `rate` bytes a second."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._allowance = Allowance(rate)
        self._lock = threading.Lock()
        self._clock, self._sleep = clock, sleep

    @property
    def piece(self) -> int:
        """Bytes that are best passed on at once: about a twentieth of a second, so that a link sees no bursts."""
        return int(min(max(self._allowance.rate / 20, 4 << 10), 1 << 20))

    def wait(self, size: int) -> None:
        """Return when `size` more bytes may pass."""
        with self._lock:
            self._allowance, delay = spend(self._allowance, size, self._clock())
        if delay:
            self._sleep(delay)

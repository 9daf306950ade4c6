"""Users of the server: ask for a page again and again from outside, and know from when to when they got none."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from typing import Self

from tests.testbed.command import DeadlineError

# Two asks lie no further apart than this while answers come, so times are true to about as much.
_PAUSE_S = 0.02
_PATIENCE_S = 1.0


class Users(threading.Thread):
    """Asks one address until the end of the `with` block."""

    def __init__(self, url: str) -> None:
        super().__init__(name="users", daemon=True)
        self._url = url
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._served: list[tuple[float, bool]] = []

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_served(since=time.monotonic(), timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            asked = time.monotonic()
            served = self._ask()
            with self._news:
                # An answer says how the server is when it comes, a missing one how it was when it was asked.
                self._served.append((time.monotonic() if served else asked, served))
                self._news.notify_all()

    def _ask(self) -> bool:
        try:
            with urllib.request.urlopen(self._url, timeout=_PATIENCE_S) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_until_cut_off(self, *, since: float, timeout: float = 60) -> None:
        """Wait for a request that was asked after `since` (monotonic) and failed; raises DeadlineError."""
        self._wait(since, timeout, served=False)

    def wait_until_served(self, *, since: float, timeout: float = 60) -> None:
        """Wait for an answer that came after `since` (monotonic); raises DeadlineError."""
        self._wait(since, timeout, served=True)

    def _wait(self, since: float, timeout: float, *, served: bool) -> None:
        def seen() -> bool:
            return any(at >= since and how is served for at, how in self._served)

        with self._news:
            if not self._news.wait_for(seen, timeout):
                raise DeadlineError(f"users were {'not served' if served else 'served on'} for {timeout:g} s")

    def without(self, since: float) -> float:
        """For how many seconds in all they got nothing, from `since` (monotonic) to their last answer."""
        with self._news:
            asked = [(at, how) for at, how in self._served if at >= since]
        total, begun = 0.0, None
        for at, served in asked:
            if not served and begun is None:
                begun = at
            if served and begun is not None:
                total, begun = total + at - begun, None
        return total

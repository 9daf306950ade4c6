"""How far a backup or restore is: bytes and rate, as a line for systemd's STATUS= or for a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wbagent.quantities import format_size
from wbagent.systemd.notify import notify

_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`read` and `stored` in bytes, `elapsed` in seconds since this stage began; `expected` bytes to read, or 0.

    `finished` is set in the last report of a stage.
    """

    stage: str
    read: int
    stored: int
    elapsed: float
    expected: int = 0
    finished: bool = False

    @property
    def rate(self) -> float:
        """Bytes read a second."""
        return self.read / self.elapsed if self.elapsed > 0 else 0.0

    def line(self) -> str:
        """For example "dumping: 1.2G read, 430M stored, 95M/s"."""
        stored = f", {format_size(self.stored)} stored" if self.stored else ""
        return f"{self.stage}: {format_size(self.read)} read{stored}, {format_size(self.rate)}/s"


Reporter = Callable[[Progress], None]


class Meter:
    """Counts the bytes of one stage and reports at most once a second (always at its beginning and end)."""

    def __init__(self, stage: str, report: Reporter, *, expected: int = 0) -> None:
        self._stage = stage
        self._report = report
        self._expected = expected
        self._began = time.monotonic()
        self._next = self._began + _EVERY_S
        self._read = self._stored = 0
        self._tell(finished=False)

    def add(self, read: int, stored: int = 0) -> None:
        """So many bytes more."""
        self._read += read
        self._stored += stored
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self._tell(finished=False)

    def done(self) -> None:
        """The stage is over."""
        self._tell(finished=True)

    def _tell(self, *, finished: bool) -> None:
        elapsed = time.monotonic() - self._began
        self._report(Progress(self._stage, self._read, self._stored, elapsed, self._expected, finished))


def to_systemd(progress: Progress) -> None:
    """A Reporter that shows the line in `systemctl status`."""
    notify(f"STATUS={progress.line()}")

"""How far a backup or restore is: bytes and rate, as a line for systemd's STATUS= or for a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from wbagent.quantities import format_size, parse_size
from wbagent.systemd.notify import notify

_EVERY_S: Final = 1.0
_LINE: Final = re.compile(
    r"(?P<stage>[a-z ]+): (?P<read>\S+)(?: of (?P<whole>\S+))? read(?:, (?P<stored>\S+) stored)?, (?P<rate>\S+)/s"
)


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
        """For example "dumping: 1.20G of 2.10G read, 430M stored, 95.0M/s"; without the whole where it is not known."""
        whole = self.read if self.finished else max(self.expected, self.read) if self.expected else 0
        of = f" of {format_size(whole)}" if whole else ""
        stored = f", {format_size(self.stored)} stored" if self.stored else ""
        return f"{self.stage}: {format_size(self.read)}{of} read{stored}, {format_size(self.rate)}/s"

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """What `line` told, within its rounding: the command that follows the unit draws its bar from this."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        read, expected, stored, rate = (_size(found[name]) for name in ("read", "whole", "stored", "rate"))
        elapsed = read / rate if rate else 0.0
        return cls(
            found["stage"], read, stored, elapsed, expected, finished=bool(read and found["read"] == found["whole"])
        )


def _size(text: str | None) -> int:
    return parse_size(text) if text and text != "0B" else 0


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

"""Reports how much of a directory that another program fills is on the disk, and since when nothing was written there.

Better than what the program itself tells: performance_schema.clone_progress needs rights of its own, mydumper tells
rows.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final, Self

from wbagent.backup.progress import Meter

_EVERY_S: Final = 1.0


class Growth:
    """Watches in the background from entering to leaving; the meter is done then."""

    def __init__(self, target: Path, meter: Meter) -> None:
        self._target = target
        self._meter = meter
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="growth", daemon=True)
        self._changed_at = time.monotonic()

    @property
    def still_for(self) -> float:
        """Seconds since anything there last grew or was written to."""
        return time.monotonic() - self._changed_at

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._meter.done()

    def _watch(self) -> None:
        told, seen, over = 0, (0, 0), False
        while not over:
            # Once more after the end: the last word is the whole size.
            over = self._over.wait(_EVERY_S)
            found = _look(self._target)
            if found != seen:
                seen, self._changed_at = found, time.monotonic()
            self._meter.add(max(found[0] - told, 0))
            told = max(found[0], told)


def _look(directory: Path) -> tuple[int, int]:
    """Bytes on the disk, and when the newest of the files was written to (nanoseconds since the epoch)."""
    size = written_at = 0
    for path in directory.rglob("*"):
        try:
            found = path.lstat()
        except OSError:
            # Files come and go while it is written.
            continue
        size += found.st_blocks * 512
        written_at = max(written_at, found.st_mtime_ns)
    return size, written_at

"""Reports how much of a directory that another program fills is on the disk.

Better than what the program itself tells: performance_schema.clone_progress needs rights of its own, mydumper tells
rows.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from wbagent.backup.progress import Meter

_EVERY_S: Final = 1.0


class Growth:
    """Watches in the background from entering to leaving; the meter is done then."""

    def __init__(self, target: Path, meter: Meter) -> None:
        self._target = target
        self._meter = meter
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="growth", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._meter.done()

    def _watch(self) -> None:
        told, over = 0, False
        while not over:
            # Once more after the end: the last word is the whole size.
            over = self._over.wait(_EVERY_S)
            size = _size_on_disk(self._target)
            self._meter.add(max(size - told, 0))
            told = max(size, told)


def _size_on_disk(directory: Path) -> int:
    size = 0
    for path in directory.rglob("*"):
        try:
            size += path.lstat().st_blocks * 512
        except OSError:
            # Files come and go while it is written.
            continue
    return size

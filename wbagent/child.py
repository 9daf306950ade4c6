"""What the programs that are started here have in common: how they ended, and what they said on stderr meanwhile."""

from __future__ import annotations

import os
import threading
from typing import IO, Final

_MOST: Final = 64 << 10


def how_it_ended(status: int) -> str:
    """An exit status as subprocess gives it, for a sentence: "was killed by signal 9", "ended with status 1"."""
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


class Complaints:
    """Reads a program's stderr in the background until its end, and remembers the first 64 KiB of it."""

    def __init__(self, stderr: IO[bytes] | None, name: str) -> None:
        self._stderr = stderr
        self._read = bytearray()
        self._thread = threading.Thread(target=self._listen, name=f"{name}-stderr", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """All of it; waits until the program has closed its stderr."""
        self._thread.join()
        return self._read.decode(errors="replace")

    def close(self) -> None:
        """Wait for its end, and let go of the pipe."""
        self._thread.join()
        if self._stderr:
            self._stderr.close()

    def _listen(self) -> None:
        while self._stderr and (data := os.read(self._stderr.fileno(), 4096)):
            # Read on after the limit, or the program would wait for ever; the first lines say what went wrong.
            self._read += data[: _MOST - len(self._read)]

"""Runs a program for the bundle: within its time, within its size, and with a word on why it gave nothing."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

# So long it has to clear up after SIGTERM: `wbagent check` removes what it made.
_GRACE_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
# Whatever part of it is wanted.
_MOST_WRITTEN: Final = 256 << 20
# In memory where that is possible: a full disk is a reason to ask for support.
ROOM: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - names there are tempfile's
_MOST_TOLD: Final = 2000


@dataclass(frozen=True, slots=True)
class Collected:
    """What a program said; `missing` says why that is nothing, or not all: "" where it had nothing to say."""

    text: str
    missing: str = ""


class Collector:
    """Runs programs, several at a time, until it is stopped."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End what runs, and let nothing new begin."""
        self._stopped.set()

    def run(self, command: Sequence[str | Path], *, limit_s: float, most_bytes: int, newest: bool = False) -> Collected:
        """The program's output, whatever its exit status is; where there is none, its errors say why it is missing.

        Of more than `most_bytes` the beginning is kept, or with `newest` the end, in whole lines.
        """
        with tempfile.TemporaryFile(dir=ROOM) as output, tempfile.TemporaryFile(dir=ROOM) as errors:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=self._environment
                )
            except OSError as error:
                return Collected("", f"{command[0]}: {error.strerror}")
            ended = self._wait(process, limit_s, lambda: os.fstat(output.fileno()).st_size)
            text = _cut(output, most_bytes, newest=newest)
            told = _cut(errors, _MOST_TOLD, newest=True).strip()
        if not ended:
            return Collected(
                text, "; ".join(filter(None, (f"it was ended: longer than {limit_s:g} s, or too much", told)))
            )
        if not text.strip():
            failed = f"it said nothing and ended with status {process.returncode}" if process.returncode else ""
            return Collected("", told or failed)
        return Collected(text)

    def _wait(self, process: subprocess.Popen[bytes], limit_s: float, written: Callable[[], int]) -> bool:
        """Whether it ended by itself, in time and before it had written too much."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until and not self._stopped.is_set() and written() < _MOST_WRITTEN:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY_S)
                return True
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False


def _cut(file: IO[bytes], most: int, *, newest: bool) -> str:
    """At most so many bytes, in whole lines: half a line could hold a part of a secret that nobody knows again."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - most, 0) if newest else 0)
    data = file.read(most)
    if size > most:
        data = data.partition(b"\n")[2] if newest else data.rpartition(b"\n")[0] + b"\n"
        told = f"[{size - len(data)} of {size} bytes left out]\n".encode()
        data = told + data if newest else data + told
    return data.decode(errors="replace")

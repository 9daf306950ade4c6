"""What a pipeline of programs takes: wall time, processor time, and the most memory that all of them held at once."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from tests.testbed.errors import BedError

_EVERY_S = 0.05


@dataclass(frozen=True)
class Usage:
    """Seconds of wall and processor time (children included), and resident megabytes (10^6)."""

    wall_s: float
    cpu_s: float
    rss_mb: float

    def then(self, later: Usage) -> Usage:
        """Both, one after the other."""
        return Usage(self.wall_s + later.wall_s, self.cpu_s + later.cpu_s, max(self.rss_mb, later.rss_mb))


@dataclass(frozen=True)
class Command:
    """One program of a pipeline; `environment` is added to this process's own."""

    argv: Sequence[str]
    environment: tuple[tuple[str, str], ...] = ()


def run_pipeline(*commands: Command, source: Path | None = None) -> Usage:
    """Run them, each reading what the one before writes, and wait for all; raises BedError when one fails."""
    begun = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    with (source or Path(os.devnull)).open("rb") as first:
        previous: IO[bytes] = first
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            process = subprocess.Popen(
                command.argv,
                stdin=previous,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **dict(command.environment)},
            )
            if previous is not first:
                previous.close()
            processes.append(process)
            if process.stdout is not None:
                previous = process.stdout
    with _Memory([process.pid for process in processes]) as memory:
        complaints = [_read(process.stderr) for process in processes]
        seconds = 0.0
        for process, command, complaint in zip(processes, commands, complaints, strict=True):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds += used.ru_utime + used.ru_stime
            if process.returncode:
                raise BedError(f"{command.argv[0]} ended with {process.returncode}: {complaint[-1500:]}")
    return Usage(time.monotonic() - begun, seconds, memory.most / 1e6)


def _read(stream: IO[bytes] | None) -> str:
    if stream is None:
        return ""
    with stream:
        return stream.read().decode(errors="replace")


class _Memory:
    """Looks at the processes and all their children every 50 ms."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.most = 0
        self._roots = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            held = 0
            for root in self._roots:
                with suppress(psutil.Error):
                    for process in (root, *root.children(recursive=True)):
                        with suppress(psutil.Error):
                            held += process.memory_info().rss
            self.most = max(self.most, held)


def processor_seconds(pid: int) -> float:
    """What a running process has used so far, its ended threads included."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system

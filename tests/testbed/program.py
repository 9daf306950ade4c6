"""A server program run inside a cached root file system, in mounts of its own, that ends when the test ends."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.testbed.errors import BedError

# Where the program finds its working directory: every Debian tree has an empty /mnt.
WORK = Path("/mnt")

# The mounts are made in a mount namespace, so they vanish with the program; exec keeps the process, and with it
# the parent-death signal and the PID that the test kills.
_ENTER = """
tree=$1 work=$2 shared=$3
shift 3
mount --bind "$work" "$tree/mnt"
mount --bind /proc "$tree/proc"
mount --rbind /dev "$tree/dev"
if [ -n "$shared" ]; then
    mount -t tmpfs tmpfs "$tree/tmp"
    mkdir -p "$tree$shared"
    mount --bind "$shared" "$tree$shared"
fi
exec chroot "$tree" "$@"
"""


def inside(
    tree: Path,
    work: Path,
    argv: Sequence[str],
    *,
    user: str | None = None,
    network: Path | None = None,
    shared: Path | None = None,
) -> list[str]:
    """Return the command that runs `argv` in a chroot of `tree`, where it sees `work` as /mnt; needs root.

    `shared` is a directory below /tmp that it sees under the same name.
    `user` is a user of the tree; `network` is a network namespace's file (as in /run/netns). The program gets
    SIGKILL when the thread that started it ends, however that comes about.
    """
    command = ["setpriv", "--pdeathsig", "KILL"]
    if network:
        command += ["nsenter", f"--net={network}"]
    command += ["unshare", "--mount", "sh", "-ec", _ENTER, "sh", str(tree), str(work), str(shared or "")]
    if user:
        # A change of user clears the parent-death signal, so it is set once more afterwards.
        command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig", "KILL"]
    return [*command, *argv]


class Program:
    """A running program whose output goes to a log and can be waited for, line by line."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            encoding="utf-8",
            # Ctrl-C is for the test, which then ends its servers itself.
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The PID of the program itself, not of a wrapper."""
        return self.process.pid

    def _read(self, output: IO[str]) -> None:
        with output, self.log.open("a", encoding="utf-8") as log:
            for line in output:
                log.write(line)
                log.flush()
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for_line(self, pattern: str, timeout: float) -> str:
        """Return the first line of output that holds `pattern`; raise BedError when the program ends or time is up."""
        wanted = re.compile(pattern)
        seen = 0
        line: str | None = None

        def settled() -> bool:
            nonlocal seen, line
            fresh, seen = self._lines[seen:], len(self._lines)
            line = next((text for text in fresh if wanted.search(text)), None)
            return line is not None or self._ended

        with self._news:
            self._news.wait_for(settled, timeout)
        if line is None:
            state = "ended" if self._ended else f"has run for {timeout:g} s"
            raise BedError(f"{self.name} {state} without saying {pattern!r}:\n{self.tail()}")
        return line

    def tail(self, lines: int = 40) -> str:
        """Return the newest lines of its output."""
        with self._news:
            return "".join(self._lines[-lines:])

    def kill(self) -> None:
        """End it as a crash does (SIGKILL) and wait until it is gone."""
        self.process.kill()
        self._wait(None)

    def stop(self, timeout: float) -> None:
        """Ask it to end (SIGTERM); kill it when it has not ended after `timeout` seconds."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self._wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait(self, timeout: float | None) -> None:
        self.process.wait(timeout)
        self._reader.join()

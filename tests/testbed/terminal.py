"""A person at a terminal of a host: a real pseudo-terminal, which is read until something appears, and typed into."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.testbed.command import DeadlineError, kill_group
from tests.testbed.host import Host

_CTRL_C = b"\x03"
_AGAIN_S = 5.0


class Terminal:
    """One program on it; `seen` is everything that it has shown, in order."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self._process = process
        self._end = end
        self._read_to = 0
        self._pressed = False
        self.seen = ""

    def expect(self, text: str, timeout: float = 30) -> None:
        """Read until `text` appears behind what was expected before; DeadlineError, also when the program ends."""
        deadline = time.monotonic() + timeout
        while (place := self.seen.find(text, self._read_to)) < 0:
            if not self._more(deadline):
                raise DeadlineError(f"{text!r} did not appear; the terminal shows:\n{self.seen}")
        self._read_to = place + len(text)

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self._pressed = False
        os.write(self._end, line.encode() + b"\r")

    def answer(self, question: str, line: str) -> None:
        """Wait for a question, then type the answer."""
        self.expect(question)
        self.type(line)

    def press_ctrl_c(self) -> None:
        """As the terminal's driver makes a signal of it; again when nothing happens, as a person does.

        Between a question and the read of its answer it is lost: Python looks for signals before the read, not in it.
        """
        os.write(self._end, _CTRL_C)
        self._pressed = True

    def wait(self, timeout: float = 60) -> int:
        """Read to the program's end; its exit status."""
        deadline = time.monotonic() + timeout
        while self._more(deadline):
            pass
        return self._process.wait(max(deadline - time.monotonic(), 0.1))

    def _more(self, deadline: float) -> bool:
        """Read what there is, or wait for it; False at the end."""
        while True:
            left = max(deadline - time.monotonic(), 0)
            if select.select([self._end], [], [], min(left, _AGAIN_S) if self._pressed else left)[0]:
                break
            if not self._pressed or left <= _AGAIN_S:
                return False
            os.write(self._end, _CTRL_C)
        try:
            data = os.read(self._end, 4096)
        except OSError:
            # EIO: nobody has the other end open any more.
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(host: Host, argv: Sequence[str]) -> Iterator[Terminal]:
    """Run a command on the host, as root, on a terminal of its own for the length of the block."""
    outer, inner = os.openpty()
    inside = host.command(["env", "--default-signal=INT", "TERM=dumb", *argv])
    process = subprocess.Popen(
        # setsid --ctty: so that Ctrl-C reaches it, and /dev/tty is this one. Ctrl-C is not for what leads to the host.
        ["env", "--ignore-signal=INT", "setsid", "--ctty", "--wait", *inside],
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    try:
        yield Terminal(process, outer)
    finally:
        os.close(outer)
        kill_group(process)
        process.wait()

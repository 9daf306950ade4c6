"""Programs run by the test bed: one way to run to the end, one to read a stream of lines with a deadline."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from tests.testbed.errors import BedError


@dataclass(frozen=True)
class Result:
    """What a finished command left behind; `stdout` and `stderr` are decoded as UTF-8."""

    stdout: str
    stderr: str
    returncode: int


class CommandError(BedError):
    """A command ended with a status other than 0."""

    def __init__(self, command: Sequence[str], result: Result) -> None:
        super().__init__(f"{shlex.join(command)} ended with status {result.returncode}\n{result.stdout}{result.stderr}")
        self.result = result


class DeadlineError(BedError):
    """What was waited for did not come in time."""


def run(
    command: Sequence[str],
    *,
    input: str | bytes | IO[bytes] | None = None,  # noqa: A002 - the word that subprocess.run uses
    check: bool = True,
    timeout: float = 60,
    shown: Sequence[str] | None = None,
) -> Result:
    """Run a command to its end and return its output.

    `input` is text, bytes or an open file. After `timeout` seconds the command's process group is
    killed and DeadlineError raised. `shown` is the command as an error should name it. Raises
    CommandError when `check` is set and the status is not 0.
    """
    shown = shown or command
    data = input.encode() if isinstance(input, str) else input if isinstance(input, bytes) else None
    stdin = subprocess.PIPE if data is not None else subprocess.DEVNULL if input is None else input
    assert not isinstance(stdin, str | bytes)
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            stdout, stderr = process.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_group(process)
            stdout, stderr = process.communicate()
            output = (stdout + stderr).decode(errors="replace")
            raise DeadlineError(f"{shlex.join(shown)} still ran after {timeout} s\n{output}") from None
        except BaseException:
            kill_group(process)
            raise
    result = Result(stdout.decode(errors="replace"), stderr.decode(errors="replace"), process.returncode)
    if check and result.returncode:
        raise CommandError(shown, result)
    return result


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started with `start_new_session`, and its children that stayed in the group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def lines(command: Sequence[str], *, stderr: int = subprocess.DEVNULL) -> Iterator[Lines]:
    """Start a command that reports by lines; it is killed at the end of the `with` block."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    ) as process:
        try:
            yield Lines(process, command)
        finally:
            kill_group(process)


class Lines:
    """The output of a running command, line by line, each awaited with a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        assert process.stdout
        self._stdout = process.stdout.fileno()
        self._command = command
        self._buffer = b""

    def next(self, deadline: float) -> str:
        """Return the next line without its end; `deadline` is a `time.monotonic()`.

        Raises DeadlineError after the deadline and BedError when the command has ended.
        """
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._stdout], [], [], remaining)[0]:
                raise DeadlineError(f"{shlex.join(self._command)} reported nothing more in time")
            chunk = os.read(self._stdout, 65536)
            if not chunk:
                raise BedError(f"{shlex.join(self._command)} ended while it was waited for")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace")

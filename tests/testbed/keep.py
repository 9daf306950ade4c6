"""Runs of the test bed that stay up for looking around: their process waits in the background until it is stopped."""

from __future__ import annotations

import os
import select
import signal
import sys

from tests.testbed.bridge import Bridge, runs
from tests.testbed.command import DeadlineError
from tests.testbed.errors import BedError


def stay(bridge: Bridge) -> None:
    """Let go of the terminal and wait for `stop_all`; the caller's own clean-up follows.

    A line on standard output tells the parent process that it need not wait any longer.
    """
    (bridge.directory / "keeper").write_text(str(os.getpid()))
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    signal.sigwait({signal.SIGTERM})


def stop_all(timeout: float = 60) -> int:
    """End all runs that stay up, wait until they have cleaned up, and return how many there were.

    Raises DeadlineError when one still cleans up after `timeout` seconds.
    """
    stopped = 0
    for run in runs():
        keeper = run.directory / "keeper"
        if not keeper.exists():
            continue
        try:
            process = os.pidfd_open(int(keeper.read_text()))
        except ProcessLookupError:
            continue  # It was killed; the next run cleans up after it.
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if not select.select([process], [], [], timeout)[0]:
                raise DeadlineError(f"the process that keeps {run.directory} did not end within {timeout} s")
        finally:
            os.close(process)
        stopped += 1
    return stopped


def enter(name: str) -> list[str]:
    """Return the command line that opens a shell on the kept host of this name; raises BedError without one."""
    for run in runs():
        leader = run.directory / name / "leader"
        # Only a run that was kept: a test's host of the same name is no place for a person.
        if leader.exists() and (run.directory / "keeper").exists():
            return ["nsenter", f"--target={leader.read_text()}", "--all", "--wdns=/root", "--", "bash", "--login"]
    raise BedError(f"no host {name!r} is up: ./dev demo --keep leaves web1 and db1 up")

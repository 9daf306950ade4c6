"""Addresses of the test bed's servers."""

from __future__ import annotations

import socket
import time

from tests.testbed.command import DeadlineError

_ASK_AGAIN_S = 0.01


def free_port(address: str) -> int:
    """Return a TCP port that nothing listens on at `address`, which must be one of this network namespace."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_until_open(address: str, port: int, timeout: float) -> None:
    """Wait until connections to the port are accepted; raises DeadlineError after `timeout` seconds.

    Nothing announces that a port was opened, so it is tried again and again.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((address, port), timeout=timeout).close()
        except OSError:
            if time.monotonic() > deadline:
                raise DeadlineError(f"nothing listens on {address}:{port} after {timeout} s") from None
            time.sleep(_ASK_AGAIN_S)
        else:
            return

"""Addresses of the test bed's servers."""

from __future__ import annotations

import socket


def free_port(address: str) -> int:
    """Return a TCP port that nothing listens on at `address`, which must be one of this network namespace."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])

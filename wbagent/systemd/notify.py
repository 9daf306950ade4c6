"""sd_notify(3): tells systemd the state of this unit; without NOTIFY_SOCKET it does nothing.

Written here because pystemd.daemon pulls in lxml (10 MB); the protocol is one datagram.
"""

from __future__ import annotations

import os
import socket
import time


def notify(*assignments: str) -> None:
    """Send assignments such as "READY=1" or "STATUS=…" as one datagram.

    A lost one is systemd's to notice (watchdog, start time-out), so a full or closed socket is ignored.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto("\n".join(assignments).encode(), address)
        except OSError:
            return


def reloading() -> None:
    """RELOADING=1 with the monotonic time stamp in µs that Type=notify-reload asks for."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_interval() -> float | None:
    """Half of WATCHDOG_USEC in seconds (sd_watchdog_enabled(3) advises half), or None when no watchdog is set."""
    limit = os.environ.get("WATCHDOG_USEC")
    owner = os.environ.get("WATCHDOG_PID")
    if not limit or (owner and int(owner) != os.getpid()):
        return None
    return int(limit) / 2_000_000


def extension(seconds: float) -> str:
    """What lets systemd wait so much longer for a start or a stop, from now on."""
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"

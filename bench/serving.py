"""From outside the container: when a published port answers /ready with 200, and the death of a container's pid 1."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from tests.testbed.errors import BedError

_REQUEST = b"GET /ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
# Shorter than the kernel's first repetition of a lost SYN (1 s), which would be measured instead of the server.
_CONNECT_S = 0.05
_ANSWER_S = 0.5
_PAUSE_S = 0.005


def wait_until_serving(address: str, port: int, *, timeout: float = 60) -> float:
    """Ask in a tight loop until /ready answers 200; the monotonic time of that answer. Raises BedError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if _answers(address, port):
            return time.monotonic()
        time.sleep(_PAUSE_S)
    raise BedError(f"nothing serves at {address}:{port} after {timeout} s")


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=_CONNECT_S) as connection:
        connection.settimeout(_ANSWER_S)
        connection.sendall(_REQUEST)
        return b" 200 " in connection.recv(64)
    return False


def post(address: str, port: int, path: str) -> None:
    """Turn one of the stand-in's switches; one that hangs gives no answer."""
    with suppress(OSError), socket.create_connection((address, port), timeout=1) as connection:
        connection.settimeout(0.2)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        connection.recv(64)


def outer_pid(leader: int, inner: int) -> int:
    """This machine's number for the container's pid 1 that has number `inner` on the host below `leader`.

    Raises BedError.
    """
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (directory / "status").read_text()
            pids = re.search(r"^NSpid:\s+(.+)$", status, re.MULTILINE)
            # Its numbers from the outermost namespace to its own; other runs' hosts use the same numbers.
            if pids and pids[1].split()[-2:] == [str(inner), "1"] and _descends(int(directory.name), leader):
                return int(directory.name)
    raise BedError(f"no container's process {inner} on the host of {leader}")


def _descends(pid: int, ancestor: int) -> bool:
    while pid not in {0, ancestor}:
        parent = re.search(r"^PPid:\s+(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        pid = int(parent[1]) if parent else 0
    return pid == ancestor


def kill(pid: int) -> float:
    """SIGKILL, from this machine, and wait for the death; the monotonic time just before it."""
    process = os.pidfd_open(pid)
    try:
        begun = time.monotonic()
        signal.pidfd_send_signal(process, signal.SIGKILL)
        if not select.select([process], [], [], 10)[0]:
            raise BedError(f"process {pid} did not die of SIGKILL")
    finally:
        os.close(process)
    return begun

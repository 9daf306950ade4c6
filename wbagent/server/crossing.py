"""A port of this host that leads to one within the container's network, for root and as long as it is needed."""

from __future__ import annotations

import ctypes
import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wbagent.errors import AccessError, DatabaseError
from wbagent.server.relay import relay

LINK: Final = Path("/run/wandb-local/netns")
_CLONE_NEWNET: Final = 0x40000000


@contextmanager
def port_into(network: Path, port: int) -> Iterator[int]:
    """A free port of this host's loopback that leads to `port` of the container's, for the length of the block.

    A socket belongs to the network that its thread was in when it made it: one thread enters the container's and
    connects from there. Needs root. Raises AccessError.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        entered: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_accept, args=(listener, network, port, entered), daemon=True).start()
        if problem := entered.get():
            raise AccessError(f"the network of the container cannot be entered: {problem}", hint="run this as root")
        yield int(listener.getsockname()[1])
        # Wakes the thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, network: Path, port: int, entered: queue.SimpleQueue[str]) -> None:
    problem = _enter(network)
    entered.put(problem)
    while not problem:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        # Threads begin in the network of the one that starts them.
        threading.Thread(target=_serve, args=(near, port), daemon=True).start()


def _enter(network: Path) -> str:
    """Move this thread into another network; what is in the way, or "" when nothing was."""
    try:
        with network.open("rb") as file:
            # Python has os.setns since 3.12.
            libc = ctypes.CDLL(None, use_errno=True)
            failed = libc.setns(file.fileno(), _CLONE_NEWNET)
            return f"{network}: {os.strerror(ctypes.get_errno())}" if failed else ""
    except OSError as error:
        return f"{network}: {error.strerror}"


def _serve(near: socket.socket, port: int) -> None:
    with near:
        try:
            relay(near, port)
        except DatabaseError:
            # Whoever connected sees the end of the connection.
            return

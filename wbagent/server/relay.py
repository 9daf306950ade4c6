"""Passes bytes between a socket that systemd accepted and a port of 127.0.0.1 in the container's network."""

from __future__ import annotations

import socket
import threading
from typing import Final

from wbagent.errors import DatabaseError

_CHUNK: Final = 256 << 10
_CONNECT_S: Final = 10.0


def relay(near: socket.socket, port: int) -> None:
    """Until both sides have said all they had to say. Raises DatabaseError when nothing listens on the port."""
    try:
        far = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)
    except OSError as error:
        raise DatabaseError(
            f"nothing answers on port {port} within the container: {error.strerror or error}",
            hint="journalctl -u wandb-local shows whether the embedded server got that far",
        ) from None
    far.settimeout(None)
    with far:
        back = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
        back.start()
        _pass_on(near, far)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(_CHUNK))
    try:
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
        # Half of a connection may end before the other: the rest of an answer is still on its way.
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One side broke off; nothing can come of the other direction either.
        for side in (source, sink):
            _break_off(side)


def _break_off(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return

"""A TCP proxy that a test puts before a server to cut, refuse, stall or slow down what passes through."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tests.testbed.errors import BedError

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class _Rules:
    """What to do with traffic; counts are of bytes that clients have sent since the rules came into force."""

    refuse: bool = False
    stall_after: int | None = None
    cut_after: int | None = None
    limit_after: int = 0
    bytes_per_second: float | None = None

    def stalled(self, sent: int) -> bool:
        return self.stall_after is not None and sent >= self.stall_after

    def cut(self, sent: int) -> bool:
        return self.cut_after is not None and sent >= self.cut_after


class Proxy:
    """Listens on `address` (a free port unless one is named) and passes every connection on to `target`.

    Byte counts are of what clients sent, over all connections since the last `pass_on`. All
    methods may be called from any thread, and act on connections that are open already.
    """

    def __init__(self, target: tuple[str, int], *, address: str = "127.0.0.1", port: int = 0) -> None:
        self._target = target
        self._listener = socket.create_server((address, port))
        self.address, self.port = address, int(self._listener.getsockname()[1])
        self._change = threading.Condition()
        self._open: set[socket.socket] = set()
        self._sent = 0
        self._closing = False
        self._rules = _Rules()
        self._next = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._closing = True
            self._change.notify_all()
        # Wakes the thread that accepts; closing alone would leave it there.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    # --- what happens from now on ---

    def turn_to(self, target: tuple[str, int]) -> None:
        """Pass new connections on to another server; open ones stay where they are."""
        with self._change:
            self._target = target

    def pass_on(self) -> None:
        """Pass everything on without harm, and count from 0 again."""
        self._follow(_Rules())

    def refuse(self) -> None:
        """Cut what is open and reset each new connection at once."""
        self._follow(_Rules(refuse=True))
        self.cut()

    def stall(self) -> None:
        """Keep connections open, take new ones, and pass nothing on."""
        self._follow(_Rules(stall_after=0))

    def stall_after(self, count: int) -> None:
        """Stall once clients have sent `count` bytes from now."""
        self._follow(_Rules(stall_after=count))

    def cut_after(self, count: int) -> None:
        """Cut everything once clients have sent `count` bytes from now, and refuse from then on."""
        self._follow(_Rules(cut_after=count))

    def limit_after(self, count: int, bytes_per_second: float) -> None:
        """Once clients have sent `count` bytes from now, pass on no more than this rate, both ways together."""
        self._follow(_Rules(limit_after=count, bytes_per_second=bytes_per_second))

    def cut(self) -> None:
        """Reset every open connection now; new ones are taken as before."""
        with self._change:
            connections = list(self._open)
        for connection in connections:
            _reset(connection)

    # --- what has happened ---

    @property
    def sent(self) -> int:
        """How many bytes clients have sent through since the last change of behaviour."""
        with self._change:
            return self._sent

    def wait_for_sent(self, count: int, timeout: float) -> None:
        """Return when clients have sent `count` bytes since then; BedError after `timeout` seconds."""
        with self._change:
            if not self._change.wait_for(lambda: self._sent >= count, timeout):
                raise BedError(f"only {self._sent} of {count} bytes came through the proxy within {timeout:g} s")

    # --- threads ---

    def _follow(self, rules: _Rules) -> None:
        with self._change:
            self._rules = rules
            self._sent = 0
            self._next = 0.0
            self._change.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            with self._change:
                refused = self._rules.refuse
            if refused:
                raise ConnectionRefusedError
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._change:
            self._open |= {client, server}
        there = threading.Thread(target=self._pump, args=(client, server), kwargs={"counted": True}, daemon=True)
        there.start()
        self._pump(server, client, counted=False)
        there.join()
        with self._change:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, *, counted: bool) -> None:
        try:
            while chunk := source.recv(_CHUNK):
                allowed, cut = self._allowed(len(chunk), counted=counted)
                sink.sendall(chunk[:allowed])
                if cut:
                    self.refuse()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(source)
            _reset(sink)

    def _allowed(self, size: int, *, counted: bool) -> tuple[int, bool]:
        """Wait until the rules let something pass; return how many of `size` bytes, and whether all is cut then."""
        with self._change:
            self._change.wait_for(lambda: self._closing or not self._rules.stalled(self._sent))
            rules = self._rules
            if counted:
                if rules.cut_after is not None:
                    size = max(0, min(size, rules.cut_after - self._sent))
                self._sent += size
                self._change.notify_all()
            if rules.bytes_per_second and self._sent >= rules.limit_after:
                self._next = max(self._next, time.monotonic()) + size / rules.bytes_per_second
                delay = self._next - time.monotonic()
                # A change of behaviour ends the wait.
                self._change.wait_for(lambda: self._closing or self._rules is not rules, delay)
            return size, counted and rules.cut(self._sent)


def _reset(connection: socket.socket) -> None:
    """End a connection abruptly; its peer may get "connection reset", and whoever reads from it here wakes up."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

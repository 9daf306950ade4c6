"""Sees the checks' own requests on the wire, between the load balancer and the server, while the server answers them.

The server does no TLS, so what a load balancer sends it can be read by root of this host, and nothing needs to be
changed for that: neither the server nor the load balancer can tell. Packets without a check's mark are not kept.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from wbagent.checks.proxy.head import Witness, is_marked, parse_head
from wbagent.checks.proxy.packets import attach, payload_of

_ALL: Final = 0x0003  # ETH_P_ALL of linux/if_ether.h
_LONGEST: Final = 65536 + 64


class Wire(Witness):
    """Reads what passes this host's network interfaces, from `open` to `close`.

    `ports`: those of the server and of its container; what goes elsewhere is on its way between load balancers, and
    what goes to `public` is on its way to the first one.
    """

    def __init__(self, public: Collection[tuple[str, int]], ports: tuple[int, int]) -> None:
        super().__init__()
        self._public, self._ports = frozenset(public), ports
        self._closed = False

    def open(self) -> None:
        """Begin to read; raises PermissionError for whom the kernel does not let."""
        passing = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        attach(passing, *self._ports)
        # Closing it would not wake who reads, so that the end is seen by the clock.
        passing.settimeout(0.2)
        threading.Thread(target=self._read, args=(passing,), name="wire", daemon=True).start()

    def close(self) -> None:
        """Read no more."""
        self._closed = True

    def _read(self, passing: socket.socket) -> None:
        with passing:
            while not self._closed:
                # An interface that goes down is told as an error here, once.
                with suppress(OSError):
                    self._take(passing.recv(_LONGEST))

    def _take(self, packet: bytes) -> None:
        if not is_marked(packet):
            return
        found = payload_of(packet)
        if found is None or found[1] in self._public or found[1][1] not in self._ports:
            return
        head = parse_head(found[2], peer=found[0])
        if head is not None:
            self.note(head)

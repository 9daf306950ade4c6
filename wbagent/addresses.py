"""Which addresses a host has, those of this very machine as one."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any, Final

THIS_MACHINE: Final = "this machine"
# A port that may be connected to; nobody has to listen.
_DISCARD: Final = 9


def addresses_of(host: str) -> set[str]:
    """The addresses of a host, with THIS_MACHINE for all of one's own; none for a name that cannot be resolved.

    It asks the resolver. What it cannot see: a container or virtual machine of this host with an address of its own.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {THIS_MACHINE if _own(family, address) else str(address[0]) for family, _, _, _, address in found}


def _own(family: int, address: tuple[Any, ...]) -> bool:
    where = ip_address(address[0])
    if where.is_loopback or where.is_unspecified:
        return True
    # To an address of one's own goes what comes from the same; nothing is sent. Not whether it can be bound to: with
    # net.ipv4.ip_nonlocal_bind, which keepalived wants, every address can.
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address[0], _DISCARD, *address[2:]))
            return bool(probe.getsockname()[0] == address[0])
    except OSError:
        return False

"""Which addresses a host has, those of this very machine as one."""

from __future__ import annotations

import socket
from typing import Final

THIS_MACHINE: Final = "this machine"


def addresses_of(host: str) -> set[str]:
    """The addresses of a host, with THIS_MACHINE for all of one's own; none for a name that cannot be resolved.

    It asks the resolver. What it cannot see: a container or virtual machine of this host with an address of its own.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {THIS_MACHINE if _own(family, address) else str(address[0]) for family, _, _, _, address in found}


def _own(family: int, address: tuple[object, ...]) -> bool:
    # Only an address of one's own can be bound to; nothing listens, so nobody sees it. Port 0: any.
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True

"""Whether a bucket lies on this very machine, so that one broken disk or one thief takes both it and the database."""

from __future__ import annotations

import socket

from wbagent.config.dsn import S3URL


def on_this_machine(url: S3URL) -> bool:
    """Whether the store's name leads to an address of this host; a name that cannot be resolved does not.

    What it cannot see: a store in a container or virtual machine of this host that has an address of its own.
    """
    if url.host is None:
        return False
    try:
        found = socket.getaddrinfo(url.host.strip("[]"), None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[object, ...]) -> bool:
    """Only an address of this host can be bound to."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True

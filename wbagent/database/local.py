"""Whether a MySQL server runs on this very host."""

from __future__ import annotations

import socket

from wbagent.config.dsn import MysqlURL


def is_local(url: MysqlURL) -> bool:
    """Whether every address of the URL's host belongs to this machine; a name that cannot be resolved does not."""
    if url.socket:
        return True
    try:
        found = socket.getaddrinfo(url.host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_own(family, address[0]) for family, _, _, _, address in found)


def _own(family: int, address: str | int) -> bool:
    # Only an address of one's own can be bound to; nothing listens, so nobody sees it.
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True

"""Whether a destination of backups shares its machine with the database: then one disk, or one thief, takes both."""

from __future__ import annotations

import socket

from wbagent.config.dsn import S3URL, MysqlURL

_HERE = "this machine"


def same_machine(destination: S3URL | None, database: MysqlURL) -> bool:
    """Whether both have an address in common; `destination` None is a directory of this host. Asks the resolver.

    A name that cannot be resolved has no address: it is reported where it is used.
    """
    where = {_HERE} if destination is None else _addresses(destination.host)
    return bool(where & ({_HERE} if database.socket else _addresses(database.host)))


def _addresses(host: str | None) -> set[str]:
    """The addresses of a host, each of this machine's own as one; none for Amazon's own endpoints (None)."""
    if host is None:
        return set()
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {_HERE if _own(family, str(address[0])) else str(address[0]) for family, _, _, _, address in found}


def _own(family: int, address: str) -> bool:
    # Only an address of one's own can be bound to; nothing listens, so nobody sees it.
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True

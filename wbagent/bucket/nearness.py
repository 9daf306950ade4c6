"""Whether a destination of backups shares its machine with the database: then one disk, or one thief, takes both."""

from __future__ import annotations

from wbagent.addresses import THIS_MACHINE, addresses_of
from wbagent.config.dsn import S3URL, MysqlURL


def on_this_machine(destination: S3URL) -> bool:
    """Whether the store's name leads to an address of this machine; Amazon's own endpoints (host None) do not."""
    return destination.host is not None and THIS_MACHINE in addresses_of(destination.host)


def same_machine(destination: S3URL | None, database: MysqlURL) -> bool:
    """Whether both have an address in common; `destination` None is a directory of this machine.

    A name that cannot be resolved has no address: it is reported where it is used.
    """
    if destination is not None and destination.host is None:
        return False
    where = addresses_of(destination.host) if destination is not None and destination.host else {THIS_MACHINE}
    return bool(where & ({THIS_MACHINE} if database.socket else addresses_of(database.host)))

"""Whether a MySQL server runs on this very host."""

from __future__ import annotations

from wbagent.addresses import THIS_MACHINE, addresses_of
from wbagent.config.dsn import MysqlURL


def is_local(url: MysqlURL) -> bool:
    """Whether every address of the URL's host belongs to this machine; a name that cannot be resolved does not."""
    return bool(url.socket) or addresses_of(url.host) == {THIS_MACHINE}

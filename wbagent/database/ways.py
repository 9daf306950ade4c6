"""How an account's connection string reaches the server: pure decisions, from the way that an administrator came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from wbagent.config.dsn import MysqlURL
from wbagent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Way:
    """What is known: the administrator's own way in, MySQL's port, what a person named, how others reach this host.

    `own_name` is "" where that is not known.
    """

    door: MysqlURL
    port: int
    named: tuple[str, int] | None
    own_name: str

    def address(self) -> tuple[str, int]:
        """Raises UsageError where only a person can tell."""
        if self.named:
            return self.named
        if not self.door.socket:
            return self.door.host, self.door.port
        if not self.own_name:
            raise UsageError(
                "how others reach this host cannot be seen: its name has no domain, and no route leads out",
                hint="name it: --address db1.example.com, or an address of this host",
            )
        return self.own_name, self.port


def own_name(full_name: str, route: str | None, bind_address: str, *, for_container: bool) -> str:
    """How others reach this host: by its name, or by an address that MySQL listens on (`bind_address`).

    A bare name is not taken: what other hosts and their containers make of it is up to their own files. A container of
    this host need not know even the whole name. `route`: the address by which this host's packets leave.
    """
    name = full_name if "." in full_name and not full_name.startswith("localhost") else ""
    if name and not for_container:
        return name
    listens = [address for each in bind_address.split(",") if (address := _address(each))]
    # The unspecified ones mean all of them.
    some = [str(each) for each in listens if not each.is_loopback and not each.is_unspecified]
    if some and route not in some:
        return some[0]
    return route or name


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip().partition("/")[0])
    except ValueError:
        return None


def for_server(way: Way, configured: MysqlURL | None) -> MysqlURL:
    """For the container: always over the network, as it is `configured` unless a person says otherwise."""
    if configured is not None and way.named is None:
        return configured
    host, port = way.address()
    # The path of an authority's file means nothing in the container.
    options = tuple(option for option in way.door.options if option[0] == "tls")
    return replace(way.door, host=host, port=port, options=options)


def for_backup(way: Way, configured: MysqlURL | None, *, by_socket: bool) -> MysqlURL:
    """For this host's agent."""
    if configured is not None and way.named is None:
        return configured
    if by_socket:
        return way.door
    host, port = way.address()
    return replace(
        way.door, host=host, port=port, options=tuple(each for each in way.door.options if each[0] != "socket")
    )


def comes_by_socket(door: MysqlURL | None, configured: MysqlURL | None, named: object, host: str | None) -> bool:
    """Whether the account for backups comes over the administrator's socket: unless anything speaks for the network."""
    if door is None or not door.socket or named is not None or host not in {None, "localhost"}:
        return False
    return configured is None or bool(configured.socket)

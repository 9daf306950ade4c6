"""How an account's connection string reaches the server: pure decisions, from the way that an administrator came."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wbagent.config.dsn import MysqlURL


@dataclass(frozen=True, slots=True)
class Way:
    """What is known: the administrator's own way in, MySQL's port, what a person named, what this host is called."""

    door: MysqlURL
    port: int
    named: tuple[str, int] | None
    own_name: str

    def address(self) -> tuple[str, int]:
        return self.named or ((self.own_name, self.port) if self.door.socket else (self.door.host, self.door.port))


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

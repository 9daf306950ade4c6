"""How the connection string of an account names the server, whatever way the administrator came."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wbagent.config.dsn import MysqlURL
from wbagent.database.ways import Way, comes_by_socket, for_backup, for_server

SOCKET = MysqlURL("root", "", "localhost", 3306, "mysql", (("socket", "/run/mysqld/mysqld.sock"),))
TLS = (("tls", "true"), ("ssl-ca", "/etc/ssl/ours.pem"))
REMOTE = MysqlURL("admin", "x", "db1.example.com", 3307, "mysql", TLS)
BY_SOCKET, BY_NETWORK = (Way(door, 3310, None, "db7") for door in (SOCKET, REMOTE))
MINE = MysqlURL("u", "p", "10.0.0.5", 3306, "wandb_local", (("tls", "skip-verify"),))


def test_the_server_comes_over_the_network() -> None:
    over = for_server(BY_SOCKET, None)
    assert (over.host, over.port, over.options) == ("db7", 3310, ())
    over = for_server(BY_NETWORK, None)
    assert (over.host, over.port, over.options) == ("db1.example.com", 3307, (("tls", "true"),))


def test_backups_come_as_the_administrator_did() -> None:
    assert for_backup(BY_SOCKET, None, by_socket=True) == SOCKET
    assert for_backup(BY_NETWORK, None, by_socket=False) == REMOTE
    over = for_backup(BY_SOCKET, None, by_socket=False)
    assert (over.host, over.port, over.socket) == ("db7", 3310, "")


def test_what_is_configured_stays_unless_another_address_is_named() -> None:
    named = ("vip", 4000)
    for way in (BY_SOCKET, BY_NETWORK):
        assert for_server(way, MINE) == for_backup(way, MINE, by_socket=False) == MINE
        for found in (
            for_server(replace(way, named=named), MINE),
            for_backup(replace(way, named=named), MINE, by_socket=False),
        ):
            assert (found.host, found.port) == named


@pytest.mark.parametrize(
    ("door", "configured", "named", "host", "expected"),
    [
        (SOCKET, None, None, None, True),
        (SOCKET, None, None, "localhost", True),
        (SOCKET, SOCKET, None, None, True),
        (SOCKET, MINE, None, None, False),
        (SOCKET, None, ("db1", 3306), None, False),
        (SOCKET, None, None, "%", False),
        (REMOTE, None, None, None, False),
        (None, None, None, None, False),
    ],
)
def test_the_socket_is_taken_where_nothing_speaks_for_the_network(
    door: MysqlURL | None, configured: MysqlURL | None, named: tuple[str, int] | None, host: str | None, expected: bool
) -> None:
    assert comes_by_socket(door, configured, named, host) is expected

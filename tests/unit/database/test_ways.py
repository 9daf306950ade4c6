"""How the connection string of an account names the server, whatever way the administrator came."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wbagent.config.dsn import MysqlURL
from wbagent.database.ways import Way, comes_by_socket, for_backup, for_server, own_name
from wbagent.errors import UsageError

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


@pytest.mark.parametrize(
    ("full_name", "route", "bind_address", "for_container", "expected"),
    [
        ("db1.example.com", "10.0.0.5", "*", False, "db1.example.com"),
        # A container of this host need not know its name.
        ("db1.example.com", "10.0.0.5", "*", True, "10.0.0.5"),
        # Known to whoever wrote it into /etc/hosts, and to no container.
        ("db1", "10.0.0.5", "*", False, "10.0.0.5"),
        ("localhost", "10.0.0.5", "0.0.0.0", False, "10.0.0.5"),
        ("localhost.localdomain", "10.0.0.5", "::", False, "10.0.0.5"),
        ("db1", "10.0.0.5", "127.0.0.1,192.168.7.5", False, "192.168.7.5"),
        ("db1", "10.0.0.5", "192.168.7.5, 10.0.0.5", False, "10.0.0.5"),
        # Nobody reaches that; what is wrong is told beside it.
        ("db1", "10.0.0.5", "127.0.0.1", False, "10.0.0.5"),
        ("db1.example.com", None, "*", True, "db1.example.com"),
        ("db1", None, "*", False, ""),
        ("localhost.localdomain", None, "*", True, ""),
    ],
)
def test_how_others_reach_this_host(
    full_name: str, route: str | None, bind_address: str, for_container: bool, expected: str
) -> None:
    assert own_name(full_name, route, bind_address, for_container=for_container) == expected


def test_where_nobody_knows_how_others_come_a_person_is_asked() -> None:
    nowhere = replace(BY_SOCKET, own_name="")
    with pytest.raises(UsageError) as told:
        for_server(nowhere, None)
    assert "--address" in told.value.hint
    assert for_server(replace(nowhere, named=("db7", 3306)), None).host == "db7"
    assert for_backup(nowhere, None, by_socket=True) == SOCKET

"""Each way not to reach MySQL has a remedy of its own, and tells whether its host is there."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace

import pymysql
import pytest
from pymysql.constants import CR

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import connect, explained
from wbagent.errors import DatabaseError

NETWORK = MysqlURL("wandb_local", "own", "db1.example.com", 3307, "wandb_local")
SOCKET = replace(NETWORK, options=(("socket", "/run/mysqld/mysqld.sock"),))


def error(why: OSError) -> pymysql.err.OperationalError:
    """As PyMySQL wraps what kept it from connecting."""
    found = pymysql.err.OperationalError(CR.CR_CONN_HOST_ERROR, f"Can't connect to MySQL server ({why})")
    found.original_exception = why  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("url", "why", "remedy", "reached"),
    [
        (NETWORK, socket.gaierror(-2, "Name or service not known"), "getent hosts db1.example.com", False),
        (NETWORK, ConnectionRefusedError(111, "Connection refused"), "nothing listens at port 3307", True),
        (NETWORK, ConnectionResetError(104, "Connection reset by peer"), "reachable from this host", True),
        (NETWORK, ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED"), "name the authority", True),
        (NETWORK, TimeoutError("timed out"), "nc -vz db1.example.com 3307", False),
        (NETWORK, OSError(113, "No route to host"), "reachable from this host", False),
        (SOCKET, FileNotFoundError(2, "No such file or directory"), "ls -l /run/mysqld/mysqld.sock", True),
        (SOCKET, PermissionError(13, "Permission denied"), "this user may not open the socket", True),
        (SOCKET, ConnectionRefusedError(111, "Connection refused"), "left from a mysqld that ended", True),
    ],
)
def test_remedy(url: MysqlURL, why: OSError, remedy: str, reached: bool) -> None:
    found = explained(error(why), url)
    assert remedy in found.hint
    assert found.reached is reached
    assert url.address in found.message


def test_a_mysql_that_takes_the_connection_and_says_nothing() -> None:
    """As one that is stopped (SIGSTOP), or whose disk hangs: systemd calls it active."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = replace(NETWORK, host="127.0.0.1", port=silent.getsockname()[1])
        with pytest.raises(DatabaseError, match="timed out") as caught:
            connect(url, read_timeout=0.1)
    assert "SHOW PROCESSLIST" in caught.value.hint
    assert "says active" in caught.value.hint
    assert len(caught.value.hint) < 196
    # Its host is there: not the network is gone.
    assert caught.value.reached


def test_an_account_that_comes_in_by_its_socket_is_told_so() -> None:
    """Such as root's on Debian, whom a person names first."""
    refused = pymysql.err.OperationalError(1698, "Access denied for user 'root'@'localhost'")
    assert "?socket=/run/mysqld/mysqld.sock" in explained(refused, NETWORK).hint

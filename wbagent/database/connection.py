"""Opens MySQL sessions from a connection string and says in plain words why one could not be had."""

from __future__ import annotations

import importlib
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TypeAlias

import pymysql
from pymysql.constants import CLIENT, CR, ER

from wbagent.config.dsn import MysqlURL
from wbagent.config.embedded import MYSQL_SOCKET
from wbagent.errors import DatabaseError

Connection: TypeAlias = "pymysql.Connection[Any]"

CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 60.0
_CONTEXT_FOR_S: Final = 600.0

_TOO_MANY_CLONES: Final = 3634
_COMES_IN_BY_SOCKET: Final = 1698
# For systemd it is active all the while. Short: an alert shows 200 characters of it.
_HANGS: Final = (
    "it is up and hangs, though `systemctl status mysql` says active; there: mysql -e 'SHOW PROCESSLIST';"
    " if that hangs too: df -h; ps -o stat= -C mysqld (T: stopped); journalctl -k"
)
_DENIED: Final = frozenset({ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
_HINTS: Final = {
    ER.ACCESS_DENIED_ERROR: "check user and password in the connection string (special characters written as %XX)",
    _COMES_IN_BY_SOCKET: "this account has no password and comes in by the socket of its own host:"
    " ?socket=/run/mysqld/mysqld.sock behind the database's name",
    ER.DBACCESS_DENIED_ERROR: "grant the account its rights on this database",
    ER.BAD_DB_ERROR: "check the database's name after the host in the connection string",
    _TOO_MANY_CLONES: "another clone runs or hangs there (SHOW PROCESSLIST); a restart of mysqld ends one that hangs",
    ER.HOST_NOT_PRIVILEGED: "create the account for this host, for example 'wandb_local'@'%'",
    ER.CON_COUNT_ERROR: "raise max_connections, or find out who holds the connections: SHOW PROCESSLIST",
    CR.CR_SSL_CONNECTION_ERROR: "set the server up for TLS (ssl_ca, ssl_cert, ssl_key), or write tls=preferred",
}


class _EncryptedConnection(pymysql.Connection):
    """A session that ends before any credential is sent when the server offers no TLS.

    PyMySQL before 1.2 goes on in the clear then, and with it the password when the server asks for it so.
    """

    server_capabilities: int

    def _request_authentication(self) -> None:
        if not self.server_capabilities & CLIENT.SSL:
            raise pymysql.err.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")
        super()._request_authentication()  # type: ignore[misc]


@contextmanager
def session(url: MysqlURL, *, database: str | None = None, read_timeout: float = READ_TIMEOUT) -> Iterator[Connection]:
    """A session in autocommit that is closed at the end; every PyMySQL error in the block becomes a DatabaseError."""
    connection = connect(url, database=database, read_timeout=read_timeout)
    try:
        yield connection
    except (pymysql.MySQLError, OSError) as error:
        raise explained(error, url) from None
    finally:
        close(connection)


def connect(url: MysqlURL, *, database: str | None = None, read_timeout: float = READ_TIMEOUT) -> Connection:
    """Open a session in autocommit on `database` ("" for none; default: the URL's); raises DatabaseError.

    `read_timeout` is how many seconds one answer of the server may take.
    """
    arguments: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.user,
        # Bytes, because PyMySQL would write a text in latin-1, which is not what MySQL's own programs send.
        "password": url.password.encode(),
        "database": (url.database if database is None else database) or None,
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": read_timeout,
        "write_timeout": READ_TIMEOUT,
        "program_name": "wbagent",
    }
    if url.socket:
        arguments["unix_socket"] = url.socket
    try:
        try:
            return _open(url, arguments)
        except RuntimeError:
            # Without TLS the password goes out encrypted by the server's key. What does that is not loaded before it
            # is needed: this process may have come by PyMySQL without it, and then it is worth a second try.
            importlib.reload(sys.modules["pymysql._auth"])
            return _open(url, arguments)
    except (pymysql.MySQLError, OSError, RuntimeError) as error:
        raise explained(error, url) from None


def close(connection: Connection) -> None:
    """Close a session whatever state it is in; the server forgets it either way."""
    try:
        connection.close()
    except (pymysql.MySQLError, OSError):
        return


def rows(connection: Connection, statement: str, *values: Any) -> tuple[tuple[Any, ...], ...]:
    """Every row of one statement's answer; raises PyMySQL's errors."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return tuple(cursor.fetchall())


def is_denied(error: pymysql.MySQLError) -> bool:
    """Whether the statement failed because the account lacks a right for it."""
    return bool(error.args) and error.args[0] in _DENIED


def quoted_name(name: str) -> str:
    """A database's or table's name as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def explained(error: Exception, url: MysqlURL) -> DatabaseError:
    """The error as one sentence with the address and what to do; it holds no secret."""
    where = f"MySQL at {url.address}"
    if isinstance(error, RuntimeError):
        return DatabaseError(
            f"{where}: the account's password check needs TLS or Python's cryptography module",
            hint='set tls=preferred (or better "true") in the connection string, or: apt install python3-cryptography',
        )
    if isinstance(error, FileNotFoundError):
        return DatabaseError(
            f"{where}: a file named by ssl-ca, ssl-cert or ssl-key does not exist ({error.filename})",
            hint="mend the path in the connection string",
        )
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[-1] if error.args else error).replace("\n", " ")[:300]
    # From 2000 to 2999 they are the client's own: then the server has not answered.
    answered = code >= 1000 and not 2000 <= code < 3000
    hint = _HINTS.get(code) or ("mend what the server says" if answered else _unreached(error, url))
    if code == CR.CR_SERVER_LOST and "timed out" in text:
        # The connection stood: PyMySQL says this of what it reads afterwards.
        hint = _HANGS
    if url.socket == MYSQL_SOCKET and code in {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST}:
        hint = "the server's own MySQL answers only while the server runs: systemctl status wandb-local"
    if "CERTIFICATE_VERIFY_FAILED" in text and "mismatch" in text:
        hint = (
            f"MySQL's own certificate names no host: give mysqld one that names {url.host} (ssl_cert, ssl_key in its"
            " my.cnf), or write tls=skip-verify: encrypted, but nobody verifies by whom"
        )
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "name the authority that signed the server's certificate: ?tls=true&ssl-ca=FILE (MySQL's own is ca.pem)"
    told = f"{where}: {text} ({code})" if code else f"{where}: {text}"
    return DatabaseError(told, hint=hint, reached=code != CR.CR_CONN_HOST_ERROR or _answered(error, url))


def _answered(error: Exception, url: MysqlURL) -> bool:
    """Whether the host answered, if only by refusing, where a connection was not made."""
    return bool(url.socket) or isinstance(getattr(error, "original_exception", None), (ConnectionError, ssl.SSLError))


def _unreached(error: Exception, url: MysqlURL) -> str:
    """What to do about a way that ends before MySQL: a name, a port, packets that nobody answers, a socket."""
    host, port, where = url.host, url.port, url.socket
    socket_remedies: dict[type, str] = {
        FileNotFoundError: f"mysqld does not run, or has its socket elsewhere: systemctl status mysql; ls -l {where}",
        PermissionError: f"this user may not open the socket: ls -l {where}",
        ConnectionRefusedError: "the socket is left from a mysqld that ended: systemctl status mysql",
    }
    network_remedies: dict[type, str] = {
        socket.gaierror: f"mend the name in the connection string, or the resolver: getent hosts {host}",
        ConnectionRefusedError: f"{host} is up, and nothing listens at port {port}: systemctl status mysql there; for"
        " other hosts mysqld listens only with bind_address = * in an option file, the last that it reads; or the port"
        " is another one",
        TimeoutError: f"{host} is down, or a firewall drops what goes to port {port}: nc -vz {host} {port}",
    }
    why = type(getattr(error, "original_exception", None))
    return (socket_remedies if where else network_remedies).get(
        why, "check that the server is up and reachable from this host"
    )


def _open(url: MysqlURL, arguments: dict[str, Any]) -> Connection:
    if url.tls == "false":
        return pymysql.connect(**arguments, ssl_disabled=True)
    context = _tls_context(url)
    if url.tls != "preferred":
        return _EncryptedConnection(**arguments, ssl=context)
    try:
        return pymysql.connect(**arguments, ssl=context)
    except pymysql.err.OperationalError as error:
        # PyMySQL 1.2 takes a context for a demand; before, it went on in the clear by itself, which is what is meant.
        if error.args[0] != CR.CR_SSL_CONNECTION_ERROR:
            raise
        return pymysql.connect(**arguments, ssl_disabled=True)


def _tls_context(url: MysqlURL) -> ssl.SSLContext:
    options = dict(url.options)
    unverified = url.tls in {"preferred", "skip-verify"}
    files = (options.get("ssl-ca"), options.get("ssl-cert"), options.get("ssl-key"))
    return _context(unverified, *files, int(time.monotonic() // _CONTEXT_FOR_S))


@lru_cache(maxsize=4)
def _context(
    unverified: bool, authority: str | None, certificate: str | None, key: str | None, _period: int
) -> ssl.SSLContext:
    """Kept for a while: reading the host's authorities takes 20 ms of a processor. Renewed files are read after it."""
    if unverified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if authority:
            context.load_verify_locations(authority)
    else:
        context = ssl.create_default_context(cafile=authority)
    # MySQL's own tools make certificates without the extensions that Python 3.13 began to insist on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_cert_chain(certificate, key)
    return context

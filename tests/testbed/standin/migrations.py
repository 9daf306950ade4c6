"""The stand-in's migrations: real tables in the real MySQL, with golang-migrate's way of marking what is half done."""

from __future__ import annotations

import ssl
import threading
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import pymysql

from .log import entry

_FIRST = (
    "CREATE TABLE IF NOT EXISTS standin_users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL)",
    "CREATE TABLE IF NOT EXISTS standin_settings (name VARCHAR(64) PRIMARY KEY, value JSON)",
    "INSERT IGNORE INTO standin_settings VALUES ('made_by', '\"the stand-in for wandb/local\"')",
)


class MigrationError(Exception):
    """The line that the backend panics with."""


def migrate(address: str, version: int, seconds: float) -> None:
    """Bring the database of the MYSQL variable to schema `version`, taking `seconds` if anything is pending.

    The schema is marked dirty while a migration runs, so an interruption leaves it dirty, and the
    next start refuses; raises MigrationError.
    """
    connection = _connect(address)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('standin_migrations', 600)")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)"
        )
        cursor.execute("SELECT version, dirty FROM schema_migrations")
        at, dirty = cursor.fetchone() or (0, False)
        if dirty:
            raise MigrationError(f"Dirty database version {at}. Fix and force version.")
        for number in range(at + 1, version + 1):
            _mark(connection, number, dirty=True)
            # Said when it is so: who stops it then leaves it dirty.
            entry("INFO", f"running migration {number} of {version}")
            # The main thread's wait, which SIGTERM interrupts.
            threading.Event().wait(seconds / (version - at))
            cursor.execute(_statement(number))
            _mark(connection, number, dirty=False)


def _statement(number: int) -> str:
    if number <= len(_FIRST):
        return _FIRST[number - 1]
    return f"INSERT IGNORE INTO standin_settings VALUES ('migration_{number}', 'true')"


def _mark(connection: pymysql.Connection[Any], version: int, *, dirty: bool) -> None:
    with connection.cursor() as cursor:
        connection.begin()
        cursor.execute("DELETE FROM schema_migrations")
        cursor.execute("INSERT INTO schema_migrations VALUES (%s, %s)", (version, dirty))
        connection.commit()


def _connect(address: str) -> pymysql.Connection[Any]:
    if not address:
        raise MigrationError("MYSQL is not set, and this stand-in has no MySQL of its own")
    url = urlsplit(address)
    # Any certificate will do, as with the server's own default; where TLS is not offered, none is used.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = url.hostname or "", url.port or 3306
    try:
        return pymysql.connect(
            host=host,
            port=port,
            # The real server reads a raw + as a space too.
            user=unquote_plus(url.username or ""),
            password=unquote_plus(url.password or ""),
            database=unquote_plus(url.path.lstrip("/")),
            ssl=context,
            connect_timeout=10,
            autocommit=True,
        )
    except pymysql.MySQLError as error:
        raise MigrationError(_as_go_says(error, host, port)) from None


def _as_go_says(error: pymysql.MySQLError, host: str, port: int) -> str:
    number, text = (*error.args, "", "")[:2]
    if number != 2003:
        return f"Error {number}: {text}"
    if "Name or service not known" in str(text) or "name resolution" in str(text):
        return f"dial tcp: lookup {host}: no such host"
    reason = "i/o timeout" if "timed out" in str(text) else "connect: connection refused"
    return f"dial tcp {host}:{port}: {reason}"

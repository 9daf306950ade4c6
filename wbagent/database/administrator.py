"""Runs an administrator's statements on MySQL, and says of one that fails what it was for and what helps."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pymysql
from pymysql.constants import ER

from wbagent.config.connection_string import with_port
from wbagent.config.dsn import MysqlURL
from wbagent.database.account import Account
from wbagent.database.connection import Connection, explained, rows, session
from wbagent.database.facts import flavour_of, parse_version
from wbagent.database.grants import parse_grants
from wbagent.database.provisioning import Found, Step
from wbagent.database.target import check_version
from wbagent.database.tuning import Settings
from wbagent.errors import AccessError, DatabaseError, UsageError

# Where MySQL of Debian, Red Hat and of its own archives listens.
_SOCKETS: Final = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108 - MySQL's
_DENIED: Final = frozenset(
    {
        ER.DBACCESS_DENIED_ERROR,
        ER.ACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR,
        ER.SPECIFIC_ACCESS_DENIED_ERROR,
        ER.CANT_CREATE_USER_WITH_GRANT,
        ER.ILLEGAL_GRANT_FOR_TABLE,
    }
)
_NO_PASSWORD: Final = 1698
_WEAK_PASSWORD: Final = 1819
_READ_ONLY: Final = 1290
_REMEDIES: Final = {
    _WEAK_PASSWORD: "the server's validate_password asks for more; give one that it takes: --password-file FILE",
    _READ_ONLY: "the server forbids it (see the message); is it a replica? then run this on its source",
    1524: "MySQL has no clone plugin beside it: install it, or leave clones out with --no-clone",
    1126: "MySQL has no clone plugin beside it: install it, or leave clones out with --no-clone",
}


def local_administrator() -> MysqlURL:
    """MySQL's root over this host's socket; raises UsageError where there is none."""
    for path in _SOCKETS:
        try:
            if stat.S_ISSOCK(Path(path).stat().st_mode):
                return by_socket(path)
        except OSError:
            continue
    raise UsageError(
        f"no MySQL listens on this host: there is none of {', '.join(_SOCKETS)}",
        hint="start it, run this on the database's host, or name an administrator's connection:"
        " --admin @FILE with mysql://root:PASSWORD@HOST/mysql in it",
    )


def by_socket(path: str) -> MysqlURL:
    """MySQL's root over a socket, who needs no password there where the system's root asks (auth_socket)."""
    return MysqlURL("root", "", "localhost", 3306, "mysql", (("socket", path),))


@contextmanager
def administrator(url: MysqlURL) -> Iterator[Connection]:
    """A session in which statements mean what they say, whatever sql_mode the server has.

    Raises DatabaseError also for a MariaDB or a MySQL that W&B does not support.
    """
    try:
        with session(url, database="") as connection:
            rows(connection, "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
            ((text, comment),) = rows(connection, "SELECT @@GLOBAL.version, @@GLOBAL.version_comment")
            check_version(parse_version(str(text)), flavour_of(f"{text} {comment}"), (0, 0, 0), url)
            yield connection
    except DatabaseError as error:
        if f"({_NO_PASSWORD})" in error.message:
            raise AccessError(
                error.message, hint="run this as root (sudo), or name another account: --admin @FILE"
            ) from None
        raise


def refuse_replica(connection: Connection, url: MysqlURL) -> None:
    """Raise DatabaseError on a replica: an account or database made there alone is not on its source."""
    ((read_only,),) = rows(connection, "SELECT @@GLOBAL.read_only")
    if read_only:
        raise DatabaseError(
            f"the server at {url.address} is read-only (read_only), as a replica is",
            hint="run this on its source: databases and accounts come over from there",
        )


def look(connection: Connection, account: Account, database: str) -> Found:
    """What is there of the account and the database; raises DatabaseError, PyMySQL's errors."""
    database_row = rows(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        database,
    )
    plugin = rows(
        connection,
        "SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone' AND plugin_status = 'ACTIVE'",
    )
    with _explained("look whether the account is there", "SELECT on the database mysql"):
        hosts = [str(host) for (host,) in rows(connection, "SELECT host FROM mysql.user WHERE user = %s", account.user)]
        # MySQL keeps hosts in small letters.
        known = account.host.lower() in (host.lower() for host in hosts)
        lines = rows(connection, f"SHOW GRANTS FOR {account}") if known else None
    ((version, port, networked, addresses),) = rows(
        connection, "SELECT @@GLOBAL.version, @@GLOBAL.port, NOT @@GLOBAL.skip_networking, @@GLOBAL.bind_address"
    )
    named = f"{account.user}@{account.host}"
    return Found(
        version=parse_version(str(version)),
        database=(str(database_row[0][0]), str(database_row[0][1])) if database_row else None,
        grants=None if lines is None else parse_grants(named, [str(line[0]) for line in lines]),
        clone_plugin=bool(plugin),
        other_hosts=tuple(sorted(host for host in hosts if host.lower() != account.host.lower())),
        port=int(port) if networked else 0,
        bind_address=str(addresses),
    )


def read_settings(connection: Connection) -> tuple[Settings, str]:
    """What the server runs with and has persisted, and its PID file; raises PyMySQL's errors."""
    current = {str(name): str(value) for name, value in rows(connection, "SHOW GLOBAL VARIABLES")}
    version = parse_version(current["version"])
    if version < (8, 0, 0):
        return Settings(version, current, persists=False), current["pid_file"]
    sources = rows(connection, "SELECT variable_name, variable_source FROM performance_schema.variables_info")
    noted = rows(connection, "SELECT variable_name, variable_value FROM performance_schema.persisted_variables")
    found = Settings(
        version,
        current,
        sources={str(name): str(source) for name, source in sources},
        persisted={str(name): str(value) for name, value in noted},
        persists=current.get("persisted_globals_load") == "ON",
    )
    return found, current["pid_file"]


def carry_out(
    connection: Connection, url: MysqlURL, steps: Iterable[Step], password: str, done: Callable[[Step], None]
) -> None:
    """Run the steps in order and call `done` after each; raises DatabaseError that names the one that failed."""
    for step in steps:
        try:
            rows(connection, step.statement(password))
        except (pymysql.MySQLError, OSError) as error:
            raise _failed(step, error, password, url) from None
        done(step)


def try_account(url: MysqlURL, *, database: str | None = None) -> None:
    """Log in as the account; raises DatabaseError."""
    with session(url, database=database) as connection:
        rows(connection, "SELECT 1")


def where(door: MysqlURL) -> str:
    """The server that this is the way to, for a person."""
    return door.socket or with_port(door.host, door.port)


def through(url: MysqlURL, door: MysqlURL) -> MysqlURL:
    """The account of `url` by the way that an administrator just came: the name in it may mean nothing here."""
    return replace(url, host=door.host, port=door.port, options=door.options)


def _failed(step: Step, error: Exception, password: str, url: MysqlURL) -> DatabaseError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    told = explained(error, url)
    # What MySQL says of a statement may quote a piece of it.
    message = told.message.replace(password, "***") if password else told.message
    hint = _REMEDIES.get(code, told.hint)
    if code in _DENIED:
        hint = (
            f"{url.user} may not do that here: run this as an account that may (as root over the socket: sudo),"
            " or give an administrator what the same command with --sql prints"
        )
    return DatabaseError(f"cannot {step.purpose}: {message}", hint=hint, reached=told.reached)


@contextmanager
def _explained(purpose: str, privilege: str) -> Iterator[None]:
    try:
        yield
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in _DENIED:
            raise DatabaseError(
                f"cannot {purpose}: {error.args[-1]} ({error.args[0]})",
                hint=f"the administrator's account needs {privilege}; root over the socket has it: sudo",
            ) from None
        raise

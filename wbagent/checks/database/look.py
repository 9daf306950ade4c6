"""Looks at a MySQL server with one account: everything that the checks of this area judge, in one session."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pymysql

from wbagent.config.dsn import MysqlURL
from wbagent.database.clone import CloneFacts, read_clone_facts
from wbagent.database.connection import Connection, is_denied, rows, session
from wbagent.database.facts import ServerFacts, read_server
from wbagent.database.grants import quoted_account
from wbagent.database.local import is_local
from wbagent.database.schema import DatabaseFacts, find_database

SERVER_KEY: Final = "[server] mysql"
BACKUP_KEY: Final = "[database] url"
# Below the limit of a check, so that what hangs is told as that.
_ANSWER_WITHIN_S: Final = 15.0
# SHOW CREATE USER is allowed to everybody for the own account; IDENTIFIED WITH 'plugin' in all versions.
_PLUGIN: Final = re.compile(r"IDENTIFIED WITH '([^']+)'")
_TABLE_COLLATIONS: Final = (
    "SELECT table_name, table_collation FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY table_name"
)
# JSON columns have no collation here.
_COLUMN_COLLATIONS: Final = (
    "SELECT c.table_name, c.column_name, c.collation_name FROM information_schema.columns c"
    " JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
    " WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE' AND c.collation_name <> t.table_collation"
    " ORDER BY c.table_name, c.ordinal_position"
)
_OLD_ACCOUNTS: Final = (
    "SELECT user, host, plugin FROM mysql.user WHERE plugin IN ('mysql_native_password', 'sha256_password',"
    " 'mysql_old_password') AND account_locked = 'N' ORDER BY user, host"
)
_LAST_SET: Final = (
    "SELECT variable_name FROM performance_schema.variables_info WHERE variable_source = 'DYNAMIC'"
    " AND variable_name NOT IN (SELECT variable_name FROM performance_schema.persisted_variables)"
)


@dataclass(frozen=True, slots=True)
class Collations:
    """Of each base table, and of the columns that have another one than their table ("table.column")."""

    tables: Mapping[str, str]
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OldAccount:
    """An account whose password check is an old one; `account` is as a statement names it."""

    account: str
    plugin: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one account saw. `key` is where its connection string stands: SERVER_KEY or BACKUP_KEY.

    `database`: None when there is none of that name that the account may see. `encryption` is the protocol ("TLSv1.3"),
    "" for a session in the clear. `plugin` checks the account's own password, "" when that is not told. `passing`: the
    variables that were set while the server ran and neither persisted nor, as far as can be told, in an option file.
    `old_accounts`: None where the account may not read mysql.user. `memory` is of this host, 0 when MySQL is elsewhere.
    """

    key: str
    url: MysqlURL
    local: bool
    encryption: str
    server: ServerFacts
    variables: Mapping[str, str]
    status: Mapping[str, str]
    plugin: str
    plugins: frozenset[str]
    passing: frozenset[str] = frozenset()
    database: DatabaseFacts | None = None
    collations: Collations = Collations({}, {})
    clone: CloneFacts | None = None
    old_accounts: tuple[OldAccount, ...] | None = None
    memory: int = 0


def look_by(key: str, url: MysqlURL) -> Look:
    """Look; of a MariaDB only what it says of itself, since nothing else is judged there. Raises DatabaseError."""
    local = is_local(url)
    with session(url, database="", read_timeout=_ANSWER_WITHIN_S) as connection:
        server = read_server(connection)
        seen = Look(
            key=key,
            url=url,
            local=local,
            encryption=str(dict(rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_version'")).get("Ssl_version", "")),
            server=server,
            variables=_texts(rows(connection, "SHOW GLOBAL VARIABLES")),
            status=_texts(rows(connection, "SHOW GLOBAL STATUS")),
            plugin="",
            plugins=frozenset(),
        )
        return seen if server.flavour == "MariaDB" else _whole(connection, seen)


def _whole(connection: Connection, seen: Look) -> Look:
    server, name = seen.server, seen.url.database
    database = find_database(connection, name, server.version)
    return Look(
        key=seen.key,
        url=seen.url,
        local=seen.local,
        encryption=seen.encryption,
        server=server,
        variables=seen.variables,
        status=seen.status,
        plugin=_own_plugin(connection),
        plugins=frozenset(str(row[0]) for row in rows(connection, "SHOW PLUGINS") if row[1] == "ACTIVE"),
        passing=_passing(connection) if server.version >= (8, 0, 0) else frozenset(),
        database=database,
        collations=Collations(
            _texts(rows(connection, _TABLE_COLLATIONS, name)),
            {f"{table}.{column}": str(found) for table, column, found in rows(connection, _COLUMN_COLLATIONS, name)},
        ),
        clone=read_clone_facts(connection, server, name) if server.version >= (8, 0, 17) else None,
        old_accounts=_old_accounts(connection),
        memory=_memory() if seen.local else 0,
    )


def _texts(found: tuple[tuple[object, ...], ...]) -> dict[str, str]:
    return {str(name): str(value) for name, value in found}


def _own_plugin(connection: Connection) -> str:
    ((said,),) = rows(connection, "SHOW CREATE USER CURRENT_USER()")
    found = _PLUGIN.search(str(said))
    return found[1] if found else ""


def _passing(connection: Connection) -> frozenset[str]:
    return frozenset(str(name) for (name,) in rows(connection, _LAST_SET))


def _old_accounts(connection: Connection) -> tuple[OldAccount, ...] | None:
    try:
        found = rows(connection, _OLD_ACCOUNTS)
    except pymysql.MySQLError as error:
        if not is_denied(error):
            raise
        return None
    return tuple(OldAccount(quoted_account(f"{user}@{host}"), str(plugin)) for user, host, plugin in found)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

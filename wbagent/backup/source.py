"""Looks at the database before and after a dump: what can be backed up, what a person should know, what changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wbagent.backup.dump import PositionPlan, plan_position
from wbagent.config import embedded as own
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram, check_client
from wbagent.database.connection import Connection, rows, session
from wbagent.database.facts import ServerFacts, read_server
from wbagent.database.schema import DatabaseFacts, read_database
from wbagent.errors import BackupError, DatabaseError

_LONG_QUERY_S: Final = 5


@dataclass(frozen=True, slots=True)
class Source:
    """What was found before the dump; `warnings` go into the commit record."""

    server: ServerFacts
    database: DatabaseFacts
    plan: PositionPlan
    warnings: tuple[str, ...]


def look(url: MysqlURL, client: ClientProgram) -> Source:
    """Look at server and database; raises DatabaseError or BackupError for what cannot be backed up."""
    with session(url) as connection:
        server = read_server(connection)
        if server.flavour == "MariaDB":
            raise DatabaseError(
                f"the server at {url.address} is MariaDB {server.version_text}, which W&B's server does not support",
                hint="move the database to MySQL 8.4",
            )
        older = check_client(client, server.version, "mysqldump")
        database = read_database(connection, url.database, server.version)
        # The account of an embedded server cannot be given more rights, and its binary log dies with its volume.
        embedded = url == own.MYSQL
        plan = PositionPlan(False) if embedded else plan_position(server, _long_queries(connection))
    refuse_unfit(database, server)
    notes = (plan.warning,) if plan.warning else ()
    return Source(server, database, plan, (*older, *notes, *inexact(database)))


def look_again(url: MysqlURL, source: Source) -> DatabaseFacts:
    """The same database after the dump; raises DatabaseError."""
    with session(url) as connection:
        return read_database(connection, url.database, source.server.version)


def refuse_unfit(database: DatabaseFacts, server: ServerFacts) -> None:
    """Raise BackupError for a database whose dump would be worth nothing or end half-way."""
    if not database.tables:
        # A backup of nothing must never count: with time, retention would delete the good ones for it.
        raise BackupError(
            f"the database {database.name!r} has no tables, so there is nothing to back up",
            hint="check the database's name; if its tables were lost, restore: wbagent restore latest --into …",
        )
    if database.hidden_routines:
        raise BackupError(
            f"the account may not read {', '.join(database.hidden_routines[:5])}, so the dump would end half-way",
            hint=f"as an administrator: {server.grants.statement(['SHOW_ROUTINE'])}",
        )


def inexact(database: DatabaseFacts) -> tuple[str, ...]:
    """Warnings about what mysqldump does not carry over to the last bit."""
    warnings = []
    if database.float_columns:
        warnings.append(
            "FLOAT columns keep 6 significant digits in a dump, the rest is lost: " + _some(database.float_columns)
        )
    others = [f"{table.name} ({table.engine})" for table in database.tables if table.engine != "InnoDB"]
    if others:
        warnings.append("tables that are not InnoDB are not of the same moment as the rest: " + _some(others))
    return tuple(warnings)


def check_complete(before: DatabaseFacts, after: DatabaseFacts, dumped: Collection[str]) -> tuple[str, ...]:
    """Hold the tables found in the dump against the database; returns warnings, raises BackupError.

    DDL during a dump can leave a table empty in it without any error, so a dump that met any is no backup.
    """
    changed = after.changed_since(before)
    if changed:
        raise BackupError(
            f"{len(changed)} tables were altered, truncated or dropped during the dump: {_some(changed)}",
            hint="probably a migration of the server; when it is over: wbagent backup run",
        )
    missing = [table.name for table in before.tables if table.name not in set(dumped)]
    if missing:
        raise BackupError(
            f"{len(missing)} of {len(before.tables)} tables are missing in the dump: {_some(missing)}",
            hint="check the account's rights on them: GRANT ALL on its database, as W&B's guide says",
        )
    new = [table.name for table in after.tables if table.name not in set(dumped)]
    return (f"made during the dump and not in it: {_some(new)}",) if new else ()


def _long_queries(connection: Connection) -> int:
    # Without the PROCESS right these are the account's own; the position is left out then in any case.
    running = rows(connection, "SHOW PROCESSLIST")
    return sum(1 for row in running if row[4] in {"Query", "Execute"} and int(row[5] or 0) >= _LONG_QUERY_S)


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:10]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")

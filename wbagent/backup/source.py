"""Looks at the database before and after a dump: what can be backed up, what a person should know, what changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import Connection, rows, session
from wbagent.database.definitions import Definition, objects_of, read_definitions
from wbagent.database.facts import ServerFacts, read_server
from wbagent.database.schema import DatabaseFacts, read_database
from wbagent.database.unfinished import TABLE as UNFINISHED
from wbagent.errors import BackupError, DatabaseError

_LONG_QUERY_S: Final = 5
_MIGRATION: Final = "probably a migration of the server; when it is over: wbagent backup run"


class EmptyDatabaseError(BackupError):
    """There is no table: its tables were lost, or the server has not made them yet."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was found before the backup; `long_queries` statements have run for long and hold metadata locks."""

    server: ServerFacts
    database: DatabaseFacts
    long_queries: int
    definitions: tuple[Definition, ...] = ()


def look(url: MysqlURL) -> Source:
    """Look at server and database; raises DatabaseError or BackupError for what cannot be backed up."""
    with session(url) as connection:
        server = read_server(connection)
        if server.flavour == "MariaDB":
            raise DatabaseError(
                f"the server at {url.address} is MariaDB {server.version_text}, which W&B's server does not support",
                hint="move the database to MySQL 8.4",
            )
        database = read_database(connection, url.database, server.version)
        definitions = read_definitions(connection, url.database, objects_of(database))
        waiting = _long_queries(connection)
    if any(table.name == UNFINISHED for table in database.tables):
        raise BackupError(
            f"the database {database.name!r} is half restored, so a backup of it would be worth nothing",
            hint="run the restore again to its end: wbagent restore ID --into …",
        )
    if not database.tables:
        # A backup of nothing must never count: with time, retention would delete the good ones for it.
        raise EmptyDatabaseError(
            f"the database {database.name!r} has no tables, so there is nothing to back up",
            hint="check the database's name; if its tables were lost, restore: wbagent restore latest --into …",
        )
    return Source(server, database, waiting, definitions)


def check_unchanged(url: MysqlURL, source: Source, dumped: Collection[str]) -> tuple[str, ...]:
    """Look at the database again after the dump and judge what is in that; returns warnings.

    Raises BackupError where something changed meanwhile, or is missing in the dump; DatabaseError.
    """
    with session(url) as connection:
        after = read_database(connection, url.database, source.server.version)
        definitions = read_definitions(connection, url.database, objects_of(after))
    news = check_complete(source.database, after, dumped)
    refuse_changed(source.definitions, definitions)
    return news


def unseen(source: Source) -> tuple[str, ...]:
    """A warning about what cannot be compared after a restore, or nothing."""
    seen = {each.object for each in source.definitions}
    hidden = [each for each in objects_of(source.database) if each not in seen]
    if not hidden:
        return ()
    return (f"the account may not see how these are defined, or they are not valid; no drill can tell: {some(hidden)}",)


def refuse_changed(before: Collection[Definition], after: Collection[Definition]) -> None:
    """Raise BackupError when something was defined otherwise or dropped: nobody can say which of the two is in it."""
    left = set(after)
    changed = [each.object for each in before if each not in left]
    if changed:
        raise BackupError(
            f"{len(changed)} definitions were changed or dropped during the backup: {some(changed)}", hint=_MIGRATION
        )


def check_complete(before: DatabaseFacts, after: DatabaseFacts, dumped: Collection[str]) -> tuple[str, ...]:
    """Hold the tables found in the dump against the database; returns warnings, raises BackupError.

    DDL during a dump can leave a table empty in it without any error, so a dump that met any is no backup.
    """
    changed = after.changed_since(before)
    if changed:
        raise BackupError(
            f"{len(changed)} tables were altered, truncated or dropped during the dump: {some(changed)}",
            hint=_MIGRATION,
        )
    missing = [table.name for table in before.tables if table.name not in set(dumped)]
    if missing:
        raise BackupError(
            f"{len(missing)} of {len(before.tables)} tables are missing in the dump: {some(missing)}",
            hint="check the account's rights on them: GRANT ALL on its database, as W&B's guide says",
        )
    new = [table.name for table in after.tables if table.name not in set(dumped)]
    return (f"made during the dump and not in it: {some(new)}",) if new else ()


def _long_queries(connection: Connection) -> int:
    # Without the PROCESS right these are the account's own; the position is left out then in any case.
    running = rows(connection, "SHOW PROCESSLIST")
    return sum(1 for row in running if row[4] in {"Query", "Execute"} and int(row[5] or 0) >= _LONG_QUERY_S)


def some(names: Collection[str]) -> str:
    """The first ten of them, for a sentence."""
    shown = sorted(names)[:10]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")

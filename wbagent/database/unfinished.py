"""The mark in a database that is being restored: while it is there, what the database holds is not to be trusted."""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import pymysql

from wbagent.database.connection import Connection, quoted_name, rows

TABLE: Final = "wbagent_restore_unfinished"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A restore that was begun and not completed: of which backup, when (UTC), and from which host."""

    backup: str
    began: str
    host: str

    def sentence(self) -> str:
        """For a person."""
        return f"half restored from backup {self.backup}, begun {self.began} UTC on {self.host}"


def mark(connection: Connection, database: str, backup: str) -> None:
    """Put the mark into an empty database; raises PyMySQL's errors."""
    name = f"{quoted_name(database)}.{quoted_name(TABLE)}"
    rows(
        connection,
        f"CREATE TABLE {name} (backup VARCHAR(64) NOT NULL PRIMARY KEY, began DATETIME NOT NULL,"
        " host VARCHAR(255) NOT NULL) COMMENT 'wbagent restore has not ended: do not use this database'",
    )
    rows(connection, f"INSERT INTO {name} VALUES (%s, UTC_TIMESTAMP(), %s)", backup, socket.gethostname())  # noqa: S608


def unmark(connection: Connection, database: str) -> None:
    """Take the mark away: the restore is complete and compared; raises PyMySQL's errors."""
    rows(connection, f"DROP TABLE IF EXISTS {quoted_name(database)}.{quoted_name(TABLE)}")


def find_mark(connection: Connection, database: str) -> Unfinished | None:
    """The mark, if it is there; raises PyMySQL's errors."""
    name = f"{quoted_name(database)}.{quoted_name(TABLE)}"
    try:
        found = rows(connection, f"SELECT backup, began, host FROM {name}")  # noqa: S608 - both names are quoted
    except pymysql.err.ProgrammingError:
        return None
    # Made but not yet filled: the restore ended between the two statements.
    return Unfinished(*(str(value) for value in found[0])) if found else Unfinished("(unknown)", "(unknown)", "?")


def may_replace(tables: Collection[str], recorded: Collection[str]) -> bool:
    """Whether a marked database holds nothing but what the restore of a backup with the `recorded` tables leaves.

    A table beyond those is somebody's work since then: only a person may have it removed.
    """
    return set(tables) - {TABLE} <= set(recorded)

"""Counts the rows of each table in the very snapshot that mysqldump has, while mysqldump runs.

The restore compares these counts with what it restored. A count is worth nothing unless it is of the same moment,
so there are counts only where that can be proven: with GTIDs, when no transaction was committed between the two
snapshots.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

import pymysql

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import close, connect, explained, quoted_name, rows, session
from wbagent.database.facts import ServerFacts
from wbagent.errors import DatabaseError

# A count of a large table takes long; `stop` ends the session from outside when it is not done by then.
_ONE_COUNT_S: Final = 6 * 3600.0
_PATIENCE_S: Final = 2.0


class RowCounter:
    """Opened before the dump starts; `begin` when the dump has its snapshot, `stop` when its result is wanted."""

    def __init__(self, url: MysqlURL, server: ServerFacts) -> None:
        """Open the snapshot; raises DatabaseError. Does nothing on a server without GTIDs."""
        self._url = url
        self._counts: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._snapshot = _Snapshot(url, server) if server.gtid_mode else None

    def begin(self, tables: Iterable[str]) -> None:
        """Start to count in the background if the snapshots are of the same moment."""
        if self._snapshot and self._snapshot.is_still_now():
            arguments = (self._snapshot, tuple(tables))
            self._thread = threading.Thread(target=self._count, args=arguments, name="row-counter", daemon=True)
            self._thread.start()

    def stop(self) -> dict[str, int]:
        """End the session and return what was counted by now."""
        self._stopping.set()
        if self._snapshot is None:
            return {}
        if self._thread:
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():
                self._snapshot.kill()
                self._thread.join()
        close(self._snapshot.connection)
        return dict(self._counts)

    def _count(self, snapshot: _Snapshot, tables: tuple[str, ...]) -> None:
        for table in tables:
            if self._stopping.is_set():
                return
            try:
                self._counts[table] = snapshot.count(self._url.database, table)
            except (pymysql.MySQLError, OSError):
                # Killed by `stop`, or the server went away, which the dump itself tells better.
                return


class _Snapshot:
    """A session whose view of the data stands still, and the set of transactions committed when it was opened."""

    def __init__(self, url: MysqlURL, server: ServerFacts) -> None:
        self._url = url
        self.connection = connect(url, read_timeout=_ONE_COUNT_S)
        try:
            if server.version >= (8, 0, 14):
                # Otherwise a count takes four cores of the server that people are working on.
                rows(self.connection, "SET SESSION innodb_parallel_read_threads = 1")
            rows(self.connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            ((self._id,),) = rows(self.connection, "SELECT CONNECTION_ID()")
            self._marker = self._committed()
            rows(self.connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
            rows(self.connection, "SAVEPOINT nothing_read")
        except (pymysql.MySQLError, OSError) as error:
            close(self.connection)
            raise explained(error, url) from None

    def is_still_now(self) -> bool:
        """Whether nothing was committed since it was opened."""
        try:
            return self._committed() == self._marker
        except (pymysql.MySQLError, OSError):
            return False

    def count(self, database: str, table: str) -> int:
        """The rows of one table in this snapshot; raises PyMySQL's errors."""
        name = f"{quoted_name(database)}.{quoted_name(table)}"
        ((count,),) = rows(self.connection, f"SELECT COUNT(*) FROM {name}")  # noqa: S608 - both names are quoted
        # Lets go of the table's metadata lock, which would stop a migration and, behind it, everybody else.
        rows(self.connection, "ROLLBACK TO SAVEPOINT nothing_read")
        return int(count)

    def kill(self) -> None:
        """End a count that is under way."""
        try:
            with session(self._url) as other:
                rows(other, f"KILL {self._id}")
        except DatabaseError:
            # The server is away: the socket's end ends the count.
            close(self.connection)

    def _committed(self) -> str:
        ((gtid_set,),) = rows(self.connection, "SELECT @@GLOBAL.gtid_executed")
        return str(gtid_set)

"""Asks the MySQL server what it executed, which binary logs it has, and whether they may and can be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pymysql

from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.plan import Offer, Offered, unlogged
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import Connection, close, connect, explained, rows
from wbagent.database.facts import ServerFacts, read_server
from wbagent.errors import DatabaseError

_ANSWER_S: Final = 10.0


class SourceServer:
    """A session that is kept open between questions. Every method raises DatabaseError."""

    def __init__(self, url: MysqlURL) -> None:
        self._url = url
        self._connection: Connection | None = None

    def close(self) -> None:
        """Hang up; the next question opens another session."""
        if self._connection is not None:
            close(self._connection)
            self._connection = None

    def executed(self) -> tuple[str, GtidSet, GtidSet]:
        """The server's UUID, every transaction that it executed up to now, and those that its files lack of them."""
        query = "SELECT @@GLOBAL.server_uuid, @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged"
        with self._session() as connection:
            ((uuid, executed, purged),) = rows(connection, query)
        return str(uuid), GtidSet.parse(str(executed)), GtidSet.parse(str(purged))

    def offer(self) -> Offer:
        """Everything that a plan needs; refuses a server that cannot be read from, with the remedy."""
        # What was granted since a session began shows in SHOW GRANTS, but holds from the next session on.
        self.close()
        with self._session() as connection:
            server = read_server(connection)
            check(server, self._url)
            # Before the files: what is purged in between is named by the oldest that is left.
            ((purged,),) = rows(connection, "SELECT @@GLOBAL.gtid_purged")
            found = [
                (str(name), int(size), _previous(connection, str(name)))
                for name, size, *_ in rows(connection, "SHOW BINARY LOGS")
            ]
        beyond = unlogged(GtidSet.parse(str(purged)), found[0][2])
        files = tuple(Offered(name, size, head | beyond) for name, size, head in found)
        # After the files: what is executed in between is in them or in the next one.
        uuid, executed, _ = self.executed()
        return Offer(uuid, server.version_text, executed, files, beyond)

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = connect(self._url, database="", read_timeout=_ANSWER_S)
        try:
            yield self._connection
        except (pymysql.MySQLError, OSError) as error:
            self.close()
            raise explained(error, self._url) from None
        except ValueError as error:
            raise DatabaseError(f"the server at {self._url.address} shows GTIDs that cannot be read: {error}") from None


def check(server: ServerFacts, url: MysqlURL) -> None:
    """Raise DatabaseError with the remedy for a server whose binary logs cannot be shipped."""
    where = f"the server at {url.address}"
    if server.flavour == "MariaDB":
        raise DatabaseError(f"{where} is MariaDB, whose binary logs are others", hint="move the database to MySQL 8.4")
    if not server.binary_log:
        raise DatabaseError(
            f"{where} writes no binary log (log_bin)", hint="set log_bin = binlog in its my.cnf and restart it"
        )
    if not server.gtid_mode:
        raise DatabaseError(
            f"{where} runs without GTIDs (gtid_mode), so nothing shows whether binary logs are complete",
            hint="set enforce_gtid_consistency = ON and gtid_mode = ON in its my.cnf; both can be set while it runs, in"
            " the steps of MySQL's manual, 'Enabling GTID Transactions Online'",
        )
    if server.binlog_format != "ROW":
        raise DatabaseError(
            f"{where} logs statements instead of rows (binlog_format = {server.binlog_format}), which may give other"
            " rows when they are executed again",
            hint="set binlog_format = ROW in its my.cnf, as W&B's guide asks for, and now: SET GLOBAL binlog_format ="
            " 'ROW' (for new sessions)",
        )
    needed = {"REPLICATION SLAVE": (), "REPLICATION CLIENT": ("SUPER",)}
    missing = [name for name, instead in needed.items() if not server.grants.has(name, *instead)]
    if missing:
        raise DatabaseError(
            f"the account {server.grants.account} may not read binary logs: it lacks {' and '.join(missing)}",
            hint=f"as an administrator: {server.grants.statement(missing)}",
        )


def _previous(connection: Connection, name: str) -> GtidSet:
    found = rows(connection, "SHOW BINLOG EVENTS IN %s LIMIT 2", name)
    texts = [str(row[5]) for row in found if row[2] == "Previous_gtids"]
    return GtidSet.parse(texts[0]) if texts else GtidSet()

"""What the tests of restores to a moment share whose writes are made one by one: server, database and restore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.backup_case import Case, ignore
from tests.integration.binlog_case import REPLICATION
from tests.testbed.mysql import MysqlServer
from wbagent.config.dsn import MysqlURL
from wbagent.restore.history import NOTHING_KNOWN, Known
from wbagent.restore.point_in_time import PointInTime, RolledForward
from wbagent.restore.until import Until, microseconds_of


@contextmanager
def started() -> Iterator[MysqlServer]:
    """A server, with an administrator who may restore on it."""
    with MysqlServer() as running:
        running.create("unused", "admin", "password")
        running.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield running


@contextmanager
def shipped_database(server: MysqlServer) -> Iterator[MysqlURL]:
    """The database "original", by the account that ships its binary logs; a "copy" of it goes with it."""
    made = server.create("original", "shipper", "password")
    server.execute(f"GRANT {REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE ON *.* TO shipper@'%'")
    server.execute("CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200))", database="original")
    server.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(200))", database="original")
    yield made
    for name in ("original", "copy"):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute("DROP USER shipper@'%'")


def restore(case: Case, target: MysqlURL, until: Until, known: Known = NOTHING_KNOWN) -> RolledForward:
    way = PointInTime(case.store, case.settings.backup, until, None, ignore)
    return way.restore(target, known=known)


def known_at(moment: float) -> Known:
    """What a host knows that has stored everything until then (seconds since the epoch)."""
    return Known(microseconds_of(moment))


def state(server: MysqlServer, database: str) -> list[object]:
    return [
        *server.execute("SELECT * FROM one ORDER BY id", database=database),
        *server.execute("SELECT * FROM two ORDER BY id", database=database),
    ]

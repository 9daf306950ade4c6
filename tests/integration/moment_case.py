"""What the tests of restores to a moment share: writers that go on, and the state of a moment that nobody writes in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pymysql

from tests.integration.binlog_case import executed
from tests.testbed.mysql import MysqlServer
from wbagent.binlog.gtid import GtidSet
from wbagent.restore.until import Until, parse_until

DATABASE = "original"


def make_tables(server: MysqlServer) -> None:
    """Two tables that always agree, and the number of transactions that wrote to them."""
    server.execute("CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200))", database=DATABASE)
    server.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(200))", database=DATABASE)
    server.execute("CREATE TABLE counter (who INT PRIMARY KEY, n INT)", database=DATABASE)
    server.execute("INSERT INTO counter VALUES (1, 0), (2, 0)", database=DATABASE)


@contextmanager
def writers(server: MysqlServer) -> Iterator[None]:
    """Two sessions that write the same rows into both tables and count, each time in one transaction."""
    stop = threading.Event()

    def write(seed: int) -> None:
        # Each changes rows of its own alone: no deadlocks.
        own = 0
        with server.connect(DATABASE) as connection, connection.cursor() as cursor:
            if seed == 2:
                # The other ways that the server can log: compressed, and under a tag.
                cursor.execute("SET SESSION binlog_transaction_compression = ON, gtid_next = 'AUTOMATIC:tag'")
            while not stop.is_set():
                cursor.execute("BEGIN")
                if own:
                    cursor.execute("UPDATE one SET v = CONCAT(v, '!') WHERE id = %s", (own,))
                    cursor.execute("UPDATE two SET v = CONCAT(v, '!') WHERE id = %s", (own,))
                cursor.execute("INSERT INTO one (v) VALUES (CONCAT(%s, '-', RAND(), '-ü€'))", (seed,))
                own = int(cursor.lastrowid or 0)
                cursor.execute("INSERT INTO two VALUES (%s, %s)", (own, f"{seed} ü€"))
                cursor.execute("UPDATE counter SET n = n + 1 WHERE who = %s", (seed,))
                cursor.execute("COMMIT")

    threads = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def written(server: MysqlServer, count: int) -> None:
    """Wait until the writers have made so many more rows."""
    deadline = time.monotonic() + 60
    before = newest(server)
    while newest(server) < before + count:
        assert time.monotonic() < deadline, "the writers have stopped"
        time.sleep(0.01)


def newest(server: MysqlServer) -> int:
    return int(server.execute(f"SELECT COALESCE(MAX(id), 0) FROM {DATABASE}.one")[0][0])


@dataclass(frozen=True)
class Seen:
    """What a server held at a moment (seconds since the epoch)."""

    moment: float
    rows: list[object]
    executed: GtidSet


def look(server: MysqlServer) -> Seen:
    """The state of a moment in which nobody can commit."""
    with server.connect(DATABASE) as locking, locking.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        seen = Seen(time.time(), state(server, DATABASE), executed(server))
        # Times of commits have microseconds, and the next one is to be later.
        time.sleep(0.002)
    return seen


def state(server: MysqlServer, database: str) -> list[object]:
    with server.connect(database) as connection:
        return rows_of(connection)


def rows_of(connection: pymysql.Connection) -> list[object]:
    """All rows, after the two tables and the counter were seen to agree."""
    found = []
    with connection.cursor() as cursor:
        for name in ("one", "two", "counter"):
            cursor.execute(f"SELECT * FROM {name} ORDER BY 1")
            found.append(list(cursor.fetchall()))
    one, two, counter = found
    assert [row[0] for row in one] == [row[0] for row in two]
    assert sum(row[1] for row in counter) == len(one)
    return [*one, *two, *counter]


def at(moment: float) -> Until:
    return parse_until(datetime.fromtimestamp(moment, UTC).isoformat(), None)

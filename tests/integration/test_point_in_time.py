"""A restore to a moment gives exactly the state of that moment, though writers went on, or says why it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, ignore
from tests.integration.binlog_case import REPLICATION, executed, shipping, shipping_case
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.restore.point_in_time import PointInTime, RolledForward
from wbagent.restore.until import Until, parse_until


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with MysqlServer() as running:
        running.create("unused", "admin", "password")
        running.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    made = server.create("original", "shipper", "password")
    server.execute(f"GRANT {REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE ON *.* TO shipper@'%'")
    server.execute("CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200))", database="original")
    server.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(200))", database="original")
    server.execute("CREATE TABLE moments (id INT PRIMARY KEY AUTO_INCREMENT, at DOUBLE)", database="original")
    yield made
    for name in ("original", "copy"):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute("DROP USER shipper@'%'")


@pytest.fixture
def target(server: MysqlServer) -> MysqlURL:
    return server.url("admin", "copy")


def restore(case: Case, target: MysqlURL, until: Until, known_until: float = 0.0) -> RolledForward:
    return PointInTime(case.store, case.settings.backup, until, ignore).restore(target, known_until=known_until)


@contextmanager
def writers(server: MysqlServer) -> Iterator[None]:
    """Two sessions that write the same rows into both tables, each pair in one transaction."""
    stop = threading.Event()

    def write(seed: int) -> None:
        # Each changes rows of its own alone: no deadlocks.
        own = 0
        with server.connect("original") as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("BEGIN")
                if own:
                    cursor.execute("UPDATE one SET v = CONCAT(v, '!') WHERE id = %s", (own,))
                    cursor.execute("UPDATE two SET v = CONCAT(v, '!') WHERE id = %s", (own,))
                cursor.execute("INSERT INTO one (v) VALUES (CONCAT(%s, '-', RAND(), '-ü€'))", (seed,))
                own = int(cursor.lastrowid or 0)
                cursor.execute("INSERT INTO two VALUES (%s, %s)", (own, f"{seed} ü€"))
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


def at(moment: float) -> Until:
    return parse_until(datetime.fromtimestamp(moment, UTC).isoformat(), None)


def written(server: MysqlServer, count: int) -> None:
    """Wait until the writers have made so many more rows."""
    deadline = time.monotonic() + 60
    before = newest(server)
    while newest(server) < before + count:
        assert time.monotonic() < deadline, "the writers have stopped"
        time.sleep(0.01)


def newest(server: MysqlServer) -> int:
    return int(server.execute("SELECT COALESCE(MAX(id), 0) FROM original.one")[0][0])


def test_state_of_the_moment_with_writers_running(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host, writers(server):
        written(server, 20)
        host.until_stored(executed(server))
        case.run()
        written(server, 50)
        server.execute("ALTER TABLE one ADD COLUMN w INT DEFAULT 7, ADD INDEX (v)", database="original")
        server.execute("FLUSH BINARY LOGS")
        written(server, 50)
        # A lock lets nobody commit: what is seen while it is held is the state of this moment.
        with server.connect("original") as locking, locking.cursor() as cursor:
            cursor.execute("FLUSH TABLES WITH READ LOCK")
            moment = time.time()
            expected = state(server, "original")
            time.sleep(0.002)
        written(server, 50)
        server.execute("FLUSH BINARY LOGS")
        host.until_stored(executed(server))
    done = restore(case, target, at(moment))
    assert state(server, "copy") == expected
    assert done.survey.count > 100
    assert done.survey.last
    assert done.survey.last.committed_at <= moment * 1e6


def state(server: MysqlServer, database: str) -> list[object]:
    return [
        *server.execute("SELECT * FROM one ORDER BY id", database=database),
        *server.execute("SELECT * FROM two ORDER BY id", database=database),
    ]


def test_before_the_transaction_that_dropped_a_table(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('before')", database="original")
        before = executed(server)
        server.execute("DROP TABLE one", database="original")
        (dropped,) = str(executed(server) - before).split(",")
        server.execute("INSERT INTO two VALUES (1, 'after')", database="original")
        host.until_stored(executed(server))
    into = tmp_path / "into"
    into.write_text(str(target))
    done = case.command("restore", "--before-gtid", dropped, "--into", f"@{into}")
    assert done.returncode == 0, done.stderr
    assert "1 transactions applied" in done.stdout
    assert server.execute("SELECT v FROM copy.one") == [("before",)]
    assert server.execute("SELECT v FROM copy.two") == []
    assert server.execute("SHOW TABLES", database="original") == [("moments",), ("two",)]

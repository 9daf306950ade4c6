"""The load of a real MySQL and the lag of a real replica: exhausted, blocked, deadlocked, stopped, killed."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from tests.integration.conftest import require
from tests.sayable import check
from tests.testbed.mysql import MysqlServer
from tests.testbed.rootfs import MYSQL
from wbagent.alerts.condition import Condition
from wbagent.alerts.mysql_load import CONNECTIONS, DEADLOCKS, FSYNC, HISTORY, TRANSACTION, UNSEEN, MysqlWatch
from wbagent.alerts.replication import LAG, STANDBY, STOPPED, ReplicationWatch
from wbagent.alerts.watch import Seen
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.moment import Moment
from wbagent.monitor.reach import Reach, cut_off

# Small and quick: what is watched is no data.
_SMALL = {
    "innodb_buffer_pool_size": "32M",
    "max_connections": "12",
    "innodb_rollback_segments": "8",
    "default_time_zone": "+05:00",
}


@pytest.fixture(scope="module")
def primary() -> Iterator[MysqlServer]:
    require(MYSQL)
    with MysqlServer(settings=_SMALL) as server:
        server.create("wandb_local", "wandb_local", "own")
        server.create("unused", "watcher", "secret")
        server.execute("GRANT PROCESS, SELECT ON *.* TO 'watcher'@'%'")
        server.execute("CREATE TABLE pair (id INT PRIMARY KEY, n INT)", database="wandb_local")
        server.execute("INSERT INTO pair VALUES (1, 0), (2, 0)", database="wandb_local")
        yield server


@pytest.fixture
def watcher(primary: MysqlServer) -> MysqlURL:
    return primary.url("watcher", "wandb_local")


def settings(url: MysqlURL, standby: MysqlURL | None = None) -> Settings:
    sections: dict[str, Any] = {"database": {"url": str(url)}}
    if standby:
        sections["standby"] = {"url": str(standby)}
    return Settings.model_validate(sections)


def conditions(seen: Seen) -> dict[str, Condition]:
    return {condition.kind: check(condition) for condition in seen.conditions}


def look(url: MysqlURL) -> dict[str, Condition]:
    return conditions(MysqlWatch(Reach()).look(settings(url), Moment.now()))


@contextmanager
def session(server: MysqlServer) -> Iterator[pymysql.cursors.Cursor]:
    """A session of root in the database, in a transaction of its own."""
    with closing(server.connect("wandb_local")) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        yield cursor


def test_a_quiet_server(watcher: MysqlURL) -> None:
    watch = MysqlWatch(Reach())
    first = conditions(watch.look(settings(watcher), Moment.now()))
    assert set(first) == {CONNECTIONS, TRANSACTION, HISTORY, DEADLOCKS, FSYNC, UNSEEN}
    # One look alone has no mean of what was between two.
    assert first[FSYNC].value is None
    assert [first[kind].value for kind in (CONNECTIONS, TRANSACTION, DEADLOCKS, UNSEEN)] == [0.0] * 4
    assert first[HISTORY].value is not None


def test_exhausted_connections(primary: MysqlServer, watcher: MysqlURL) -> None:
    with ExitStack() as held:
        for _ in range(11):
            held.enter_context(closing(primary.connect()))
        found = look(watcher)[CONNECTIONS]
        assert found.value == pytest.approx(100 * 11 / 12)
        assert (found.facts["used"], found.facts["most"]) == (11, 12)
        held.enter_context(closing(primary.connect()))
        reach = Reach()
        refused = MysqlWatch(reach).look(settings(watcher), Moment.now()).conditions
    assert [(condition.kind, condition.value) for condition in refused] == [(CONNECTIONS, None)]
    assert "Too many connections" in refused[0].no_data


def transactions(server: MysqlServer) -> Sequence[tuple[Any, ...]]:
    """Connection and "began before this second" of each open transaction.

    MySQL makes this table anew only when nobody has read it for a tenth of a second: asked faster it stays as it was.
    """
    time.sleep(0.15)
    return server.execute("SELECT trx_mysql_thread_id, trx_started < NOW() FROM information_schema.innodb_trx")


def test_an_old_transaction_counts_and_a_dump_does_not(primary: MysqlServer, watcher: MysqlURL) -> None:
    with session(primary) as cursor:
        cursor.execute("UPDATE pair SET n = n + 1 WHERE id = 1")
        begun = time.monotonic()
        wait_for(lambda: bool(transactions(primary)))
        [(connection, _)] = transactions(primary)
        wait_for(lambda: (look(watcher)[TRANSACTION].value or 0.0) >= 1.0)
        found = look(watcher)[TRANSACTION]
        assert 1.0 <= (found.value or 0.0) <= time.monotonic() - begun + 1.0
        assert found.facts["connection"] == connection
    socket = str(primary.socket)
    dump = pymysql.connect(unix_socket=socket, user="root", database="wandb_local", program_name="mysqldump")
    with closing(dump), dump.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT * FROM pair")
        wait_for(lambda: [started for _, started in transactions(primary)] == [1])
        assert look(watcher)[TRANSACTION].value == 0.0


def test_a_deadlock_is_counted_once(primary: MysqlServer, watcher: MysqlURL) -> None:
    watch = MysqlWatch(Reach())
    assert conditions(watch.look(settings(watcher), Moment.now()))[DEADLOCKS].value == 0.0
    with session(primary) as one, session(primary) as other:
        one.execute("UPDATE pair SET n = n + 1 WHERE id = 1")
        other.execute("UPDATE pair SET n = n + 1 WHERE id = 2")
        broken: list[int] = []

        def update(cursor: pymysql.cursors.Cursor, number: int) -> None:
            try:
                cursor.execute("UPDATE pair SET n = n + 1 WHERE id = %s", (number,))
            except pymysql.err.OperationalError as error:
                broken.append(error.args[0])

        threads = [threading.Thread(target=update, args=each) for each in ((one, 2), (other, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert broken == [1213]
    for _ in range(2):
        assert conditions(watch.look(settings(watcher), Moment.now()))[DEADLOCKS].value == 1.0


def test_fsyncs_have_a_mean_that_commits_bear_out(primary: MysqlServer, watcher: MysqlURL) -> None:
    watch = MysqlWatch(Reach())
    watch.look(settings(watcher), Moment.now())
    begun = time.monotonic()
    for _ in range(15):
        primary.execute("UPDATE pair SET n = n + 1 WHERE id = 1", database="wandb_local")
    each = (time.monotonic() - begun) / 15
    seen = watch.look(settings(watcher), Moment.now())
    mean = conditions(seen)[FSYNC].value
    assert mean is not None
    assert 0.0 < mean < each
    assert "wbagent_mysql_fsync_seconds" in {sample.name for sample in seen.samples}


def test_a_disk_that_takes_long_is_told(primary: MysqlServer, watcher: MysqlURL) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace to slow fsyncs down")
    watch = MysqlWatch(Reach())
    update = "UPDATE pair SET n = n + 1 WHERE id = 1"
    slow = "inject=fsync,fdatasync:delay_enter=150000"
    trace = ["strace", "-f", "-qqq", "-e", "trace=fsync,fdatasync", "-e", slow, "-p", str(primary.pid)]
    with subprocess.Popen(trace, stderr=subprocess.DEVNULL) as strace:
        try:
            wait_for(lambda: taken(lambda: primary.execute(update, database="wandb_local")) >= 0.15)
            watch.look(settings(watcher), Moment.now())
            for _ in range(6):
                primary.execute(update, database="wandb_local")
        finally:
            strace.terminate()
    found = conditions(watch.look(settings(watcher), Moment.now()))[FSYNC]
    assert (found.value or 0.0) >= 0.1
    assert found.above == 0.1


def test_what_the_account_may_not_see_is_told_once_and_the_rest_is_watched(primary: MysqlServer) -> None:
    found = look(primary.url("wandb_local", "wandb_local"))
    assert set(found) == {CONNECTIONS, UNSEEN}
    assert found[UNSEEN].value == 1.0
    assert found[UNSEEN].facts["missing"] == "SELECT, PROCESS"
    assert "GRANT PROCESS ON *.* TO 'wandb_local'@'%'" in str(found[UNSEEN].facts["grants"])
    primary.execute("CREATE USER half@'%' IDENTIFIED BY 'half'")
    primary.execute("GRANT PROCESS ON *.* TO half@'%'")
    half = replace(primary.url("watcher", "wandb_local"), user="half", password="half")
    assert set(look(half)) == {CONNECTIONS, UNSEEN, TRANSACTION, HISTORY, DEADLOCKS}


def test_a_replica_that_follows_stops_breaks_and_dies(primary: MysqlServer, watcher: MysqlURL) -> None:
    primary.execute("CREATE USER repl@'%' IDENTIFIED BY 'repl'")
    primary.execute("GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
    with MysqlServer(settings=_SMALL) as replica:
        watching = replica.create("wandb_watch", "standby", "standby")
        # What the standby made for itself is none of the primary's.
        replica.execute("RESET BINARY LOGS AND GTIDS")
        with_url = settings(watcher, watching)
        watch, reach = ReplicationWatch(Reach()), Reach()

        def found() -> dict[str, Condition]:
            return conditions(watch.look(with_url, Moment.now()))

        blind = found()
        assert blind[STOPPED].value is None
        assert "GRANT REPLICATION CLIENT ON *.* TO 'standby'@'%'" in blind[STOPPED].no_data
        assert blind[LAG].value is None
        with closing(replica.connect()) as root, root.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute("GRANT REPLICATION CLIENT ON *.* TO standby@'%'")
            assert found()[STOPPED].facts["what"] == "it is no replica of any server."
            cursor.execute(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = 'repl',"
                " SOURCE_PASSWORD = 'repl', SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1,"
                " GET_SOURCE_PUBLIC_KEY = 1",
                (primary.address, primary.port),
            )
            cursor.execute("START REPLICA")
            wait_for(lambda: found()[LAG].value == 0.0)
            assert (found()[STOPPED].value, found()[STANDBY].value) == (0.0, 0.0)

            # The receiver stands still: MySQL itself would say NULL now.
            cursor.execute("STOP REPLICA IO_THREAD")
            begun = time.monotonic()
            primary.execute("INSERT INTO pair VALUES (3, 0)", database="wandb_local")
            assert found()[LAG].value == 0.0
            wait_for(lambda: (found()[LAG].value or 0.0) >= 1.0)
            assert (found()[LAG].value or 0.0) <= time.monotonic() - begun
            stopped = found()[STOPPED]
            assert (stopped.value, stopped.facts["what"]) == (1.0, "it fetches nothing from the database (IO thread).")
            # An agent that began just now does not know how long this has been so, and does not call it over.
            fresh = ReplicationWatch(Reach())
            assert conditions(fresh.look(with_url, Moment.now()))[LAG].value is None
            cursor.execute("START REPLICA IO_THREAD")
            wait_for(lambda: found()[LAG].value == 0.0)

            # The applier breaks: a row is there that should not be.
            cursor.execute("INSERT INTO wandb_local.pair VALUES (4, 0)")
            primary.execute("INSERT INTO pair VALUES (4, 0)", database="wandb_local")
            wait_for(lambda: found()[STOPPED].value == 1.0)
            broken = found()[STOPPED]
            assert str(broken.facts["what"]).startswith("it applies nothing")
            assert str(broken.facts["reason"]).startswith("Worker 1 failed executing transaction")
            assert "See error log" not in str(broken.facts["reason"])
        replica.kill()
        watch = ReplicationWatch(reach)
        dead = found()
        assert (dead[STANDBY].value, dead[STOPPED].value, dead[LAG].value) == (1.0, None, None)
        assert "refused" in str(dead[STANDBY].facts["reason"])
        assert not cut_off(reach.found(Moment.now()))


def taken(work: Callable[[], object]) -> float:
    """How many seconds it took."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def wait_for(true: Callable[[], bool]) -> None:
    """Ask again and again: neither replication nor the clock announces itself."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_server_is_no_data_of_its_load(primary: MysqlServer, watcher: MysqlURL) -> None:
    """Last: the others share this server."""
    primary.kill()
    [found] = look(watcher).values()
    assert (found.kind, found.value, found.because_of) == (CONNECTIONS, None, ("database-away",))
    assert "refused" in found.no_data
    primary.start()
    assert look(watcher)[CONNECTIONS].value == 0.0

"""From a backup of any engine, made under writers, to a moment: as a database, and as a data directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pymysql
import pytest

from tests.integration.backup_case import Case, Once, ignore, killed_while
from tests.integration.binlog_case import REPLICATION, executed, replicate, shipping, shipping_case, wait_for
from tests.integration.moment_case import DATABASE, Seen, at, look, make_tables, rows_of, state, writers, written
from tests.testbed.cache import remove_tree
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.scratch import scratch
from wbagent.binlog.gtid import GtidSet
from wbagent.database.instance import Instance
from wbagent.database.mysqld import find_mysqld
from wbagent.database.process import Account
from wbagent.drill.job import Order, run_drill
from wbagent.restore.datadir import UNFINISHED
from wbagent.restore.point_in_time import PointInTime, RolledForward

NOBODY = Account(65534, 65534)
ENGINES = ["mysqldump", "clone", pytest.param("mydumper", marks=pytest.mark.mydumper)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clones")


@pytest.fixture(scope="module")
def server(shared: Path) -> Iterator[MysqlServer]:
    with MysqlServer(settings={"plugin_load_add": "mysql_clone.so"}, shared=shared) as running:
        running.create("unused", "admin", "password")
        running.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield running


@dataclass(frozen=True)
class Past:
    """A host whose backup was made under writers, and the moment after it that is wanted back."""

    case: Case
    seen: Seen

    def way(self, report: object = ignore) -> PointInTime:
        assert callable(report)
        return PointInTime(self.case.store, self.case.settings.backup, at(self.seen.moment), None, report)


@contextmanager
def made(
    server: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph, shared: Path, engine: str
) -> Iterator[Past]:
    url = server.create(DATABASE, "shipper", "password")
    rights = f"{REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE, BACKUP_ADMIN"
    server.execute(f"GRANT {rights} ON *.* TO shipper@'%'")
    make_tables(server)
    bucket = f"moment-{engine}"
    ceph.create_bucket(bucket)
    with scratch("moment") as directory:
        case = shipping_case(
            directory / "host1",
            url,
            clients,
            ceph.url(bucket, "p"),
            backup={
                "engine": engine,
                "clone_directory": str(shared),
                "mydumper": os.environ.get("WBAGENT_MYDUMPER", ""),
                "myloader": os.environ.get("WBAGENT_MYLOADER", ""),
                "drill": {"mysqld": str(mysqld)},
            },
        )
        for path in (directory, case.state_directory):
            os.chown(path, NOBODY.uid, NOBODY.gid)
        with shipping(case) as host, writers(server):
            host.until_stored(executed(server))
            written(server, 20)
            assert case.run().manifest.engine == engine
            written(server, 50)
            server.execute("CREATE DATABASE beside")
            server.execute("CREATE USER later@'%' IDENTIFIED BY 'password'")
            server.execute("GRANT SELECT ON beside.* TO later@'%'")
            server.execute("ALTER TABLE one ADD COLUMN w INT DEFAULT 7, ADD INDEX (v)", database=DATABASE)
            server.execute("FLUSH BINARY LOGS")
            written(server, 50)
            seen = look(server)
            written(server, 50)
            server.execute("FLUSH BINARY LOGS")
            host.until_stored(executed(server))
        with case.state() as noted:
            # Only the drill knows what exactly a clone holds.
            assert run_drill(case.settings, noted, case.state_directory, ignore, Order(""))
        yield Past(case, seen)
    for name in (DATABASE, "beside", "copy"):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    for user in ("shipper", "later"):
        server.execute(f"DROP USER {user}@'%'")


@pytest.fixture(scope="module", params=ENGINES)
def past(
    request: pytest.FixtureRequest,
    server: MysqlServer,
    clients: ClientPrograms,
    mysqld: Path,
    ceph: Ceph,
    shared: Path,
) -> Iterator[Past]:
    with made(server, clients, mysqld, ceph, shared, request.param) as host:
        yield host


@pytest.fixture
def data(past: Past) -> Iterator[Path]:
    """An empty directory that belongs to who is to run MySQL."""
    directory = past.case.directory / "data"
    directory.mkdir()
    os.chown(directory, NOBODY.uid, NOBODY.gid)
    yield directory
    remove_tree(directory)


def restore(past: Past, target: object, report: object = ignore) -> RolledForward:
    return past.way(report).restore(target)  # type: ignore[arg-type] # a MysqlURL or a Path


def test_into_a_database(past: Past, server: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(past.case.state_directory))
    done = restore(past, server.url("admin", "copy"))
    assert state(server, "copy") == past.seen.rows
    assert server.execute("SHOW TABLES LIKE 'wbagent%'", database="copy") == []
    assert done.survey.last
    assert done.survey.last.committed_at <= past.seen.moment * 1e6


def test_as_a_data_directory(past: Past, data: Path, mysqld: Path, server: MysqlServer) -> None:
    done = restore(past, data)
    assert not (data / UNFINISHED).exists()
    clone = done.restored.manifest.engine == "clone"
    assert GtidSet.parse(done.restored.gtid_executed) == (past.seen.executed if clone else GtidSet())
    with Instance(find_mysqld(str(mysqld)), data, account=NOBODY, trusted=clone) as again:
        socket = str(again.socket)
        with pymysql.connect(unix_socket=socket, user="root", database=DATABASE, charset="utf8mb4") as connection:
            assert rows_of(connection) == past.seen.rows
    if clone:
        # The whole server came along, so it can follow the one that it is a copy of.
        with MysqlServer(data=data) as follower:
            assert follower.execute("SHOW GRANTS FOR later@'%'") == server.execute("SHOW GRANTS FOR later@'%'")
            assert executed(follower) == past.seen.executed
            replicate(server, follower, anew=False)
            wait_for(follower, server)
            assert state(follower, DATABASE) == state(server, DATABASE)


def test_interrupted_roll_forward_stays_marked_and_begins_anew(past: Past, data: Path, server: MysqlServer) -> None:
    moment, stage = ["--at", str(at(past.seen.moment))], "applying binary logs"
    match past.case.settings.backup.engine:
        case "clone":
            children = killed_while(past.case, stage, "restore", *moment, "--datadir", str(data))
            assert psutil.wait_procs(children, timeout=30)[1] == [], "mysqld ends with who started it"
            assert [path.name for path in data.iterdir()] == [UNFINISHED], "no mysqld starts on that"

            def interrupt() -> None:
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                restore(past, data, Once(stage, interrupt, True))
            assert list(data.iterdir()) == []
        case "mysqldump":
            into = past.case.directory / "into"
            into.write_text(str(server.url("admin", "interrupted")))
            killed_while(past.case, stage, "restore", *moment, "--into", f"@{into}")
            assert server.execute("SHOW TABLES LIKE 'wbagent%'", database="interrupted") != []
            again = past.case.command("restore", *moment, "--into", f"@{into}")
            assert again.returncode == 0, again.stderr
            assert state(server, "interrupted") == past.seen.rows
            server.execute("DROP DATABASE interrupted")

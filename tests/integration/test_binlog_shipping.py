"""Binary logs of a real server reach a real store byte for byte, whatever is killed, cut, full or gone meanwhile."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, over_store
from tests.integration.binlog_case import (
    REPLICATION,
    assert_whole,
    content,
    executed,
    on_server,
    replicate,
    shipping,
    shipping_case,
    unit,
    wait_for,
    write,
)
from tests.testbed.ceph import Ceph
from tests.testbed.memory_disk import memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from wbagent.binlog import joining
from wbagent.binlog import service as service_module
from wbagent.binlog.catalog import read_catalog
from wbagent.binlog.layout import RECORD, binlogs_prefix
from wbagent.binlog.retention import sweep
from wbagent.config.dsn import S3URL, MysqlURL


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with MysqlServer() as running:
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    """An account that may read binary logs, a table to write to, and a file of binary logs of this test's own."""
    made = server.create("shipped", "shipper", "pass/word+with:all@of#it%")
    server.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%'")
    server.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)", database="shipped")
    server.execute("FLUSH BINARY LOGS")
    yield made
    server.execute("DROP DATABASE shipped")
    server.execute("DROP USER shipper@'%'")


@pytest.fixture
def case(tmp_path: Path, url: MysqlURL, clients: ClientPrograms, bucket: S3URL) -> Case:
    return shipping_case(tmp_path, url, clients, bucket)


def over(link: Proxy, url: MysqlURL) -> MysqlURL:
    return replace(url, host=link.address, port=link.port)


def test_files_are_stored_byte_for_byte_over_rotations_and_restarts(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        write(server, 20)
        host.until_stored(executed(server))
        write(server, 20, 200_000)
        server.execute("FLUSH BINARY LOGS")
        write(server, 3)
        host.until_stored(executed(server))
        host.until(lambda: not host.service.report.behind, "not behind")
        assert host.service.report.lag(host.service.report.noted_at) == 0
        assert len(host.service._spool.files()) == 1, "what is shipped is removed"
    write(server, 5)
    with shipping(case) as host:
        host.until_stored(executed(server))
        reading = host.service._spool.reading()
        assert reading
        assert reading.position > 4, "it goes on in the midst of the file"
        assert_whole(host, server)


def test_small_pieces_are_joined(case: Case, server: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Five minutes in real life.
    monkeypatch.setattr(joining, "MOST_PIECES", 4)
    with shipping(case) as host:
        for _ in range(10):
            write(server, 1)
            host.until_stored(executed(server))
        before = host.stored()
        pieces = len(host.catalog()[-1].pieces)
        assert pieces <= 5
        assert_whole(host, server)
        owner = case.settings.backup.owner
        many = len(list(case.store.entries(binlogs_prefix(owner))))
        assert sweep(case.store, owner, time.time() + 2 * 86400) >= 8
        assert len(list(case.store.entries(binlogs_prefix(owner)))) <= many - 16
        assert before <= host.stored()
        assert_whole(host, server)


def test_killed_at_any_point(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL
) -> None:
    """SIGKILL after so many bytes went to the store: between a piece and its record, within a piece, before any."""
    chance = random.Random(4)
    with Proxy((ceph.address, ceph.port)) as link:
        case = shipping_case(tmp_path, url, clients, over_store(link, bucket))
        for _ in range(3):
            write(server, 20, 20_000)
            link.stall_after(chance.randrange(2_000, 40_000))
            with unit(case):
                link.wait_for_sent(2_000, 60)
                write(server, 10, 20_000)
                time.sleep(chance.random() / 10)
        link.pass_on()
        with shipping(case) as host:
            assert_whole(host, server)
            assert not host.service.report.gap


def test_mysqlbinlog_killed(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        host.until(lambda: host.service._reader is not None, "reading")
        for _ in range(2):
            write(server, 5, 20_000)
            reader = host.service._reader
            assert reader
            os.kill(reader.pid, signal.SIGKILL)
            host.until(lambda: "killed by signal 9" in host.service.report.problem, "told")
            host.until(lambda: host.service._reader is not None, "started again")
        assert_whole(host, server)
        assert host.service.report.problem == ""


def test_link_to_mysql_cut_refused_and_silent(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Half a minute in real life.
    monkeypatch.setattr(service_module, "_STALLED_S", 1.0)
    with Proxy((server.address, server.port)) as link:
        case = shipping_case(tmp_path, over(link, url), clients, bucket)
        with shipping(case) as host:
            write(server, 5)
            host.until_stored(executed(server))
            link.refuse()
            write(server, 5)
            host.until(lambda: bool(host.service.report.problem), "told")
            assert host.service.report.behind
            link.pass_on()
            host.until_stored(executed(server))
            # Only the reader's connection goes silent; those that come later work, as behind some firewalls.
            reader = host.service._reader
            assert reader
            os.kill(reader.pid, signal.SIGSTOP)
            write(server, 5)
            host.until_stored(executed(server))
            assert_whole(host, server)


def test_store_away_and_the_spool_full(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL
) -> None:
    with Proxy((ceph.address, ceph.port)) as link:
        case = shipping_case(tmp_path, url, clients, over_store(link, bucket), spool_limit="16M")
        with shipping(case) as host:
            write(server, 5)
            host.until_stored(executed(server))
            covered = host.service.report.covered_at
            link.refuse()
            write(server, 30, 1_000_000)
            host.until(lambda: host.service._reader is None, "reading waits while the spool is full")
            assert host.service._spool.size() < 40 << 20
            report = host.service.report
            assert report.problem
            assert report.behind
            assert report.lag(covered + 100) >= 99
            link.pass_on()
            host.until_stored(executed(server))
            assert_whole(host, server)


@pytest.mark.parametrize("status", [403, 503])
def test_store_refuses(case: Case, server: MysqlServer, ceph: Ceph, bucket: S3URL, status: int) -> None:
    with shipping(case) as host:
        write(server, 5)
        host.until_stored(executed(server))
        with refusing(ceph, bucket, status):
            write(server, 5)
            host.until(lambda: bool(host.service.report.problem), "told")
            assert ("UserSuspended" if status == 403 else "SlowDown") in host.service.report.problem
        host.until_stored(executed(server))
        assert_whole(host, server)


@contextmanager
def refusing(ceph: Ceph, bucket: S3URL, status: int) -> Iterator[None]:
    """Ceph suspends the user (403), or lets it make one write a minute (503 SlowDown)."""
    if status == 403:
        ceph.administer("user", "suspend", "--uid", "wandb")
    else:
        scope = ("--ratelimit-scope=bucket", f"--bucket={bucket.bucket}")
        ceph.administer("ratelimit", "set", *scope, "--max-write-ops=1", "--max-read-ops=1")
        ceph.administer("ratelimit", "enable", *scope)
    try:
        yield
    finally:
        if status == 403:
            ceph.administer("user", "enable", "--uid", "wandb")
        else:
            ceph.administer("ratelimit", "disable", *scope)


def test_disk_of_the_spool_is_full(case: Case, server: MysqlServer) -> None:
    with memory_disk(case.state_directory / "binlog", "2M"), shipping(case) as host:
        write(server, 30, 200_000)
        host.until_stored(executed(server))
        assert_whole(host, server)


def test_server_killed_and_started(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        write(server, 5)
        host.until_stored(executed(server))
        write(server, 5)
        server.kill()
        host.until(lambda: bool(host.service.report.problem), "told")
        server.start()
        write(server, 5)
        host.until_stored(executed(server))
        assert_whole(host, server)
        assert not host.service.report.gap


def test_files_purged_before_they_were_stored(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        write(server, 5)
        host.until_stored(executed(server))
        host.until(lambda: len(host.backups) == 1, "there is no backup yet")
    write(server, 5)
    server.execute("FLUSH BINARY LOGS")
    write(server, 5)
    ((newest, *_),) = server.execute("SHOW BINARY LOGS")[-1:]
    server.execute("PURGE BINARY LOGS TO %s", newest)
    with shipping(case) as host:
        host.until(lambda: bool(host.service.report.gap), "the gap is seen")
        assert "no longer in the server's binary logs" in host.service.report.gap
        host.until(lambda: len(host.backups) == 1, "a backup is started")
        write(server, 5)
        host.until(lambda: not host.service.report.behind, "it goes on behind the gap")
        assert not executed(server) <= host.stored() | host.catalog()[0].mark.previous


def test_transactions_that_no_binary_log_will_ever_name(case: Case, server: MysqlServer) -> None:
    """As a loaded dump leaves them with SET gtid_purged: a gap, and what follows it can be stored whole."""
    with shipping(case) as host:
        write(server, 5)
        host.until_stored(executed(server))
        foreign = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"
        server.execute("SET GLOBAL gtid_purged = %s", f"+{foreign}")
        host.until(lambda: foreign in host.service.report.gap, "the gap is seen")
        for _ in range(2):
            write(server, 2)
            host.until(lambda: executed(server) <= host.shipped(), "everything is stored")
            server.execute("FLUSH BINARY LOGS")
        assert_whole(host, server)
        gap_at = host.service.report.gap_at
    with shipping(case) as host:
        write(server, 2)
        host.until(lambda: executed(server) <= host.shipped(), "everything is stored")
        assert host.service.report.gap_at == gap_at, "told once"


def test_history_that_began_anew(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        write(server, 5)
        host.until_stored(executed(server))
        before = host.stored()
        server.execute("RESET BINARY LOGS AND GTIDS")
        write(server, 2)
        host.until(lambda: "are not on this server" in host.service.report.gap, "the gap is seen")
        host.until(lambda: not host.service.report.behind, "it goes on")
        assert before <= host.stored(), "what was stored stays"
        # Files of one second are in no order of their own.
        newest = max((file for file in host.catalog() if file.id.name == "binlog.000001"), key=lambda file: file.id)
        assert content(case, newest) == on_server(server, newest)


def test_a_record_that_was_damaged_in_the_bucket(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """What it is of is read from the server once more, and all goes on."""
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        for _ in range(2):
            write(server, 3)
            host.until_stored(executed(server))
    (*_, newest) = read_catalog(case.store, case.settings.backup.owner)
    key = newest.pieces[-1].stem(newest.id, case.settings.backup.owner) + RECORD
    case.store.put(key, b"".join(case.store.get(key))[:-3])
    with shipping(case) as host:
        write(server, 2)
        host.until(lambda: executed(server) <= host.shipped(), "everything is stored")
        assert not host.service.report.gap
        (*_, newest) = host.catalog()
        assert content(case, newest) == on_server(server, newest)[: newest.mark.end]


def test_failover_to_another_server(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    with MysqlServer() as replica, Proxy((server.address, server.port)) as name:
        replica.create("shipped", "shipper", "pass/word+with:all@of#it%")
        replica.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%'")
        replica.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)", database="shipped")
        replicate(server, replica)
        case = shipping_case(tmp_path, over(name, url), clients, bucket)
        with shipping(case) as host:
            write(server, 5)
            host.until_stored(executed(server))
            wait_for(replica, server)
            replica.execute("STOP REPLICA")
            # The name in the connection string now leads to the other server.
            name.turn_to((replica.address, replica.port))
            name.cut()
            write(replica, 5)
            host.until_stored(executed(replica))
            assert not host.service.report.gap
            assert len({file.id.uuid for file in host.catalog()}) == 2
            ((own,),) = replica.execute("SELECT @@GLOBAL.server_uuid")
            for file in host.catalog():
                if file.id.uuid == own:
                    assert content(case, file) == on_server(replica, file)[: file.mark.end]


def test_a_server_that_cannot_be_read_is_refused_with_the_remedy(case: Case, server: MysqlServer) -> None:
    server.execute(f"REVOKE {REPLICATION} ON *.* FROM shipper@'%'")
    with shipping(case) as host:
        host.until(lambda: bool(host.service.report.problem), "told")
        assert "lacks REPLICATION SLAVE and REPLICATION CLIENT" in host.service.report.problem
        assert f"GRANT {REPLICATION} ON *.* TO 'shipper'@'%'" in host.service.report.hint
        host.service.round()
        assert host.service.report.problem, "also between two tries"
        server.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%'")
        server.execute("SET GLOBAL gtid_mode = ON_PERMISSIVE")
        try:
            host.until(lambda: "without GTIDs" in host.service.report.problem, "told")
        finally:
            server.execute("SET GLOBAL gtid_mode = ON")
        server.execute("SET GLOBAL binlog_format = MIXED")
        try:
            host.until(lambda: "statements instead of rows" in host.service.report.problem, "told")
        finally:
            server.execute("SET GLOBAL binlog_format = ROW")
        host.until(lambda: not host.service.report.behind, "it goes on once that is mended")


def test_what_is_granted_meanwhile_holds_at_the_next_try(case: Case, server: MysqlServer) -> None:
    server.execute(f"REVOKE {REPLICATION} ON *.* FROM shipper@'%'")
    with shipping(case) as host:
        host.until(lambda: "lacks REPLICATION SLAVE" in host.service.report.problem, "told")
        server.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%'")
        problems = {host.service.report.problem}

        def stored() -> bool:
            problems.add(host.service.report.problem)
            return not host.service.report.behind

        host.until(stored, "it goes on")
        assert not [each for each in problems if "Access denied" in each], "the old session has its old rights"

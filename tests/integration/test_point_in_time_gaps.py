"""A restore to a moment where the history is broken: numbers given twice, gaps, lost pieces, another server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.backup_case import Case
from tests.integration.binlog_case import REPLICATION, executed, replicate, shipping, shipping_case, wait_for
from tests.integration.moment_case import at
from tests.integration.point_in_time_case import known_at, restore, shipped_database, started, state
from tests.testbed.cache import remove_tree
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import WORK
from tests.testbed.proxy import Proxy
from wbagent.binlog.layout import RECORD
from wbagent.binlog.record import parse_record
from wbagent.checks.backup.planned import binary_logs
from wbagent.checks.check import Subject
from wbagent.checks.scratch import Scratch
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import RestoreError
from wbagent.restore.until import show


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with started() as running:
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    with shipped_database(server) as made:
        yield made


@pytest.fixture
def case(tmp_path: Path, url: MysqlURL, clients: ClientPrograms, bucket: S3URL) -> Case:
    return shipping_case(tmp_path, url, clients, bucket)


@pytest.fixture
def target(server: MysqlServer) -> MysqlURL:
    return server.url("admin", "copy")


def test_numbers_that_were_given_twice_are_not_mixed(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """Nobody shipped when the server forgot its history, and had executed as much again when somebody did."""
    case = shipping_case(tmp_path, url, clients, bucket)
    server.execute("RESET BINARY LOGS AND GTIDS")
    server.execute("INSERT INTO one (v) VALUES ('old')", database="original")
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('old')", database="original")
        host.until_stored(executed(server))
    # A file's name holds the second of its making.
    time.sleep(1)
    server.execute("RESET BINARY LOGS AND GTIDS")
    for number in range(5):
        server.execute("INSERT INTO one (v) VALUES (%s)", f"new {number}", database="original")
    with shipping(case) as host:
        host.until(lambda: "history began anew" in host.service.report.gap, "the gap is seen")
        host.until(lambda: not host.service.report.behind, "it goes on")
        host.until(lambda: bool(host.backups), "a backup is begun")
        assert not host.service.report.covered
        with pytest.raises(RestoreError, match="to number its transactions anew"):
            restore(case, target, at(time.time()), known_at(time.time()))
        assert ("copy",) not in server.execute("SHOW DATABASES")
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('after')", database="original")
        host.until_stored(executed(server))
    wanted, now = state(server, "original"), time.time()
    restore(case, target, at(now), known_at(now))
    assert state(server, "copy") == wanted


def test_a_gap_is_not_crossed(case: Case, server: MysqlServer, target: MysqlURL) -> None:
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('stored')", database="original")
        host.until_stored(executed(server))
        stored_at = host.catalog()[-1].mark.last_at / 1e6
    moment = time.time()
    server.execute("INSERT INTO one (v) VALUES ('lost')", database="original")
    server.execute("FLUSH BINARY LOGS")
    ((newest, *_),) = server.execute("SHOW BINARY LOGS")[-1:]
    server.execute("PURGE BINARY LOGS TO %s", newest)
    with shipping(case) as host:
        server.execute("INSERT INTO one (v) VALUES ('after')", database="original")
        host.until(lambda: bool(host.service.report.gap), "the gap is seen")
        host.until(lambda: not host.service.report.behind, "it goes on")
    with pytest.raises(RestoreError, match=r"without a gap: after backup \S+ 1 transactions are missing"):
        restore(case, target, at(time.time()), known_at(time.time()))
    with pytest.raises(RestoreError, match="lies in a gap: 1 transactions"):
        restore(case, target, at(moment), known_at(time.time()))
    restore(case, target, at(stored_at), known_at(time.time()))
    assert server.execute("SELECT v FROM copy.one") == [("stored",)]
    case.run()
    server.execute("INSERT INTO one (v) VALUES ('behind it')", database="original")
    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "everything else is stored")
    for command in ("binlog", "status"), ("backup", "list"):
        shown = case.command(*command).stdout
        assert shown.count("any moment from") == 2, shown
        assert "; 1 transactions of then are not stored" in shown


def test_a_piece_that_is_gone_or_damaged_is_never_restored_over(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    target: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        case.run()
        moments = []
        for row in "abc":
            server.execute("INSERT INTO one (v) VALUES (%s)", row, database="original")
            host.until_stored(executed(server))
            moments.append(host.catalog()[-1].mark.last_at / 1e6)
        host.until(lambda: host.service.report.covered_at > moments[-1] and not host.service.report.behind, "a note")
        file = host.catalog()[-1]
        service = host.service
    after = datetime.fromtimestamp(service.report.covered_at, UTC).isoformat()
    into = ("--into", str(target), "--overwrite")
    stem = file.pieces[-2].stem(file.id, case.settings.backup.owner)
    record = parse_record(b"".join(case.store.get(stem + RECORD)), stem)
    whole = b"".join(case.store.get(stem + record.suffix))

    case.store.put(stem + record.suffix, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    damaged = case.command("restore", "--at", after, *into)
    assert (damaged.returncode, "is not what was stored" in damaged.stderr) == (74, True), damaged.stderr
    assert f'--at "{show(round(moments[0] * 1e6))}"' in damaged.stderr
    assert restore(case, target, at(moments[0])).survey.count == 1, "what lies before the damage can be had"
    server.execute("DROP DATABASE copy")

    case.store.delete(stem + record.suffix)
    gone = case.command("restore", "--at", after, *into)
    assert (gone.returncode, "2 transactions that this host had stored are gone" in gone.stderr) == (74, True), gone
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(case.state_directory))
    found = binary_logs(case.settings, lambda: service.report.noted_at)(Subject(case.settings, Scratch()))
    assert (found.verdict, "2 transactions that were stored are gone" in found.found) == ("fail", True), found
    assert "systemctl restart wbagent-binlog" in case.command("binlog", "status").stdout
    assert server.execute("SHOW DATABASES LIKE 'copy'") == []

    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "it is stored again")
        host.until(lambda: not host.service.report.behind, "a note")
    assert "are gone" not in case.command("binlog", "status").stdout
    done = case.command("restore", "--at", after, *into)
    assert done.returncode == 0, done.stderr
    assert server.execute("SELECT v FROM copy.one ORDER BY id") == [("a",), ("b",), ("c",)]

    last = host.catalog()[-1]
    key = last.pieces[-1].stem(last.id, case.settings.backup.owner) + RECORD
    case.store.put(key, b"{}")
    refused = case.command("restore", "--at", after, *into)
    assert refused.returncode == 74, refused
    assert f"the record {key} cannot be read" in refused.stderr
    assert "systemctl restart wbagent-binlog" in refused.stderr
    told = case.command("binlog", "status")
    assert (told.returncode, f"the record {key} cannot be read" in told.stdout) == (0, True), told
    until = host.catalog()[-1].mark.last_at
    assert case.command("restore", "--at", show(until), *into).returncode == 0, "what lies before it can be had"
    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "it is stored again")
        host.until(lambda: not host.service.report.behind, "a note")
    assert "cannot be read" not in case.command("binlog", "status").stdout
    assert case.command("restore", "--at", after, *into).returncode == 0
    assert server.execute("SELECT v FROM copy.one ORDER BY id") == [("a",), ("b",), ("c",)]


def test_over_a_failover_into_the_original_name_on_another_server(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """The old primary had stored a transaction that the new one never got: it is in no state of after the failover."""
    with MysqlServer() as replica, Proxy((server.address, server.port)) as name:
        # As a restored copy would be: the same account and rows, and the history from here on.
        replica.create("original", "shipper", "password")
        replica.execute(f"GRANT {REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE ON *.* TO shipper@'%'")
        for table in ("one", "two"):
            ((_, made),) = server.execute(f"SHOW CREATE TABLE original.{table}")
            replica.execute(made, database="original")
        replicate(server, replica)
        case = shipping_case(tmp_path, replace(url, host=name.address, port=name.port), clients, bucket)
        with shipping(case) as host:
            server.execute("INSERT INTO one (v) VALUES ('before')", database="original")
            host.until_stored(executed(server))
            case.run()
            server.execute("ALTER TABLE original.one ADD COLUMN w INT DEFAULT 5", database="original")
            server.execute("INSERT INTO one (v) VALUES ('on the old one')", database="original")
            wait_for(replica, server)
            replica.execute("STOP REPLICA")
            server.execute("INSERT INTO two VALUES (1, 'lost')", database="original")
            host.until_stored(executed(server))
            lost_at = time.time()
            name.turn_to((replica.address, replica.port))
            name.cut()
            replica.execute("INSERT INTO one (v) VALUES ('on the new one')", database="original")
            host.until(lambda: "are not on this server" in host.service.report.gap, "what was lost is told")
            host.until(lambda: executed(replica) <= host.shipped(), "stored")
        moment = time.time()
        with MysqlServer() as other:
            other.create("unused", "admin", "password")
            other.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
            restore(case, other.url("admin", "original"), at(moment), known_at(moment))
            assert state(other, "original") == state(replica, "original")
            other.execute("DROP DATABASE original")
            restore(case, other.url("admin", "original"), at(lost_at), known_at(moment))
            assert state(other, "original") == state(server, "original"), "it was the state then"


def test_a_server_that_was_restored_from_a_clone(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """What it had executed as the old server is in none of its binary logs, not even at their heads."""
    if not server.execute("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone'"):
        server.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
    cloned = server.directory / "scratch/cloned"
    with Proxy((server.address, server.port)) as name:
        case = shipping_case(tmp_path, replace(url, host=name.address, port=name.port), clients, bucket)
        with shipping(case) as host:
            case.run()
            host.until_stored(executed(server))
        server.execute("INSERT INTO one (v) VALUES ('never stored')", database="original")
        server.execute(f"CLONE LOCAL DATA DIRECTORY = '{WORK}/scratch/cloned'")
        with MysqlServer(data=cloned) as restored:
            remove_tree(cloned)
            name.turn_to((restored.address, restored.port))
            with shipping(case) as host:
                restored.execute("INSERT INTO one (v) VALUES ('restored')", database="original")
                restored.execute("FLUSH BINARY LOGS")
                host.until(lambda: executed(restored) <= host.shipped(), "everything is stored")
                assert "no longer in the server's binary logs" in host.service.report.gap
                host.until(lambda: len(host.backups) == 1, "a backup is started")
                assert not host.service.report.covered
                case.run()
                restored.execute("INSERT INTO one (v) VALUES ('after')", database="original")
                host.until(lambda: executed(restored) <= host.shipped(), "everything is stored")
                host.service._backup_at = 0.0
                host.until(lambda: host.service.report.covered, "the backup covers the gap")
            assert "any moment from" in case.command("binlog", "status").stdout
            moment = time.time()
            restore(case, target, at(moment), known_at(moment))
            assert state(server, "copy") == state(restored, "original")

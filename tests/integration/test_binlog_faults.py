"""The store fails at each stage of shipping, in passing or for long: what is stored is whole, and it goes on there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, over_store
from tests.integration.binlog_case import (
    REPLICATION,
    Shipping,
    assert_whole,
    executed,
    shipping,
    shipping_case,
    unit,
    write,
)
from tests.testbed.ceph import Ceph
from tests.testbed.faulty_store import Fault, FaultyStore
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from wbagent.binlog import joining
from wbagent.binlog.catalog import read_catalog
from wbagent.bucket import s3
from wbagent.bucket.client import Patience
from wbagent.config.dsn import S3URL, MysqlURL

# In the order in which they come; "joined" begins where the file's first piece does, and is the second one to do so.
STAGES = {
    "list": r"^GET \S+list-type=2",
    "mark": r"^GET \S+binlogs\S+\.json",
    "piece": r"^PUT \S+binlogs\S+\.zst",
    "record": r"^PUT \S+binlogs\S+\.json",
}
FIRST = {"joined piece": r"^PUT \S+/000000000000-\d+\.zst", "joined record": r"^PUT \S+/000000000000-\d+\.json"}


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with MysqlServer() as running:
        yield running


@pytest.fixture(scope="module")
def url(server: MysqlServer) -> MysqlURL:
    made = server.create("shipped", "shipper", "password")
    server.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%'")
    server.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)", database="shipped")
    return made


@pytest.fixture(scope="module")
def store(ceph: Ceph) -> Iterator[FaultyStore]:
    with FaultyStore((ceph.address, ceph.port)) as proxy:
        yield proxy


@pytest.fixture
def case(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    store: FaultyStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    """A host whose bucket holds the beginning of a file already; what takes seconds in real life is shorter."""
    monkeypatch.setattr(s3, "IMPATIENT", Patience(0.5, 0.5, 1))
    monkeypatch.setattr(joining, "MOST_PIECES", 3)
    store.pass_on()
    server.execute("FLUSH BINARY LOGS")
    case = shipping_case(tmp_path, url, clients, over_store(store, bucket))
    with shipping(case) as host:
        write(server, 2)
        host.until_stored(executed(server))
    return case


def go_on(host: Shipping, server: MysqlServer, rounds: int = 4) -> None:
    """Several pieces, one after the other."""
    for _ in range(rounds):
        write(server, 1)
        host.until_stored(executed(server))


@pytest.mark.parametrize("fault", ["503", "403", "cut", "stall", "lost answer"])
def test_what_fails_once_at_every_stage_only_delays(
    case: Case, server: MysqlServer, store: FaultyStore, fault: Fault
) -> None:
    store.fail(STAGES.values(), fault, times=1)
    with shipping(case) as host:
        go_on(host, server)
        assert store.met == set(STAGES.values())
        # A file of its own, from its first piece on.
        store.pass_on()
        server.execute("FLUSH BINARY LOGS")
        go_on(host, server, 1)
        store.fail(FIRST.values(), fault, times=1)
        go_on(host, server, 3)
        assert store.met == set(FIRST.values())
        assert_whole(host, server)
        assert host.service.report.problem == ""
        assert not host.service.report.gap


@pytest.mark.parametrize("stage", ["piece", "record"])
@pytest.mark.parametrize("fault", ["503", "403", "stall"])
def test_what_lasts_is_told_and_leaves_what_there_was(
    case: Case, server: MysqlServer, store: FaultyStore, stage: str, fault: Fault
) -> None:
    with shipping(case) as host:
        before = host.stored()
        store.fail([STAGES[stage]], fault)
        write(server, 3)
        host.until(lambda: bool(host.service.report.problem) and stage_met(store, stage), "told")
        assert host.service.report.behind
        assert "NOT STORED" in host.service.report.line(time.time())
        assert host.stored() == before
    # Another program finds in the bucket how far that came.
    store.pass_on()
    with shipping(case) as host:
        assert_whole(host, server)
        assert not host.service.report.gap


def stage_met(store: FaultyStore, stage: str) -> bool:
    return STAGES[stage] in store.met


@pytest.mark.parametrize("stage", [*STAGES, *FIRST])
def test_killed_at_a_stage(case: Case, server: MysqlServer, store: FaultyStore, stage: str) -> None:
    """SIGKILL of the program in the midst of a request, which the store may have carried out or not."""
    pattern = (STAGES | FIRST)[stage]
    if stage in STAGES:
        store.fail([pattern], "stall", times=1)
    with unit(case) as process:
        write(server, 2)
        if stage in FIRST:
            # Pieces are joined at the end of their file.
            two_pieces_of_a_new_file(case, server)
            store.fail([pattern], "stall", times=1)
            server.execute("FLUSH BINARY LOGS")
        store.wait_until_met(pattern)
        os.kill(process.pid, signal.SIGKILL)
    store.pass_on()
    write(server, 2)
    with shipping(case) as host:
        assert_whole(host, server)
        assert not host.service.report.gap


def two_pieces_of_a_new_file(case: Case, server: MysqlServer) -> None:
    server.execute("FLUSH BINARY LOGS")
    ((name, *_),) = server.execute("SHOW BINARY LOGS")[-1:]
    deadline, pieces = time.monotonic() + 60, 0
    while pieces < 2:
        assert time.monotonic() < deadline, "not stored"
        write(server, 1)
        files = read_catalog(case.store, case.settings.backup.owner)
        pieces = sum(len(file.pieces) for file in files if file.id.name == name)


def test_slow_store(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL
) -> None:
    """Slower than what is written: it takes its time, and nothing else happens."""
    with Proxy((ceph.address, ceph.port)) as link:
        case = shipping_case(tmp_path, url, clients, over_store(link, bucket))
        with shipping(case) as host:
            go_on(host, server, 1)
            link.limit_after(0, 500_000)
            began = time.monotonic()
            # More than two megabytes when compressed.
            for _ in range(8):
                server.execute("INSERT INTO t (v) VALUES (%s)", os.urandom(300_000).hex(), database="shipped")
            host.until_stored(executed(server))
            assert time.monotonic() - began > 4
            assert host.service.report.problem == ""
            link.pass_on()
            assert_whole(host, server)


def test_server_away_with_everything_stored(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """Nobody claims that work is lost of which nothing is known."""
    with Proxy((server.address, server.port)) as link:
        case = shipping_case(tmp_path, replace(url, host=link.address, port=link.port), clients, bucket)
        with shipping(case) as host:
            go_on(host, server, 1)
            host.until(lambda: not host.service.report.behind, "everything is stored")
            link.refuse()
            host.until(lambda: host.service.report.silent, "nothing is known")
            line = host.service.report.line(time.time() + 120)
            assert "nothing is known of the 2min since" in line
            assert "not stored" not in line.lower()
            shown = case.command("binlog", "status").stdout
            assert "nothing is known of the" in shown
            link.pass_on()
            host.until(lambda: not host.service.report.behind, "everything is stored again")
            assert not host.service.report.silent

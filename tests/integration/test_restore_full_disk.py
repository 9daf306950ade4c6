"""A disk that fills up while a backup is restored, here or at the target: told, nothing half made is left for whole."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.backup_case import Once
from tests.integration.reader_case import NOBODY, TARGET, Reader, at_work, made_readers, stage_of
from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.memory_disk import fill_up, memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.scratch import scratch
from wbagent.backup.proof import read_proof
from wbagent.errors import WbagentError


@pytest.fixture(scope="module")
def readers(mysql: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph) -> Iterator[dict[str, Reader]]:
    with made_readers(mysql, clients, mysqld, ceph) as made:
        yield made


@pytest.fixture
def reader(readers: dict[str, Reader], engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with at_work(readers[engine], monkeypatch) as chosen:
        yield chosen


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """One in the place of this directory, for the user that the restores run as, whose the directory is afterwards."""
    path.mkdir(exist_ok=True)
    os.chown(path, NOBODY, NOBODY)
    with memory_disk(path, size, f"uid={NOBODY}", f"gid={NOBODY}", "mode=0750"):
        yield


GONE = "Lost connection|SSL connection error|has gone away"
FULL = r"is full|No space left|errno: 28|as disk is full"


@pytest.mark.parametrize(("way", "engine"), [("drill", "clone"), ("datadir", "clone"), ("datadir", "mysqldump")])
def test_disk_that_fills_here(reader: Reader, way: str) -> None:
    place = reader.datadir if way == "datadir" else reader.state_directory / "scratch"
    with small_disk(place, "720m"):
        with pytest.raises(WbagentError, match=FULL) as caught:
            reader.read(way, Once(stage_of(reader.manifest.engine), lambda: fill_up(place), from_start=True))
        assert caught.value.hint
        assert [path.name for path in place.iterdir() if path.name != "filler"] == []
    assert read_proof(reader.store, reader.manifest) is None
    assert reader.leased() == frozenset()


@pytest.fixture
def small_server() -> Iterator[tuple[MysqlServer, Path]]:
    """A server whose data directory is on a file system of its own, and that."""
    with scratch("small") as directory, small_disk(directory / "disk", "900m"):
        with MysqlServer() as template:
            template.stop()
            run(["cp", "-a", "--sparse=always", str(template.directory / "data"), str(directory / "disk/data")])
            template.start()
        (directory / "disk").chmod(0o755)
        settings = {"datadir": str(directory / "disk/data")}
        with MysqlServer(settings=settings, shared=directory / "disk") as server:
            yield server, directory / "disk"


@pytest.mark.parametrize("engine", ["mysqldump", "clone"])
def test_disk_of_the_target_that_fills(reader: Reader, small_server: tuple[MysqlServer, Path]) -> None:
    server, disk = small_server
    server.create("unused", "admin", "password")
    server.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
    there = replace(reader, mysql=server, target=server.url("admin", TARGET))
    over = threading.Event()

    def make_room() -> None:
        # As somebody does whom the server's log has told.
        while not (over.wait(0.1) or re.search("Retry|full", server.log)):
            pass
        (disk / "filler").unlink(missing_ok=True)

    # InnoDB refuses the rows or waits for room, and a server whose binary log has no room ends itself.
    failure = None
    with ThreadPoolExecutor(1) as pool:
        pool.submit(make_room)
        try:
            there.read("into", Once("restoring", lambda: fill_up(disk), from_start=True))
        except WbagentError as error:
            failure = error
        finally:
            over.set()
    if failure is None:
        there.assert_new_state("into")
        return
    gone = re.search(GONE, failure.message)
    assert gone or re.search(FULL, failure.message)
    assert ("a full disk" if gone else "make room on the disk") in failure.hint
    assert "it begins anew" in failure.hint
    assert "half restored" in failure.message

"""The store fails while a backup is read, by a drill or a restore: it is the old state or the new one, and told."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.integration.backup_case import Case, Once, ignore, killed_while, make_case, reaching
from tests.integration.clone_case import clone_backup
from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.faulty_store import Fault, FaultyStore
from tests.testbed.memory_disk import fill_up, memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from tests.testbed.scratch import scratch
from wbagent.backup.layout import lease_prefix, object_key
from wbagent.backup.lease import LIFETIME_S, SKEW, leased
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Progress
from wbagent.backup.proof import read_proof
from wbagent.backup.pruning import prune
from wbagent.bucket.open import open_store
from wbagent.config.dsn import MysqlURL
from wbagent.drill.job import Order, run_drill
from wbagent.errors import DamagedError, WbagentError
from wbagent.restore.datadir import UNFINISHED, restore_datadir
from wbagent.restore.run import restore_backup

NOBODY = 65534
DATABASE = "faults_sample"
TARGET = "faults_target"
DATA = r"^GET \S+(database\.sql|datadir\.tar)\.zst$"
# What all of them ask of the store.
REQUESTS = (r"^GET \S+list-type=2", r"^GET \S+manifest\.json$", r"^PUT \S+/leases/", DATA)
WAYS = [(way, engine) for way in ("drill", "into", "datadir") for engine in ("mysqldump", "clone")]


def stage_of(engine: str) -> str:
    """The one in which the backup's data is read for good."""
    return "unpacking" if engine == "clone" else "restoring"


@dataclass(frozen=True)
class Reader(Case):
    """A host with one backup, and the three ways to read it."""

    manifest: Manifest
    mysql: MysqlServer
    target: MysqlURL

    @property
    def datadir(self) -> Path:
        return self.state_directory / "target"

    def but(self, **backup: object) -> Reader:
        """The same, configured otherwise."""
        changed = self.settings.backup.model_copy(update=backup)
        return replace(self, settings=self.settings.model_copy(update={"backup": changed}))

    def behind(self, store: FaultyStore, retry_for: float) -> Reader:
        destination = self.settings.backup.destination
        assert destination
        url = replace(destination, host=store.address, port=store.port)
        return self.but(destination=url, timeout=min(1.0, retry_for), retry_for=retry_for)

    def read(self, way: str, report: Callable[[Progress], None] = ignore) -> None:
        """As the commands do."""
        backup = self.settings.backup
        if way == "drill":
            with self.state() as state:
                run_drill(self.settings, state, self.state_directory, report, Order(self.manifest.id))
            return
        store = open_store(backup, self.state_directory, patient=True)
        if way == "into":
            restore_backup(store, backup, "latest", self.target, report)
        else:
            restore_datadir(store, backup, "latest", self.datadir, report)

    def tables(self) -> set[str]:
        return {str(row[0]) for row in self.mysql.execute(f"SHOW TABLES FROM {TARGET}")}

    def leased(self, later: float = 0.0) -> frozenset[str]:
        """Which backups are leased in so many seconds."""
        return leased(self.store, self.manifest.owner, datetime.now(UTC) + timedelta(seconds=later))

    def clear(self) -> None:
        """Forget what was made of the backup."""
        self.mysql.execute(f"DROP DATABASE IF EXISTS {TARGET}")
        run(["rm", "-rf", str(self.datadir)])
        for entry in [*self.store.entries(lease_prefix(self.manifest.owner)), *self.store.entries("")]:
            if not entry.key.endswith(("/manifest.json", ".zst")):
                self.store.delete(entry.key)

    def assert_old_state(self, way: str) -> None:
        """Nothing is said of the backup, and nothing can be taken for what was to be restored."""
        assert self.stored() == {self.manifest.id: "complete"}
        assert read_proof(self.store, self.manifest) is None
        if way == "into" and self.manifest.engine == "mysqldump":
            assert "wbagent_restore_unfinished" in self.tables()
        elif way == "into":
            assert self.mysql.execute("SHOW DATABASES LIKE %s", TARGET) == []
        elif way == "datadir":
            assert list(self.datadir.iterdir()) == []

    def assert_new_state(self, way: str) -> None:
        if way == "drill":
            proof = read_proof(self.store, self.manifest)
            assert proof
            assert proof.ok
        elif way == "into":
            assert self.tables() >= {table.name for table in self.manifest.tables}
            assert "wbagent_restore_unfinished" not in self.tables()
        else:
            assert (self.datadir / "mysql.ibd").exists()
            assert not (self.datadir / UNFINISHED).exists()
        assert list(self.state_directory.glob("scratch/*")) == []
        assert self.leased() == frozenset()


@pytest.fixture(scope="module")
def readers(mysql: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph) -> Iterator[dict[str, Reader]]:
    """A host with a backup by mysqldump, and one with a clone; both may restore into the server."""
    url = mysql.create(DATABASE, "faults_user", "password")
    mysql.execute("GRANT ALL ON *.* TO faults_user@'%' WITH GRANT OPTION")
    with mysql.connect(url.database) as connection:
        fill(connection, 6)
    ceph.create_bucket("restore-faults")
    made = {}
    with scratch("faults") as directory:
        for engine in ("mysqldump", "clone"):
            bucket = ceph.url("restore-faults", engine)
            case = make_case(directory / engine, url, clients, bucket, owner=engine, drill={"mysqld": str(mysqld)})
            os.chown(case.state_directory, NOBODY, NOBODY)
            manifest = (
                case.run().manifest if engine == "mysqldump" else clone_backup(mysql, DATABASE, case, time.time())
            )
            made[engine] = Reader(case.directory, case.settings, manifest, mysql, mysql.url("faults_user", TARGET))
        yield made
    mysql.execute(f"DROP DATABASE {DATABASE}")
    mysql.execute("DROP USER faults_user@'%'")


@pytest.fixture
def reader(readers: dict[str, Reader], engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    chosen = readers[engine]
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(chosen.state_directory))
    chosen.datadir.mkdir()
    os.chown(chosen.datadir, NOBODY, NOBODY)
    yield chosen
    chosen.clear()


@pytest.fixture(scope="module")
def store(ceph: Ceph) -> Iterator[FaultyStore]:
    with FaultyStore((ceph.address, ceph.port)) as proxy:
        yield proxy


# --- the store ---

# Each fault for both engines, each way with two of them.
PASSING: list[Fault] = ["503", "cut short", "stall", "503", "cut", "stall"]


@pytest.mark.parametrize(("way", "engine", "fault"), [(*way, fault) for way, fault in zip(WAYS, PASSING, strict=True)])
def test_what_fails_once_at_every_request_only_delays_it(
    reader: Reader, store: FaultyStore, way: str, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = {*REQUESTS, r"^PUT \S+proof\.json$"} if way == "drill" else {*REQUESTS}
    store.fail(requests, fault, times=1)
    reader.behind(store, retry_for=20).read(way)
    assert store.met == requests
    assert "is asked for again for up to 20s" in capsys.readouterr().err, "as [backup] retry_for says"
    reader.assert_new_state(way)


# mysqldump's drill and data directory take a new server each time, and read as the others do.
LASTING: list[tuple[str, str, Fault]] = [
    *(("into", "mysqldump", fault) for fault in ("403", "503", "cut", "cut short", "stall")),
    *(("drill", "clone", fault) for fault in ("403", "503", "cut", "cut short", "stall")),
    *(("datadir", "clone", fault) for fault in ("403", "503", "cut", "cut short", "stall")),
    ("into", "clone", "cut short"),
    ("drill", "mysqldump", "503"),
    ("datadir", "mysqldump", "cut short"),
]


@pytest.mark.parametrize(("way", "engine", "fault"), LASTING)
def test_what_lasts_leaves_what_there_was(reader: Reader, store: FaultyStore, way: str, fault: Fault) -> None:
    store.pass_on()
    far = reader.behind(store, retry_for=0.5)
    with pytest.raises(WbagentError) as caught:
        far.read(way, Once(stage_of(reader.manifest.engine), lambda: store.fail([DATA], fault), from_start=True))
    assert store.met
    message, hint = caught.value.message, caught.value.hint
    assert "127.0.0.1" in message
    assert hint
    if way == "drill":
        with reader.state() as state:
            fact = state.get("drill.last")
        assert fact
        assert fact.value["result"] == "not done"
    elif way == "datadir":
        assert f"nothing is left in {reader.datadir}" in message
    elif reader.manifest.engine == "mysqldump":
        assert f"{TARGET} is half restored, and marked so" in message
        assert "it begins anew" in hint
    reader.assert_old_state(way)
    assert list(reader.state_directory.glob("scratch/*")) == []
    assert reader.leased() == frozenset()


@pytest.mark.parametrize("engine", ["mysqldump"])
def test_store_that_is_away_does_not_hold_up_who_gives_up_on_it(reader: Reader, store: FaultyStore) -> None:
    """Ctrl-C of a person whose link is down; the lease is let go of as a courtesy, and ends by itself."""
    store.pass_on()

    def interrupt() -> None:
        store.wait_until_met(".")
        os.kill(os.getpid(), signal.SIGINT)

    def go_away() -> None:
        store.fail(["."], "cut")
        ended.append(pool.submit(interrupt))

    ended: list[object] = []
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        reader.behind(store, retry_for=600).read("into", Once("restoring", go_away, from_start=True))
    assert ended
    assert time.monotonic() - began < 30
    assert reader.leased() == {reader.manifest.id}
    assert reader.leased(LIFETIME_S + SKEW.total_seconds() + 60) == frozenset()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("way", "engine", "stage", "left"),
    [
        ("into", "mysqldump", "checking", "nothing was touched"),
        ("into", "mysqldump", "restoring", f"{TARGET} is half restored, and marked so"),
        ("datadir", "clone", "unpacking", "nothing is left in "),
    ],
)
def test_who_ends_it_is_told_what_is_left_and_how_to_go_on(
    reader: Reader, way: str, stage: str, left: str, number: signal.Signals
) -> None:
    (reader.directory / "dsn").write_text(str(reader.target))
    target = {"into": f"@{reader.directory / 'dsn'}", "datadir": str(reader.datadir)}[way]
    with reaching(reader, stage, "restore", "latest", f"--{way}", target) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert f"ended by {number.name} before it was complete: {left}" in said
    assert "run the same command again: it begins anew" in said
    assert reader.leased() == frozenset()
    assert list(reader.state_directory.glob("scratch/*")) == []
    reader.read(way)
    reader.assert_new_state(way)


@pytest.mark.parametrize("engine", ["clone"])
def test_a_clone_that_is_damaged_is_refused_before_there_is_a_target(reader: Reader) -> None:
    (piece,) = reader.manifest.data.stored
    key = object_key(reader.manifest.owner, reader.manifest.id, piece.file)
    whole = b"".join(reader.store.get(key))
    middle = len(whole) // 2
    reader.store.put(key, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        with pytest.raises(DamagedError) as refused:
            reader.read("into")
    finally:
        reader.store.put(key, whole)
    assert "nothing was touched" in refused.value.message
    assert "target database" not in refused.value.message
    assert reader.mysql.execute("SHOW DATABASES LIKE %s", TARGET) == []


# --- killed ---


@pytest.mark.parametrize(
    ("way", "engine", "stage"),
    [
        ("drill", "clone", "unpacking"),
        ("into", "mysqldump", "restoring"),
        ("into", "clone", "restoring"),
        ("datadir", "mysqldump", "restoring"),
        ("datadir", "clone", "unpacking"),
    ],
)
def test_killed(reader: Reader, way: str, stage: str) -> None:
    """It leaves no orphan; the lease ends by itself and is cleared away; the next run clears up and is complete."""
    (reader.directory / "dsn").write_text(str(reader.target))
    arguments = {
        "drill": ["backup", "drill", reader.manifest.id, "--in-process"],
        "into": ["restore", "latest", "--into", f"@{reader.directory / 'dsn'}"],
        "datadir": ["restore", "latest", "--datadir", str(reader.datadir)],
    }
    children = killed_while(reader, stage, *arguments[way])
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert read_proof(reader.store, reader.manifest) is None
    if way == "into":
        assert "wbagent_restore_unfinished" in reader.tables()
    elif way == "datadir":
        assert [path.name for path in reader.datadir.iterdir()] == [UNFINISHED]
    assert reader.leased() == {reader.manifest.id}
    later = LIFETIME_S + SKEW.total_seconds() + 60
    assert reader.leased(later) == frozenset()
    with reader.state() as state:
        prune(reader.settings.backup, state, reader.state_directory, lambda: time.time() + later)
    assert list(reader.store.entries(lease_prefix(reader.manifest.owner))) == []
    reader.read(way)
    reader.assert_new_state(way)


# --- full disks ---


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """One in the place of this directory, for the user that the restores run as."""
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

"""The store fails while a backup is read, by a drill or a restore: it is the old state or the new one, and told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.integration.backup_case import Once, killed_while, reaching
from tests.integration.reader_case import TARGET, Reader, at_work, made_readers, stage_of
from tests.testbed.ceph import Ceph
from tests.testbed.faulty_store import Fault, FaultyStore
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.layout import lease_prefix, object_key
from wbagent.backup.lease import LIFETIME_S, SKEW
from wbagent.backup.proof import read_proof
from wbagent.backup.pruning import prune
from wbagent.errors import DamagedError, WbagentError
from wbagent.restore.datadir import UNFINISHED

DATA = r"^GET \S+(database\.sql|datadir\.tar)\.zst$"
# What all of them ask of the store.
REQUESTS = (r"^GET \S+list-type=2", r"^GET \S+manifest\.json$", r"^PUT \S+/leases/", DATA)
WAYS = [(way, engine) for way in ("drill", "into", "datadir") for engine in ("mysqldump", "clone")]


@pytest.fixture(scope="module")
def readers(mysql: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph) -> Iterator[dict[str, Reader]]:
    with made_readers(mysql, clients, mysqld, ceph) as made:
        yield made


@pytest.fixture
def reader(readers: dict[str, Reader], engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with at_work(readers[engine], monkeypatch) as chosen:
        yield chosen


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

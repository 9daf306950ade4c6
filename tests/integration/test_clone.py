"""A backup by CLONE LOCAL: exact, while writers go on; and what keeps one from being taken is found and said."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import rmtree

import pytest

from tests.integration.backup_case import Case, Once, ignore, make_case, running
from tests.integration.two_tables import TABLES, make_two_tables, writer
from tests.testbed.memory_disk import fill_up, memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import WORK
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from wbagent.backup.engines.clone_run import cloned, end_abandoned
from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import rows
from wbagent.errors import BackupError
from wbagent.monitor.backup_facts import LOADABLE


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clones")


@pytest.fixture(scope="module")
def server(shared: Path) -> Iterator[MysqlServer]:
    """A server with the clone plugin that can write where the backup reads."""
    with MysqlServer(settings={"plugin_load_add": "mysql_clone.so"}, shared=shared) as running:
        yield running


@pytest.fixture(scope="module")
def url(server: MysqlServer) -> MysqlURL:
    """The sample, two more tables, and an account that may clone."""
    url = server.create("wandb_clone", "cloner", "password")
    server.execute("GRANT BACKUP_ADMIN, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with server.connect(url.database) as connection:
        fill(connection, 12, rough_floats=True)
    make_two_tables(server, url.database)
    return url


@pytest.fixture
def case(tmp_path: Path, url: MysqlURL, clients: ClientPrograms, shared: Path) -> Case:
    return make_case(tmp_path, url, clients, clone_directory=str(shared))


def restored(case: Case, manifest: Manifest, directory: Path) -> None:
    """By hand, as the manual says, without wbagent."""
    stored = case.state_directory / "backups" / f"host1/backups/{manifest.id}/{manifest.data.file}"
    directory.mkdir()
    command = f"zstd --decompress --stdout '{stored}' | tar --extract --directory '{directory}'"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)


def test_clone_is_exact_and_restored_by_hand(case: Case, server: MysqlServer, url: MysqlURL, tmp_path: Path) -> None:
    with server.connect() as connection:
        before = fingerprint(connection, url.database)
    manifest = case.run().manifest
    assert (manifest.engine, manifest.data.file) == ("clone", "datadir.tar.zst")
    assert "files are on this host" in manifest.engine_reason
    assert manifest.position is not None
    assert manifest.position.exact, "nobody writes to this server"
    with server.connect() as connection:
        counts = {
            name: int(rows(connection, f"SELECT COUNT(*) FROM `{url.database}`.`{name}`")[0][0])
            for name in (each.name for each in manifest.tables)
        }
    assert {each.name: each.rows for each in manifest.tables} == counts
    restored(case, manifest, tmp_path / "datadir")
    with MysqlServer(data=tmp_path / "datadir") as again, again.connect() as connection:
        assert fingerprint(connection, url.database) == before
        ((executed,),) = again.execute("SELECT @@GLOBAL.gtid_executed")
        assert executed == manifest.position.gtid_set


def test_clone_under_writers_is_of_one_moment(case: Case, server: MysqlServer, url: MysqlURL, tmp_path: Path) -> None:
    with writer(server, url.database):
        manifest = case.run().manifest
    assert manifest.position is not None
    assert not manifest.position.exact
    assert {each.rows for each in manifest.tables} == {None}
    restored(case, manifest, tmp_path / "datadir")
    with MysqlServer(data=tmp_path / "datadir") as again:
        ((executed,),) = again.execute("SELECT @@GLOBAL.gtid_executed")
        assert again.execute("SELECT GTID_SUBSET(%s, %s)", manifest.position.gtid_set, executed) == [(1,)]
        one, two = (again.execute(f"SELECT COUNT(*), MAX(n) FROM {name}", database=url.database) for name in TABLES)
    assert one == two != [(0, None)]


def test_backup_that_an_upgrade_may_have_to_load_back_is_a_dump(case: Case) -> None:
    with case.state() as state:
        state.put(LOADABLE, {"by": "upgrade"}, time.time())
    manifest = case.run().manifest
    assert manifest.engine == "mysqldump"
    assert "asked for by an upgrade" in manifest.engine_reason
    # A request is for the backup that begins at once.
    with case.state() as state:
        state.put(LOADABLE, {"by": "upgrade"}, time.time() - 61)
    assert case.run().manifest.engine == "clone"


def test_directory_is_empty_afterwards(case: Case, shared: Path) -> None:
    case.run()
    assert list(shared.iterdir()) == []


def test_server_that_may_not_write_there(case: Case, shared: Path) -> None:
    """As AppArmor and SELinux refuse it: nothing shows before the clone is asked for."""
    shared.chmod(0o500)
    try:
        manifest = case.run().manifest
    finally:
        shared.chmod(0o700)
    assert manifest.engine == "mysqldump"
    assert manifest.warnings[0].startswith("mysqldump instead of clone: the server could not be cloned")
    assert "apparmor_parser" in manifest.warnings[0]


def test_account_that_may_not_clone(case: Case, server: MysqlServer, url: MysqlURL) -> None:
    server.execute("REVOKE BACKUP_ADMIN ON *.* FROM %s@'%%'", url.user)
    try:
        manifest = case.run().manifest
        only = Case(case.directory, with_engine(case, "clone"))
        with pytest.raises(BackupError, match="is not possible: the account lacks BACKUP_ADMIN") as caught:
            only.run()
    finally:
        server.execute("GRANT BACKUP_ADMIN ON *.* TO %s@'%%'", url.user)
    assert manifest.engine == "mysqldump"
    assert 'lacks BACKUP_ADMIN (mysql -e "GRANT BACKUP_ADMIN ON *.* TO' in manifest.engine_reason
    assert "GRANT BACKUP_ADMIN" in str(caught.value.hint)


def with_engine(case: Case, engine: str) -> Settings:
    backup = case.settings.backup.model_copy(update={"engine": engine})
    return case.settings.model_copy(update={"backup": backup})


def test_table_that_is_altered_meanwhile(case: Case, server: MysqlServer, url: MysqlURL, shared: Path) -> None:
    server.execute("CREATE TABLE changing (n INT)", database=url.database)
    alter = Once("storing", lambda: server.execute("ALTER TABLE changing ADD m INT", database=url.database), True)
    with pytest.raises(BackupError, match="1 tables were altered"):
        case.run(alter)
    assert alter.done
    assert case.stored() == {}
    assert list(shared.iterdir()) == []


def test_clone_that_is_ended_half_way(case: Case, server: MysqlServer, shared: Path) -> None:
    """The server does not go on cloning for nobody."""
    cloning = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'CLONE LOCAL%'"
    server.execute("SET GLOBAL clone_max_data_bandwidth = 1")
    server.execute("SET GLOBAL clone_autotune_concurrency = OFF")
    try:
        with running(case) as run:
            run.wait_for_status("cloning", "read")
            while server.execute(cloning) == [(0,)]:
                assert run.process.poll() is None
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(30) != 0
        while server.execute(cloning) != [(0,)]:
            pass
    finally:
        server.execute("SET GLOBAL clone_max_data_bandwidth = DEFAULT")
    assert case.stored() == {}
    assert list(shared.iterdir()) == []


def test_trigger_that_is_changed_meanwhile(case: Case, server: MysqlServer, url: MysqlURL) -> None:
    server.execute("CREATE TABLE watched (n INT)", database=url.database)
    make = "CREATE TRIGGER watch AFTER INSERT ON watched FOR EACH ROW SET @seen = {}"
    server.execute(make.format(1), database=url.database)

    def change() -> None:
        server.execute("DROP TRIGGER watch", database=url.database)
        server.execute(make.format(2), database=url.database)

    with pytest.raises(BackupError, match="1 definitions were changed or dropped during the backup: TRIGGER watch"):
        case.run(Once("storing", change, True))
    assert case.stored() == {}


def test_clone_that_waits_for_ever_is_ended(server: MysqlServer, url: MysqlURL, shared: Path) -> None:
    """Here for an ALTER that itself waits for somebody: nothing is written, and nothing says so."""
    server.execute("CREATE TABLE held (n INT)", database=url.database)
    server.execute("SET GLOBAL clone_block_ddl = ON")
    server.execute("SET GLOBAL clone_ddl_timeout = 3600")
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock'"
    try:
        with ThreadPoolExecutor() as pool, closing(server.connect(url.database)) as reader:
            rows(reader, "BEGIN")
            rows(reader, "SELECT * FROM held")
            alter = pool.submit(server.execute, "ALTER TABLE held ADD m INT", database=url.database)
            while server.execute(waiting) == [(0,)]:
                assert not alter.done()
            made = cloned(url, shared / "clone-1", Meter("cloning", ignore), still=2.0)
            with pytest.raises(UnfitError, match="wrote nothing of the clone for 2s; it was ended"), made:
                pass
            rows(reader, "ROLLBACK")
            alter.result()
    finally:
        server.execute("SET GLOBAL clone_block_ddl = DEFAULT")
        server.execute("SET GLOBAL clone_ddl_timeout = DEFAULT")
    with cloned(url, shared / "clone-2", Meter("cloning", ignore)):
        assert (shared / "clone-2/ibdata1").exists()
    assert list(shared.iterdir()) == []


def test_clone_of_a_server_that_stands_still(server: MysqlServer, url: MysqlURL, shared: Path) -> None:
    """Nobody can say that it has ended, so its files stay: without them the server would hang for good."""
    server.execute("SET GLOBAL clone_max_data_bandwidth = 1")
    server.execute("SET GLOBAL clone_autotune_concurrency = OFF")
    target = shared / "clone-1"

    def stop() -> None:
        # Not at the first word of progress: a quick server is done by then.
        while not (target / "ibdata1").exists():
            pass
        os.kill(server.pid, signal.SIGSTOP)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    try:
        made = cloned(url, target, Meter("cloning", ignore), still=2.0, ended_within=2.0)
        with pytest.raises(UnfitError, match="could not be ended: until mysqld is restarted"), made:
            pass
        stopping.join()
        # As long as it stands: woken, it hears that the clone is to end and removes them itself.
        assert (target / "ibdata1").exists()
    finally:
        os.kill(server.pid, signal.SIGCONT)
        server.execute("SET GLOBAL clone_max_data_bandwidth = DEFAULT")
    assert end_abandoned(url, shared)
    rmtree(target, ignore_errors=True)


def test_clone_beside_another_one(case: Case, server: MysqlServer) -> None:
    """As after one that hangs: the server refuses (error 3634), and the next engine makes the backup."""
    server.execute("SET GLOBAL clone_max_data_bandwidth = 1")
    server.execute("SET GLOBAL clone_autotune_concurrency = OFF")
    cloning = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'CLONE LOCAL%'"
    for number in range(10):
        with ThreadPoolExecutor() as pool:
            statement = f"CLONE LOCAL DATA DIRECTORY = '{WORK}/scratch/other-{number}'"
            other = pool.submit(server.execute, statement)
            while not other.done() and server.execute(cloning) == [(0,)]:
                pass
            manifest = case.run().manifest
            for (session_id,) in server.execute(cloning.replace("COUNT(*)", "id")):
                server.execute(f"KILL {session_id}")
            other.exception()
        # A quick server may be done with the other one before this one begins: again.
        if manifest.engine != "clone":
            break
    server.execute("SET GLOBAL clone_max_data_bandwidth = DEFAULT")
    assert manifest.engine == "mysqldump"
    assert "(3634)" in manifest.warnings[0]
    assert "a restart of mysqld ends one that hangs" in manifest.warnings[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 450 MB."""
    with memory_disk(tmp_path / "small", "450m") as path:
        yield path


def test_disk_that_fills_while_it_is_cloned_to(tmp_path: Path, clients: ClientPrograms, small_disk: Path) -> None:
    with MysqlServer(settings={"plugin_load_add": "mysql_clone.so"}, shared=small_disk) as server:
        url = server.create("wandb_small", "cloner", "password")
        server.execute("GRANT BACKUP_ADMIN, PROCESS, SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
        with server.connect(url.database) as connection:
            fill(connection, 2)
        case = make_case(tmp_path / "case", url, clients, clone_directory=str(small_disk))
        manifest = case.run(Once("cloning", lambda: fill_up(small_disk), True)).manifest
        assert manifest.engine == "mysqldump"
        assert "mysqldump instead of clone" in manifest.warnings[0]
        [filler] = small_disk.iterdir()
        # With no room at all it is not even tried.
        assert f"{small_disk} has room for" in case.run().manifest.engine_reason
        filler.unlink()
        assert case.run().manifest.engine == "clone"

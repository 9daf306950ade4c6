"""A backup by a real mydumper: exact, of one moment, its rows counted; and whatever goes wrong is found and said.

Those with the mark run where $WBAGENT_MYDUMPER and $WBAGENT_MYLOADER name programs of 1.0.1 or later.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.age_key import Key
from tests.integration.backup_case import Case, Once, child, ignore, make_case, processes_that_show, running
from tests.integration.two_tables import TABLES, make_two_tables, writer
from tests.testbed.memory_disk import memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.scratch import scratch
from wbagent.backup.job import BackupFailedError
from wbagent.backup.manifest import Manifest
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import rows, session
from wbagent.database.options_file import options_file
from wbagent.drill.job import Order, run_drill
from wbagent.errors import BackupError
from wbagent.restore.run import restore_backup

PASSWORD = "pass/word+with:all@of#it%[x]"
# Objects whose sql_mode mydumper does not carry over.
PROGRAMS = ("TRIGGER count_runs", "FUNCTION run_label", "PROCEDURE archive_runs", "EVENT expire_audit")

needs_mydumper = pytest.mark.mydumper


def _database(mysql: MysqlServer, name: str) -> MysqlURL:
    url = mysql.create(name, f"{name}_user", PASSWORD)
    mysql.execute("GRANT RELOAD, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, 8)
    make_two_tables(mysql, url.database)
    return url


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """The sample, and an account that may lock for a moment."""
    url = _database(mysql, "mydumper_sample")
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture(scope="module")
def plain(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """The sample without anything that "auto" would not give to mydumper."""
    url = _database(mysql, "mydumper_plain")
    for program in PROGRAMS:
        mysql.execute(f"DROP {program}", database=url.database)
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


def case(directory: Path, url: MysqlURL, clients: ClientPrograms, engine: str = "auto") -> Case:
    program = os.environ.get("WBAGENT_MYDUMPER", "/nowhere/mydumper")
    return make_case(directory, url, clients, engine=engine, mydumper=program)


@contextmanager
def restored(case: Case, manifest: Manifest, mysql: MysqlServer, directory: Path) -> Iterator[str]:
    """By hand, as the manual says, without wbagent: the name of a database that holds it."""
    stored = case.state_directory / "backups" / f"host1/backups/{manifest.id}/{manifest.data.file}"
    directory.mkdir()
    subprocess.run(["tar", "--extract", "--file", stored, "--directory", directory], check=True)
    administrator = mysql.create("mydumper_again", "mydumper_admin", PASSWORD)
    mysql.execute("GRANT ALL ON *.* TO %s@'%%'", administrator.user)
    try:
        with options_file(administrator) as (descriptor, argument):
            command = [os.environ["WBAGENT_MYLOADER"], argument, f"--directory={directory}", "--threads=2"]
            command += [f"--source-db={manifest.database.name}", f"--database={administrator.database}"]
            done = subprocess.run(command, pass_fds=(descriptor,), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield administrator.database
    finally:
        mysql.execute(f"DROP DATABASE `{administrator.database}`")
        mysql.execute("DROP USER %s@'%%'", administrator.user)


def staging(case: Case) -> list[Path]:
    return list((case.state_directory / "staging").iterdir())


@needs_mydumper
def test_restored_by_hand(tmp_path: Path, mysql: MysqlServer, sample: MysqlURL, clients: ClientPrograms) -> None:
    host = case(tmp_path / "case", sample, clients, engine="mydumper")
    shown: list[str] = []
    manifest = host.run(Once("storing", lambda: shown.extend(processes_that_show(PASSWORD)))).manifest
    assert shown == []
    assert (manifest.engine, manifest.data.file) == ("mydumper", "mydumper.tar")
    assert (manifest.data.size, manifest.data.sha256) == (manifest.data.plain_size, manifest.data.plain_sha256)
    assert PASSWORD not in manifest.to_bytes().decode()
    # Debian's server does not say that it is MySQL, and has a position all the same.
    assert manifest.position is not None
    assert manifest.position.exact
    assert manifest.position.gtid_set
    assert staging(host) == []
    assert any("another sql_mode" in warning for warning in manifest.warnings)
    with restored(host, manifest, mysql, tmp_path / "files") as database, mysql.connect() as connection:
        there, here = fingerprint(connection, database), fingerprint(connection, sample.database)
        assert there.keys() == here.keys()
        data = [name for name in here if name.split()[0] in {"table", "rows", "view"}]
        assert {name: there[name] for name in data} == {name: here[name] for name in data}
        for table in manifest.tables:
            assert mysql.execute(f"SELECT COUNT(*) FROM `{table.name}`", database=database) == [(table.rows,)]


@needs_mydumper
def test_restored_and_proven_by_wbagent(
    mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms, mysqld: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch("mydumper") as directory:
        host = case(directory / "case", plain, clients, engine="mydumper")
        manifest = host.run().manifest
        settings = host.settings.backup.model_copy(update={"myloader": os.environ["WBAGENT_MYLOADER"]})
        state = host.state_directory
        # Root's, and there need be no user mysql: a load needs none.
        monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(state))
        target = mysql.create("mydumper_back", "mydumper_back", PASSWORD)
        mysql.execute("GRANT ALL ON *.* TO %s@'%%'", target.user)
        try:
            done = restore_backup(host.store, settings, manifest.id, target, ignore)
            assert done.compared.counted == len(manifest.tables)
            with mysql.connect() as connection:
                assert fingerprint(connection, target.database) == fingerprint(connection, plain.database)
        finally:
            mysql.execute(f"DROP DATABASE `{target.database}`")
            mysql.execute("DROP USER %s@'%%'", target.user)
        assert list((state / "scratch").iterdir()) == []
        for path in (state, state / "scratch"):
            os.chown(path, 65534, 65534)
        drill = settings.drill.model_copy(update={"mysqld": str(mysqld)})
        drilled = host.settings.model_copy(update={"backup": settings.model_copy(update={"drill": drill})})
        with host.state() as facts:
            proof = run_drill(drilled, facts, host.state_directory, ignore, Order(manifest.id))
        assert proof
        assert proof.ok
        assert done.compared.notes == proof.notes
        assert "6 significant digits of FLOAT columns were kept, the rest is lost: runs.loss" in proof.notes


@needs_mydumper
def test_what_mydumper_is_known_to_lose_makes_no_backup_a_bad_one(
    mysql: MysqlServer, sample: MysqlURL, clients: ClientPrograms, mysqld: Path
) -> None:
    with scratch("mydumper") as directory:
        host = case(directory / "case", sample, clients, engine="mydumper")
        manifest = host.run().manifest
        assert any("FLOAT columns keep 6 significant digits" in warning for warning in manifest.warnings)
        os.chown(host.state_directory, 65534, 65534)
        drill = host.settings.backup.drill.model_copy(update={"mysqld": str(mysqld)})
        backup = host.settings.backup.model_copy(update={"drill": drill, "myloader": os.environ["WBAGENT_MYLOADER"]})
        drilled = host.settings.model_copy(update={"backup": backup})
        with host.state() as facts:
            proof = run_drill(drilled, facts, host.state_directory, ignore, Order(manifest.id))
        assert proof
        (lost,) = [note for note in proof.notes if "sql_mode" in note]
        assert all(name in lost for name in PROGRAMS)


@needs_mydumper
def test_encrypted_it_is_restored_and_proven(
    mysql: MysqlServer,
    plain: MysqlURL,
    clients: ClientPrograms,
    mysqld: Path,
    keys: list[Key],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scratch("mydumper") as directory:
        drill = {"mysqld": str(mysqld)}
        host = make_case(
            directory / "case",
            plain,
            clients,
            engine="mydumper",
            mydumper=os.environ["WBAGENT_MYDUMPER"],
            myloader=os.environ["WBAGENT_MYLOADER"],
            encrypt_to=keys[0].public,
            drill=drill,
        )
        os.chown(host.state_directory, 65534, 65534)
        monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(host.state_directory))
        manifest = host.run().manifest
        assert (manifest.engine, manifest.data.file) == ("mydumper", "mydumper.tar.age")
        with host.state() as facts:
            proof = run_drill(host.settings, facts, host.state_directory, ignore, Order())
        assert proof
        assert proof.ok
        target = mysql.create("mydumper_back", "mydumper_back", PASSWORD)
        mysql.execute("GRANT ALL ON *.* TO %s@'%%'", target.user)
        try:
            restore_backup(host.store, host.settings.backup, "latest", target, ignore, identity=keys[0].identity)
            with mysql.connect() as connection:
                assert fingerprint(connection, target.database) == fingerprint(connection, plain.database)
        finally:
            mysql.execute(f"DROP DATABASE `{target.database}`")
            mysql.execute("DROP USER %s@'%%'", target.user)


@needs_mydumper
def test_under_writers_it_is_of_one_moment(
    tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms
) -> None:
    host = case(tmp_path / "case", plain, clients)
    with writer(mysql, plain.database):
        manifest = host.run().manifest
    assert manifest.engine == "mydumper"
    assert "clone is not possible" in manifest.engine_reason
    counted = {table.name: table.rows for table in manifest.tables}
    with restored(host, manifest, mysql, tmp_path / "files") as database:
        one, two = (mysql.execute(f"SELECT COUNT(*), MAX(n) FROM {name}", database=database) for name in TABLES)
    assert one == two != [(0, None)]
    assert one[0][0] == counted["one"] == counted["two"]


@needs_mydumper
@pytest.mark.parametrize("program", ["mydumper", "zstd"])
def test_killed_by_somebody_else(
    tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms, program: str
) -> None:
    """The next best engine makes the backup then."""
    with Proxy((mysql.address, mysql.port)) as link:
        link.limit_after(0, 3e6)
        url = MysqlURL(plain.user, plain.password, link.address, link.port, plain.database)
        host = case(tmp_path / "case", url, clients)

        def kill() -> None:
            dumper = child("--outputdir=")
            victim = dumper if program == "mydumper" else dumper.children()[0]
            victim.kill()
            link.pass_on()

        act = Once("dumping", kill)
        manifest = host.run(act).manifest
    assert act.done
    assert manifest.engine == "mysqldump"
    assert "mysqldump instead of mydumper" in manifest.warnings[0]
    assert manifest.engine_reason == manifest.warnings[0]
    assert staging(host) == []


@needs_mydumper
def test_ended_half_way(tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms) -> None:
    """Nothing goes on: neither the programs nor their sessions, and nothing is left."""
    with Proxy((mysql.address, mysql.port)) as link:
        link.limit_after(0, 1e6)
        url = MysqlURL(plain.user, plain.password, link.address, link.port, plain.database)
        host = case(tmp_path / "case", url, clients, engine="mydumper")
        with running(host) as backup:
            # The first is before it has begun.
            backup.wait_for_status("dumping:")
            backup.wait_for_status("dumping:")
            children = psutil.Process(backup.process.pid).children(recursive=True)
            assert children
            backup.process.send_signal(signal.SIGTERM)
            assert backup.process.wait(30) == 74
        assert psutil.wait_procs(children, timeout=30)[1] == []
        sessions = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s"
        while mysql.execute(sessions, plain.user) != [(0,)]:
            pass
    assert staging(host) == []
    assert host.stored() == {}


@needs_mydumper
def test_lock_that_is_not_had(tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms) -> None:
    """It gives up soon, and gives the lock back: a flush that timed out keeps it until its session ends."""
    host = case(tmp_path / "case", plain, clients, engine="mydumper")
    with closing(mysql.connect(plain.database)) as other, other.cursor() as cursor:
        # A session that does nothing: no statement that has run for long.
        cursor.execute("LOCK TABLES runs WRITE")
        with pytest.raises(BackupFailedError, match="Lock wait timeout"):
            host.run()
        cursor.execute("UNLOCK TABLES")
    with session(plain, read_timeout=5) as connection:
        rows(connection, "DELETE FROM audit LIMIT 1")
        connection.commit()
    assert staging(host) == []


@needs_mydumper
def test_table_that_is_altered_meanwhile(
    tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms
) -> None:
    mysql.execute("CREATE TABLE changing (n INT)", database=plain.database)
    host = case(tmp_path / "case", plain, clients)
    alter = Once("storing", lambda: mysql.execute("ALTER TABLE changing ADD m INT", database=plain.database), True)
    with pytest.raises(BackupError, match="1 tables were altered"):
        host.run(alter)
    assert alter.done
    assert host.stored() == {}
    mysql.execute("DROP TABLE changing", database=plain.database)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The directory that dumps wait in of a host `case`, on a file system of 60 MB."""
    with memory_disk(tmp_path / "staging", "60m") as path:
        yield path


@needs_mydumper
def test_disk_that_fills(
    tmp_path: Path, mysql: MysqlServer, plain: MysqlURL, clients: ClientPrograms, small_disk: Path
) -> None:
    with Proxy((mysql.address, mysql.port)) as link:
        link.limit_after(0, 3e6)
        url = MysqlURL(plain.user, plain.password, link.address, link.port, plain.database)
        host = case(tmp_path / "case", url, clients, engine="mydumper")
        (host.state_directory / "staging").symlink_to(small_disk)
        filler = small_disk / "filler"

        def fill_up() -> None:
            link.pass_on()
            with suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))

        with pytest.raises(BackupFailedError, match=r"mydumper.* (No space left|not whole|zstd ended)"):
            host.run(Once("dumping", fill_up))
        assert list(small_disk.iterdir()) == [filler]
        filler.unlink()
        assert host.run().manifest.engine == "mydumper"


def test_what_a_killed_run_left_is_removed(tmp_path: Path, plain: MysqlURL, clients: ClientPrograms) -> None:
    host = case(tmp_path / "case", plain, clients, engine="mysqldump")
    left = host.state_directory / "staging/dump-0123/x.sql.zst"
    left.parent.mkdir(parents=True)
    left.touch()
    host.run()
    assert staging(host) == []


def test_without_mydumper_it_is_mysqldump(tmp_path: Path, plain: MysqlURL, clients: ClientPrograms) -> None:
    host = make_case(tmp_path / "auto", plain, clients, mydumper="/nowhere/mydumper")
    manifest = host.run().manifest
    assert manifest.engine == "mysqldump"
    assert "mydumper is not possible: the program '/nowhere/mydumper' was not found" in manifest.engine_reason
    host = make_case(tmp_path / "configured", plain, clients, engine="mydumper", mydumper="/nowhere/mydumper")
    with pytest.raises(BackupFailedError, match="not found"):
        host.run()

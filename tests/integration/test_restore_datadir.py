"""A backup of any engine becomes a data directory that MySQL starts on, or a database on another server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pymysql
import pytest

from tests.integration.backup_case import Case, Once, ignore, killed_while, make_case
from tests.integration.clone_case import clone_backup
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.scratch import scratch
from wbagent.backup.lease import leased
from wbagent.backup.manifest import Manifest
from wbagent.database.instance import Instance
from wbagent.database.mysqld import find_mysqld
from wbagent.database.process import Account
from wbagent.errors import DatabaseError, RestoreError
from wbagent.restore.datadir import UNFINISHED, restore_datadir
from wbagent.restore.programs import Programs
from wbagent.restore.run import restore_backup

# Who has no name on this host: as a container's mysql has none.
NOBODY = Account(65534, 65534)
DATABASE = "datadir_sample"


@pytest.fixture(scope="module")
def backed_up(
    mysql: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Case, Manifest]]]:
    """A host with a backup by mysqldump, and one by clone."""
    url = mysql.create(DATABASE, "datadir_user", "password")
    mysql.execute("GRANT SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, 8)
    ceph.create_bucket("datadir-sample")
    made = {}
    for engine in ("mysqldump", "clone"):
        directory = tmp_path_factory.mktemp("backed-up") / engine
        drill = {"mysqld": str(mysqld)}
        case = make_case(directory, url, clients, ceph.url("datadir-sample", "p"), owner=engine, drill=drill)
        manifest = case.run().manifest if engine == "mysqldump" else clone_backup(mysql, DATABASE, case, time.time())
        made[engine] = (case, manifest)
    yield made
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that user 65534 owns and can reach."""
    with scratch("datadir") as directory:
        os.chown(directory, NOBODY.uid, NOBODY.gid)
        yield directory


def connected(server: Instance) -> pymysql.Connection:
    return pymysql.connect(unix_socket=str(server.socket), user="root", charset="utf8mb4", autocommit=True)


@pytest.mark.parametrize("engine", ["mysqldump", "clone"])
def test_data_directory(
    backed_up: dict[str, tuple[Case, Manifest]], mysql: MysqlServer, mysqld: Path, place: Path, engine: str
) -> None:
    case, manifest = backed_up[engine]
    target = place / "data"
    target.mkdir()
    os.chown(target, NOBODY.uid, NOBODY.gid)
    done = restore_datadir(case.store, case.settings.backup, "latest", target, ignore)
    assert (done.tables, done.compared.counted) == (len(manifest.tables), len(manifest.tables))
    assert not (target / UNFINISHED).exists()
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in target.rglob("*")}
    assert owners == {(NOBODY.uid, NOBODY.gid)}
    if engine == "clone":
        assert manifest.position
        assert done.gtid_executed == manifest.position.gtid_set
    program = find_mysqld(str(mysqld))
    with Instance(program, target, account=NOBODY, trusted=engine == "clone") as server:
        with connected(server) as after, mysql.connect() as before:
            assert fingerprint(after, DATABASE) == fingerprint(before, DATABASE)
        with pytest.raises(RestoreError, match="a mysqld runs on"):
            restore_datadir(case.store, case.settings.backup, "latest", target, ignore, overwrite=True)
    assert leased_now(case) == frozenset()


def test_data_directory_of_a_running_server_that_made_a_clone_is_refused(
    backed_up: dict[str, tuple[Case, Manifest]], mysql: MysqlServer
) -> None:
    """CLONE LOCAL drops the server's lock on its first file."""
    case, _ = backed_up["clone"]
    data = mysql.directory / "data"
    before = sorted(data.iterdir())
    with pytest.raises(RestoreError, match=f"a mysqld runs on .*process {mysql.pid} has its files open"):
        restore_datadir(case.store, case.settings.backup, "latest", data, ignore, overwrite=True)
    assert sorted(data.iterdir()) == before
    assert mysql.execute("SELECT 1") == [(1,)]


def leased_now(case: Case) -> frozenset[str]:
    return leased(case.store, case.settings.backup.owner, datetime.now(UTC))


def test_directory_that_holds_anything_is_refused(backed_up: dict[str, tuple[Case, Manifest]], place: Path) -> None:
    case, _ = backed_up["clone"]
    (place / "letter").write_text("mine")
    with pytest.raises(RestoreError, match="is not empty"):
        restore_datadir(case.store, case.settings.backup, "latest", place, ignore)
    with pytest.raises(RestoreError, match="no data directory of MySQL"):
        restore_datadir(case.store, case.settings.backup, "latest", place, ignore, overwrite=True)
    assert [path.name for path in place.iterdir()] == ["letter"], "what was never MySQL's is not removed for anybody"
    (place / "ibdata1").write_text("of a server that is gone")
    with pytest.raises(RestoreError, match=r"is not empty .*nothing was touched"):
        restore_datadir(case.store, case.settings.backup, "latest", place, ignore)
    restore_datadir(case.store, case.settings.backup, "latest", place, ignore, overwrite=True)
    assert not (place / "letter").exists()
    assert (place / "mysql.ibd").exists()


def test_link_in_the_place_of_the_mark_is_refused(
    backed_up: dict[str, tuple[Case, Manifest]], place: Path, tmp_path: Path
) -> None:
    """Root empties that directory, and somebody else may write to the one above it."""
    case, _ = backed_up["clone"]
    (tmp_path / "letter").write_text("mine")
    (place / UNFINISHED).symlink_to(tmp_path)
    with pytest.raises(RestoreError, match="is a link"):
        restore_datadir(case.store, case.settings.backup, "latest", place, ignore)
    assert (tmp_path / "letter").read_text() == "mine"


def test_interrupted_restore_leaves_no_data_directory_and_begins_anew(
    backed_up: dict[str, tuple[Case, Manifest]], place: Path
) -> None:
    case, _ = backed_up["clone"]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_datadir(case.store, case.settings.backup, "latest", place, Once("comparing", interrupt, True))
    assert list(place.iterdir()) == [], "what can be tidied up is"

    children = killed_while(case, "comparing", "restore", "latest", "--datadir", str(place))
    assert psutil.wait_procs(children, timeout=30)[1] == [], "mysqld ends with who started it"
    assert [path.name for path in place.iterdir()] == [UNFINISHED], "no mysqld starts on that"
    # As between two renames of the end.
    (place / UNFINISHED / "data/ibdata1").rename(place / "ibdata1")
    done = restore_datadir(case.store, case.settings.backup, "latest", place, ignore)
    assert done.replaced
    assert (place / "mysql.ibd").exists()
    assert not (place / UNFINISHED).exists()


def test_clone_comes_back_as_a_database_of_another_server(
    backed_up: dict[str, tuple[Case, Manifest]], mysql: MysqlServer, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    case, manifest = backed_up["clone"]
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(place))
    url = mysql.create("came_back", "came_back", "password")
    mysql.execute("GRANT ALL ON *.* TO came_back@'%'")
    try:
        done = restore_backup(case.store, case.settings.backup, "latest", url, ignore)
        assert done.compared.counted == len(manifest.tables)
        with mysql.connect() as connection:
            assert fingerprint(connection, "came_back") == fingerprint(connection, DATABASE)
    finally:
        mysql.execute("DROP DATABASE came_back")
        mysql.execute("DROP USER came_back@'%'")
    assert list((place / "scratch").iterdir()) == []


def test_mydumper_that_loses_things_is_refused(backed_up: dict[str, tuple[Case, Manifest]], tmp_path: Path) -> None:
    case, _ = backed_up["mysqldump"]
    old = tmp_path / "myloader"
    old.write_text("#!/bin/sh\necho 'myloader 0.10.1, built against MySQL 5.7.36'\n")
    old.chmod(0o755)
    programs = Programs(case.settings.backup.model_copy(update={"myloader": str(old)}))
    with pytest.raises(DatabaseError, match=r"0\.10\.1, which loses routines and events"):
        programs.myloader()
    missing = case.settings.backup.model_copy(update={"myloader": "/nowhere/myloader"})
    with pytest.raises(DatabaseError, match=r"made by mydumper and .* was not found"):
        Programs(missing).myloader()

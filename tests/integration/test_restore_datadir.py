"""A backup of any engine becomes a data directory that MySQL starts on, or a database on another server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymysql
import pytest

from tests.integration.backup_case import Case, ignore, make_case
from tests.integration.clone_case import clone_backup
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.scratch import scratch
from wbagent.backup.lease import leased
from wbagent.backup.manifest import Manifest
from wbagent.database.instance import Account, Instance
from wbagent.database.mysqld import find_mysqld
from wbagent.errors import RestoreError
from wbagent.restore.datadir import UNFINISHED, restore_datadir

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


def restore(case: Case, directory: Path, report: object = ignore, *, overwrite: bool = False) -> object:
    return restore_datadir(case.store, case.settings.backup, "latest", directory, report, overwrite=overwrite)


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
    assert (done.tables, done.counted) == (len(manifest.tables), len(manifest.tables))
    assert UNFINISHED not in os.listdir(target)
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


def leased_now(case: Case) -> frozenset[str]:
    return leased(case.store, case.settings.backup.owner, datetime.now(UTC))

"""A restore of a proven backup is held against what its drill has read, row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.integration.backup_case import Once, ignore, sample_database
from tests.integration.clone_case import clone_backup
from tests.integration.drill_case import NOBODY, Drilled, made_host
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import change_one_row
from wbagent.backup.manifest import Manifest
from wbagent.config.dsn import MysqlURL
from wbagent.errors import DamagedError
from wbagent.restore.datadir import UNFINISHED, restore_datadir
from wbagent.restore.run import restore_backup

FLOATS = "6 significant digits of FLOAT columns were kept, the rest is lost: runs.loss"
CHANGED = "table history holds other rows than a drill has read"


@pytest.fixture(scope="module")
def database(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql, "proven", 4) as url:
        # More digits than a dump writes.
        mysql.execute("UPDATE runs SET loss = 0.123456789", database=url.database)
        yield url


@pytest.fixture(scope="module", params=["mysqldump", "clone"])
def proven(
    request: pytest.FixtureRequest,
    mysql: MysqlServer,
    ceph: Ceph,
    database: MysqlURL,
    clients: ClientPrograms,
    mysqld: Path,
) -> Iterator[tuple[Drilled, Manifest]]:
    """A host with one proven backup."""
    bucket = f"proven-{request.param}"
    ceph.create_bucket(bucket)
    with made_host(ceph.url(bucket, "p"), database, clients, mysqld) as host:
        clone = request.param == "clone"
        manifest = clone_backup(mysql, database.database, host, 1_800_000_000.0) if clone else host.run().manifest
        proof = host.drill()
        assert proof
        assert "definitions (SHOW CREATE)" in proof.compared
        assert proof.notes == (() if clone else (FLOATS,))
        yield host, manifest


@pytest.fixture
def target(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """An empty database, and an account that may do everything."""
    yield mysql.create("proven_again", "proven_again", "password")
    mysql.execute("DROP DATABASE proven_again")
    mysql.execute("DROP USER proven_again@'%'")


def test_database(
    proven: tuple[Drilled, Manifest], mysql: MysqlServer, target: MysqlURL, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, manifest = proven
    mysql.execute("GRANT ALL ON *.* TO %s@'%%'", target.user)
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(host.state_directory))
    backup = host.settings.backup

    def change() -> None:
        with mysql.connect(target.database) as connection:
            change_one_row(connection)

    with pytest.raises(DamagedError, match=CHANGED):
        restore_backup(host.store, backup, "latest", target, Once("comparing", change, True))
    assert ("wbagent_restore_unfinished",) in mysql.execute("SHOW TABLES", database=target.database)
    done = restore_backup(host.store, backup, "latest", target, Once("comparing", change, True), checksums=False)
    assert done.compared.proven == 0, "sooner, less sure"
    done = restore_backup(host.store, backup, "latest", target, ignore, overwrite=True)
    # What comes out of a clone through a dump has lost digits since the drill.
    assert done.compared.proven == len(manifest.tables) - (manifest.engine == "clone")
    assert done.compared.notes == (FLOATS,)


def test_data_directory(proven: tuple[Drilled, Manifest], database: MysqlURL) -> None:
    host, manifest = proven
    place = host.state_directory / "datadir"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)

    def change() -> None:
        (socket,) = place.glob(f"{UNFINISHED}/mysqld-*/socket")
        with pymysql.connect(
            unix_socket=str(socket), user="root", database=database.database, autocommit=True
        ) as connection:
            change_one_row(connection)

    for option, expected in (((), 1), (("--no-checksums",), 0)):
        told = host.command("restore", "latest", "--datadir", str(place), "--overwrite", *option)
        equal = f"equal to what was proven: {len(manifest.tables)} of {len(manifest.tables)} tables, by CHECKSUM TABLE"
        assert told.stdout.count(equal) == expected, told.stderr
        assert ("FLOAT" in told.stderr) == (manifest.engine == "mysqldump"), "a clone is exact"
    with pytest.raises(DamagedError, match=CHANGED):
        restore_datadir(
            host.store, host.settings.backup, "latest", place, Once("comparing", change, True), overwrite=True
        )


def test_shown(proven: tuple[Drilled, Manifest]) -> None:
    host, manifest = proven
    shown = host.command("backup", "show", "latest").stdout
    assert "counted by the drill" in shown
    assert "compared   stored sha256, tables, views, routines, triggers, events, rows, every row read" in shown
    assert (f"note       {FLOATS}" in shown) == (manifest.engine == "mysqldump")

"""A host with one backup, the ways in which it is read, and how what was made of it may look afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, ignore, make_case
from tests.integration.clone_case import clone_backup
from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.faulty_store import FaultyStore
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from tests.testbed.scratch import scratch
from wbagent.backup.layout import lease_prefix
from wbagent.backup.lease import leased
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Progress
from wbagent.backup.proof import read_proof
from wbagent.bucket.open import open_store
from wbagent.config.dsn import MysqlURL
from wbagent.drill.job import Order, run_drill
from wbagent.restore.datadir import UNFINISHED, restore_datadir
from wbagent.restore.run import restore_backup

NOBODY = 65534
DATABASE = "faults_sample"
TARGET = "faults_target"
_NUMBERS = count(1)


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


@contextmanager
def made_readers(mysql: MysqlServer, clients: ClientPrograms, mysqld: Path, ceph: Ceph) -> Iterator[dict[str, Reader]]:
    """A host with a backup by mysqldump, and one with a clone; both may restore into the server."""
    url = mysql.create(DATABASE, "faults_user", "password")
    mysql.execute("GRANT ALL ON *.* TO faults_user@'%' WITH GRANT OPTION")
    with mysql.connect(url.database) as connection:
        fill(connection, 6)
    bucket = f"restore-faults-{next(_NUMBERS)}"
    ceph.create_bucket(bucket)
    made = {}
    with scratch("faults") as directory:
        for engine in ("mysqldump", "clone"):
            place = ceph.url(bucket, engine)
            case = make_case(directory / engine, url, clients, place, owner=engine, drill={"mysqld": str(mysqld)})
            os.chown(case.state_directory, NOBODY, NOBODY)
            manifest = (
                case.run().manifest if engine == "mysqldump" else clone_backup(mysql, DATABASE, case, time.time())
            )
            made[engine] = Reader(case.directory, case.settings, manifest, mysql, mysql.url("faults_user", TARGET))
        yield made
    mysql.execute(f"DROP DATABASE {DATABASE}")
    mysql.execute("DROP USER faults_user@'%'")


@contextmanager
def at_work(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """With an empty data directory to restore into; at the end all that was made of the backup is forgotten."""
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(reader.state_directory))
    reader.datadir.mkdir()
    os.chown(reader.datadir, NOBODY, NOBODY)
    yield reader
    reader.clear()

"""Real services for the integration tests: one MySQL server and one S3 store for all, a place of its own for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.integration.age_key import Key
from tests.testbed.authority import Authority
from tests.testbed.ceph import Ceph
from tests.testbed.errors import BedError
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import MARIADB_CLIENT, ClientPrograms, age_programs, client_programs, mariadb_dump
from tests.testbed.mysqld_program import mysqld_program
from tests.testbed.receiver import Receiver
from tests.testbed.rootfs import CEPH, MYSQL, TOOLS, Recipe, root_file_system
from tests.testbed.scratch import scratch
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.monitor.trust import forget

_numbers = count(1)


def require(recipe: Recipe) -> None:
    """Skip with the reason where this machine cannot run what is in the tree."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the servers run in a chroot")
    if not shutil.which("mmdebstrap"):
        pytest.skip("needs mmdebstrap to make the servers' file systems")
    try:
        root_file_system(recipe)
    except BedError as error:
        pytest.skip(f"no file system to run the server in: {error}")


@pytest.fixture(autouse=True)
def trusting_anew() -> None:
    """Each test begins as a process does, which has not read whom this host trusts."""
    forget()


@pytest.fixture(scope="session")
def mysql() -> Iterator[MysqlServer]:
    """One MySQL 9.7 server for all tests; a test that harms it starts its own."""
    require(MYSQL)
    with MysqlServer() as server:
        yield server


@pytest.fixture
def database(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """An empty database with a user of its own, made as W&B's guide says."""
    number = next(_numbers)
    url = mysql.create(f"wandb_{number}", f"wandb_user_{number}", "pass/word+with:all@of#it%")
    yield url
    mysql.execute(f"DROP DATABASE IF EXISTS `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """One S3 store for all tests; a test that harms it starts its own."""
    require(CEPH)
    with Ceph() as store:
        yield store


@pytest.fixture
def bucket(ceph: Ceph) -> S3URL:
    """An empty bucket with a prefix, made for this test."""
    name = f"bucket-{next(_numbers)}"
    ceph.create_bucket(name)
    return ceph.url(name, "backups/host1")


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> ClientPrograms:
    """MySQL's own `mysqldump` and `mysql`, of the server's version."""
    require(MYSQL)
    return client_programs(tmp_path_factory.mktemp("mysql-clients"))


@pytest.fixture(scope="session")
def mysqld() -> Iterator[Path]:
    """MySQL's own `mysqld`, of the server's version, that any user can run."""
    require(MYSQL)
    with scratch("mysqld") as directory:
        yield mysqld_program(directory)


@pytest.fixture(scope="session")
def mariadb_mysqldump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `mysqldump` that Debian 13 installs, which is MariaDB's."""
    require(MARIADB_CLIENT)
    return mariadb_dump(tmp_path_factory.mktemp("mariadb-client"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A place that alerts are posted to."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def age(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with runnable `age` and `age-keygen`."""
    require(TOOLS)
    return age_programs(tmp_path_factory.mktemp("age"))


@pytest.fixture
def keys(age: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """Three pairs, age on PATH, and a directory for the drill's key."""
    monkeypatch.setenv("PATH", f"{age}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    paths = [tmp_path / f"key{number}" for number in range(3)]
    for path in paths:
        subprocess.run([age / "age-keygen", "-o", path], check=True, capture_output=True)
    return [Key(path.read_text().split("public key: ")[1].split()[0], path) for path in paths]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that nobody trusts unless told to."""
    if not Authority.possible():
        pytest.skip("needs openssl to make certificates")
    return Authority(tmp_path_factory.mktemp("authority"))

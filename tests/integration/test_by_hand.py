"""A backup is restored without wbagent, by the programs that the manual names and from the layout that it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.backup_case import make_case
from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import inside
from tests.testbed.rootfs import TOOLS, root_file_system
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from wbagent.config.dsn import S3URL


@dataclass(frozen=True)
class Shell:
    """A shell on a machine that has these programs and no wbagent; its working directory is `directory`."""

    directory: Path
    store: Ceph

    def run(self, script: str, data: str = "") -> str:
        keys = self.store.credentials
        alias = (
            f"minio-client --quiet alias set offsite {self.store.endpoint_url} '{keys.access_key}' '{keys.secret_key}'"
        )
        text = f"cd /mnt; export HOME=/mnt; {alias} > /dev/null; {script}"
        command = inside(root_file_system(TOOLS), self.directory, ["bash", "-euo", "pipefail", "-c", text])
        return run(command, input=data, timeout=120).stdout


@pytest.fixture
def shell(tmp_path: Path, ceph: Ceph) -> Shell:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    return Shell(directory, ceph)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MysqlServer]:
    shared = tmp_path_factory.mktemp("clones")
    with MysqlServer(settings={"plugin_load_add": "mysql_clone.so"}, shared=shared) as running:
        url = running.create("wandb_local", "backup", "password")
        running.execute("GRANT BACKUP_ADMIN, PROCESS, SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
        with running.connect(url.database) as connection:
            fill(connection, 3)
        yield running


@pytest.mark.parametrize("engine", ["mysqldump", "clone"])
def test_backup_is_restored_by_hand(
    engine: str, server: MysqlServer, clients: ClientPrograms, bucket: S3URL, shell: Shell, tmp_path: Path
) -> None:
    url = server.url("backup", "wandb_local")
    case = make_case(tmp_path / "case", url, clients, bucket, engine=engine, clone_directory=str(server.shared))
    case.run()
    with server.connect() as connection:
        expected = fingerprint(connection, url.database)

    owner = f"offsite/{bucket.bucket}/{bucket.prefix}/host1/backups"
    newest = shell.run(f"minio-client ls {owner}/ | tail -1").split()[-1].rstrip("/")
    manifest = json.loads(shell.run(f"minio-client cat {owner}/{newest}/manifest.json"))
    [stored] = manifest["objects"]
    shell.run(
        f"minio-client cp --quiet {owner}/{newest}/{stored['file']} . && sha256sum -c",
        f"{stored['sha256']}  {stored['file']}",
    )
    if engine == "clone":
        shell.run(f"mkdir datadir && zstd -dc {stored['file']} | tar -x -C datadir")
        with MysqlServer(data=shell.directory / "datadir") as again, again.connect() as connection:
            assert fingerprint(connection, url.database) == expected
        return
    shell.run(f"zstd -d {stored['file']}")
    with MysqlServer() as again:
        facts = manifest["database"]
        target = again.create(facts["name"], "owner", "password")
        again.execute("GRANT ALL ON *.* TO %s@'%%'", target.user)
        command = [
            clients.mysql,
            f"--host={target.host}",
            f"--port={target.port}",
            "--user=owner",
            "--password=password",
        ]
        with (shell.directory / "database.sql").open("rb") as dump:
            run([*map(str, command), facts["name"]], input=dump)
        with again.connect() as connection:
            assert fingerprint(connection, url.database) == expected

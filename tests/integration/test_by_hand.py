"""A backup is restored without wbagent, by the programs that the manual names and from the layout that it tells."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.age_key import Key
from tests.integration.backup_case import make_case
from tests.integration.binlog_case import executed, shipping, shipping_case
from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import inside
from tests.testbed.rootfs import TOOLS, root_file_system
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.scratch import scratch
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


@pytest.mark.parametrize(("engine", "encrypted"), [("mysqldump", False), ("mysqldump", True), ("clone", True)])
def test_backup_is_restored_by_hand(
    engine: str,
    encrypted: bool,
    server: MysqlServer,
    clients: ClientPrograms,
    bucket: S3URL,
    shell: Shell,
    keys: list[Key],
    tmp_path: Path,
) -> None:
    url = server.url("backup", "wandb_local")
    settings = {"engine": engine, "clone_directory": str(server.shared)}
    # Encrypted ones are stored as several objects.
    recipients = {"encrypt_to": [keys[0].public], "object_size": "1M"} if encrypted else {}
    case = make_case(tmp_path / "case", url, clients, bucket, **settings, **recipients)
    case.run()
    with server.connect() as connection:
        expected = fingerprint(connection, url.database)

    owner = f"offsite/{bucket.bucket}/{bucket.prefix}/host1/backups"
    newest = shell.run(f"minio-client ls {owner}/ | tail -1").split()[-1].rstrip("/")
    manifest = json.loads(shell.run(f"minio-client cat {owner}/{newest}/manifest.json"))
    [stored] = manifest["objects"]
    assert (len(stored.get("pieces", ())) > 1) is encrypted
    shell.run(f"minio-client cp --quiet --recursive {owner}/{newest}/ .")
    shell.run(f"cat {stored['file']}* | sha256sum --check /dev/fd/3 3<<< '{stored['sha256']}  -'")
    (shell.directory / "key").write_text(keys[0].path.read_text())
    opened = f"cat {stored['file']}*" + (" | age --decrypt --identity key" if encrypted else "")
    if engine == "clone":
        shell.run(f"mkdir datadir && {opened} | zstd -dc | tar -x -C datadir")
        with MysqlServer(data=shell.directory / "datadir") as again, again.connect() as connection:
            assert fingerprint(connection, url.database) == expected
        return
    shell.run(f"{opened} | zstd -dc > database.sql")
    with MysqlServer() as again:
        target = again.create(manifest["database"]["name"], "owner", "password")
        again.execute("GRANT ALL ON *.* TO %s@'%%'", target.user)
        way = [f"--host={target.host}", f"--port={target.port}", "--user=owner", "--password=password"]
        with (shell.directory / "database.sql").open("rb") as dump:
            run([str(clients.mysql), *way, target.database], input=dump)
        with again.connect() as connection:
            assert fingerprint(connection, url.database) == expected


def test_encrypted_clone_becomes_a_data_directory(
    server: MysqlServer, clients: ClientPrograms, mysqld: Path, bucket: S3URL, keys: list[Key], tmp_path: Path
) -> None:
    """Not by hand: the same backup by wbagent, for those who have it."""
    url = server.url("backup", "wandb_local")
    keys_of = {"engine": "clone", "clone_directory": str(server.shared), "encrypt_to": [keys[0].public]}
    case = make_case(
        tmp_path / "case", url, clients, bucket, object_size="1M", drill={"mysqld": str(mysqld)}, **keys_of
    )
    case.run()
    with server.connect() as connection:
        expected = fingerprint(connection, url.database)
    with scratch("encrypted") as place:
        place.chmod(0o755)
        target = place / "data"
        target.mkdir()
        # mysqld does not run as root.
        shutil.chown(target, "nobody", "nogroup")
        arguments = ("restore", "latest", "--datadir", str(target))
        refused = case.command(*arguments)
        assert (refused.returncode, list(target.iterdir())) == (74, [])
        done = case.command(*arguments, "--identity", str(keys[0].path))
        assert done.returncode == 0, done.stderr
        with MysqlServer(data=target) as again, again.connect() as connection:
            assert fingerprint(connection, url.database) == expected


ROOT = Path(__file__).parents[2]


def test_binary_logs_are_put_together_by_hand(
    server: MysqlServer, clients: ClientPrograms, bucket: S3URL, shell: Shell, tmp_path: Path
) -> None:
    server.execute("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO backup@'%'")
    server.execute("FLUSH BINARY LOGS")
    case = shipping_case(tmp_path / "case", server.url("backup", "wandb_local"), clients, bucket)
    with shipping(case) as host:
        for statement in ("CREATE TABLE by_hand (id INT)", "INSERT INTO by_hand VALUES (7)"):
            server.execute(statement, database="wandb_local")
            host.until_stored(executed(server))
        server.execute("FLUSH BINARY LOGS")
        host.until(lambda: len(host.catalog()) == 2, "rotated")
        name = host.catalog()[0].id.name
    owner = f"offsite/{bucket.bucket}/{bucket.prefix}/host1/binlogs"
    uuid = shell.run(f"minio-client ls {owner}/").split()[-1].rstrip("/")
    first = shell.run(f"minio-client ls {owner}/{uuid}/").splitlines()[0]
    directory = first.split()[-1].rstrip("/")
    assert directory.startswith(f"{name}.")
    shell.run(f"minio-client cp --quiet --recursive {owner}/{uuid}/{directory}/ pieces/")
    # As the manual says it: from one start the longest.
    manual = (ROOT / "docs/man/wbagent.8.md").read_text()
    loop = manual[manual.index("    at=000000000000") : manual.index("    done > binlog.000012")]
    shell.run(f"set +eu +o pipefail\n{loop}    done > {name}")
    assert (shell.directory / name).read_bytes() == (server.directory / "data" / name).read_bytes()
    statements = run([str(clients.mysqlbinlog), "--no-defaults", "--skip-gtids", str(shell.directory / name)]).stdout
    assert "CREATE TABLE by_hand" in statements
    server.execute("DROP TABLE wandb_local.by_hand")

"""Encrypted backups: only the holder of a secret key reads them, and everything is found out before it is too late."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.age_key import Key
from tests.integration.backup_case import Case, Once, child, ignore, make_case, processes_that_show
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.scratch import scratch
from wbagent.age import Identity
from wbagent.backup import drill_key
from wbagent.backup.job import BackupFailedError
from wbagent.backup.layout import object_key
from wbagent.backup.proof import read_proof
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.drill.job import DrillFailedError, Order, run_drill
from wbagent.errors import RestoreError
from wbagent.restore.run import restore_backup

needs_ssh_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs openssh-client")


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    url = mysql.create("encrypted_sample", "encrypted_user", "password")
    mysql.execute("GRANT ALL ON restored_sample.* TO %s@'%%'", url.user)
    mysql.execute("GRANT SHOW_ROUTINE, SET_ANY_DEFINER, SYSTEM_USER ON *.* TO %s@'%%'", url.user)
    mysql.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    with mysql.connect(url.database) as connection:
        fill(connection, 12)
    yield url
    mysql.execute("SET GLOBAL log_bin_trust_function_creators = DEFAULT")
    for database in (url.database, "restored_sample"):
        mysql.execute(f"DROP DATABASE IF EXISTS `{database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture
def case(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL, keys: list[Key]) -> Case:
    recipients = [key.public for key in keys[:2]]
    return make_case(tmp_path / "host", sample, clients, bucket, encrypt_to=recipients, engine="mysqldump")


def test_each_recipient_and_the_drill_restore_it_and_nobody_else(
    case: Case, mysql: MysqlServer, sample: MysqlURL, keys: list[Key]
) -> None:
    seen: list[str] = []
    manifest = case.run(Once("dumping", lambda: seen.extend(processes_that_show("AGE-SECRET-KEY")))).manifest
    assert seen == []
    assert [each.file for each in manifest.objects] == ["database.sql.zst.age"]
    assert list(case.stored().values()) == ["complete"]
    stored = b"".join(case.store.get(object_key("host1", manifest.id, "database.sql.zst.age")))
    assert stored.startswith(b"age-encryption.org/v1\n")

    target = MysqlURL(sample.user, sample.password, sample.host, sample.port, "restored_sample", sample.options)
    for identity, message in ((None, "is encrypted to age1"), (keys[2].identity, "no identity matched .* nothing was")):
        with pytest.raises(RestoreError, match=message) as caught:
            restore_backup(case.store, case.settings.backup, "latest", target, ignore, identity=identity)
        assert "--identity" in caught.value.hint
        assert mysql.execute("SHOW DATABASES LIKE 'restored_sample'") == []

    with mysql.connect() as connection:
        original = fingerprint(connection, sample.database)
        for identity in (keys[1].identity, drill_key.identity()):
            restore_backup(case.store, case.settings.backup, "latest", target, ignore, identity=identity)
            assert fingerprint(connection, "restored_sample") == original
            mysql.execute("DROP DATABASE restored_sample")


@pytest.fixture
def ssh_keys(tmp_path: Path) -> dict[str, Path]:
    """SSH keys as ssh-keygen makes them, one with a passphrase; each public one is beside it."""
    made = {}
    for name, options in {"ed25519": ["-N", ""], "rsa": ["-N", "", "-b", "2048"], "locked": ["-N", "words"]}.items():
        made[name] = tmp_path / f"ssh-{name}"
        kind = "rsa" if name == "rsa" else "ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-f", made[name], *options], check=True)
    return made


@needs_ssh_keygen
def test_ssh_keys_open_it_and_what_cannot_be_used_is_no_fault_of_the_backup(
    tmp_path: Path,
    mysql: MysqlServer,
    sample: MysqlURL,
    clients: ClientPrograms,
    mysqld: Path,
    bucket: S3URL,
    keys: list[Key],
    ssh_keys: dict[str, Path],
) -> None:
    public = [path.with_suffix(".pub").read_text().strip() for path in ssh_keys.values()]
    with scratch("ssh") as directory:
        drill = {"mysqld": str(mysqld)}
        host = make_case(
            directory / "host", sample, clients, bucket, encrypt_to=public, engine="mysqldump", drill=drill
        )
        os.chown(host.state_directory, 65534, 65534)
        manifest = host.run().manifest
        # The comment behind a key says whose it is: that is nobody's business at the store.
        assert manifest.encryption
        assert manifest.encryption.recipients == tuple(" ".join(key.split()[:2]) for key in public)
        target = MysqlURL(sample.user, sample.password, sample.host, sample.port, "restored_sample", sample.options)
        useless = {
            "no identity matched": keys[0].path.read_text(),
            "passphrase": ssh_keys["locked"].read_text(),
            "unknown identity type": public[0],
            "no secret keys": "",
        }
        for said, text in useless.items():
            with pytest.raises(
                RestoreError, match=f"backup {manifest.id} is encrypted to .*{said}.*; nothing was touched"
            ):
                restore_backup(host.store, host.settings.backup, "latest", target, ignore, identity=Identity(text))
            assert mysql.execute("SHOW DATABASES LIKE 'restored_sample'") == []
            order = Order(manifest.id, Identity(text))
            with host.state() as state, pytest.raises(DrillFailedError, match=f"no backup was proven: .*{said}"):
                run_drill(host.settings, state, host.state_directory, ignore, order)
        assert read_proof(host.store, manifest) is None
        with mysql.connect() as connection:
            original = fingerprint(connection, sample.database)
            for name in ("ed25519", "rsa"):
                identity = Identity(ssh_keys[name].read_text())
                restore_backup(host.store, host.settings.backup, "latest", target, ignore, identity=identity)
                assert fingerprint(connection, "restored_sample") == original
                mysql.execute("DROP DATABASE restored_sample")


def test_command_takes_the_key_from_a_file_or_standard_input(case: Case, mysql: MysqlServer, keys: list[Key]) -> None:
    case.run()
    url = case.settings.database_url()
    assert url is not None
    target = MysqlURL(url.user, url.password, url.host, url.port, "restored_sample", url.options)
    dsn = case.directory / "dsn"
    dsn.write_text(str(target))
    asked = case.command("restore", "latest", "--into", f"@{dsn}")
    assert asked.returncode == 74
    assert "--identity FILE" in asked.stderr
    done = case.command("restore", "latest", "--into", f"@{dsn}", "--identity", "-", text=keys[0].path.read_text())
    assert done.returncode == 0, done.stderr
    mysql.execute("DROP DATABASE restored_sample")


def test_drill_key_opens_the_newest_backup_only_and_can_be_forgotten(case: Case, keys: list[Key]) -> None:
    path = Path(os.environ["RUNTIME_DIRECTORY"]) / "key"
    first = case.run().manifest
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(path.parent.stat().st_mode)[-3:] == "700"
    before = drill_key.identity()
    second = case.run().manifest
    assert first.encryption is not None
    assert second.encryption is not None
    assert before is not None
    assert drill_key.identity() != before
    assert first.encryption.drill in before.text
    assert second.encryption.recipients == tuple(key.public for key in keys[:2])
    own = drill_key.renew()
    drill_key.forget("age1another")
    assert drill_key.identity() is not None, "it is that of a backup that began during the other's drill"
    drill_key.forget(own)
    assert drill_key.identity() is None
    drill_key.forget(own)
    drill_key.forget()


def test_age_that_dies_half_way_leaves_nothing(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL, keys: list[Key]
) -> None:
    kill = Once("dumping", lambda: child("--recipient").kill())
    with Proxy((sample.host, sample.port)) as slow:
        slow.limit_after(0, 6e6)
        url = MysqlURL(sample.user, sample.password, slow.address, slow.port, sample.database, sample.options)
        case = make_case(tmp_path / "host", url, clients, bucket, encrypt_to=keys[0].public, engine="mysqldump")
        with pytest.raises(BackupFailedError, match="age was killed by signal 9"):
            case.run(kill)
    assert kill.done
    assert ceph.keys(bucket.bucket) == []
    assert ceph.unfinished_uploads(bucket.bucket) == []


def test_without_the_program_nothing_begins(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupFailedError) as caught:
        case.run()
    assert caught.value.hint == "apt install age"


def test_wrong_and_secret_keys_are_refused_by_the_check(case: Case, keys: list[Key]) -> None:
    secret = next(line for line in keys[0].path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
    mistyped = keys[0].public[:-1] + ("q" if keys[0].public.endswith("x") else "x")
    for wrong in (secret, mistyped):
        case.configuration.write_text(f'[backup]\nencrypt_to = ["{wrong}"]\n')
        checked = case.command("config", "check")
        assert checked.returncode == 78
        assert "encrypt_to" in checked.stderr
        assert secret not in checked.stderr


def test_drill_proves_it_with_the_one_time_key_and_forgets_that(
    sample: MysqlURL, clients: ClientPrograms, mysqld: Path, bucket: S3URL, keys: list[Key]
) -> None:
    with scratch("drill") as directory:
        case = make_case(
            directory / "host1",
            sample,
            clients,
            bucket,
            encrypt_to=keys[0].public,
            engine="mysqldump",
            drill={"mysqld": str(mysqld)},
        )
        os.chown(case.state_directory, 65534, 65534)
        manifest = case.run().manifest
        with case.state() as state:
            proof = run_drill(case.settings, state, case.state_directory, ignore, Order())
            assert proof is not None
            assert proof.ok
            assert drill_key.identity() is None
            with pytest.raises(DrillFailedError, match="one-time key for its drill is gone"):
                run_drill(case.settings, state, case.state_directory, ignore, Order(manifest.id))
            key = object_key("host1", manifest.id, "database.sql.zst.age")
            data = bytearray(b"".join(case.store.get(key)))
            data[len(data) // 2] ^= 1
            case.store.put(key, bytes(data))
            with pytest.raises(DrillFailedError, match="NOT a good one"):
                run_drill(case.settings, state, case.state_directory, ignore, Order(manifest.id, keys[0].identity))

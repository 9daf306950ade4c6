"""The archive of an embedded server's files: only a whole one counts, and what is stored comes back as it was."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.backup.sample_manifest import ID, manifest
from wbagent.backup.files import Archive, fetched, restore_files, store_files
from wbagent.backup.layout import object_key
from wbagent.backup.manifest import FilesRecord, Manifest
from wbagent.backup.pipeline import Packing
from wbagent.backup.progress import Progress
from wbagent.bucket.directory import DirectoryStore
from wbagent.config.model import BackupSettings
from wbagent.errors import BackupError, RestoreError


def tar() -> bytes:
    """A tar as Docker writes it, with data in it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in (("env/users.htpasswd", b"user:hash\n"), ("env/signer.key", bytes(5000))):
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mode = len(text), 999, 0o600
            archive.addfile(member, io.BytesIO(text))
    return data.getvalue()


def ignore(_: Progress) -> None:
    """For whoever does not look at the progress."""


def stored_in(store: DirectoryStore, archive: Archive) -> Manifest:
    stored = store_files(archive, store, ("host1", ID), Packing(3, 1), BackupSettings(), ignore)
    record = manifest()
    files = FilesRecord(file=stored.file, members=archive.members)
    return record.model_copy(update={"objects": (*record.objects, stored), "files": files})


@contextmanager
def behind_a_socket(path: Path, data: bytes) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    with behind_a_socket(tmp_path / "s", tar()) as path, fetched(path) as archive:
        record = stored_in(store, archive)
    done = restore_files(store, record, tmp_path / "env.tar", ignore)
    assert done.members == 2
    assert (tmp_path / "env.tar").read_bytes() == tar()
    assert (tmp_path / "env.tar").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RestoreError, match="exists already"):
        restore_files(store, record, tmp_path / "env.tar", ignore)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1024, 2048, -512, -1024, -1])
def test_archive_that_broke_off_is_no_archive(tmp_path: Path, length: int) -> None:
    whole = tar().rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    # Exactly two blocks of end, so that every cut of one shows.
    data = (whole + bytes(1024))[:length]
    with behind_a_socket(tmp_path / "s", data) as path, pytest.raises(BackupError, match="broke off"), fetched(path):
        pass


def test_nobody_behind_the_socket(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be read") as caught, fetched(tmp_path / "missing"):
        pass
    assert "systemctl status wandb-local" in caught.value.hint


def test_files_that_were_changed_are_refused(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    with behind_a_socket(tmp_path / "s", tar()) as path, fetched(path) as archive:
        record = stored_in(store, archive)
    key = object_key("host1", ID, "files.tar.zst")
    stored = b"".join(store.get(key))
    for changed in (stored[:-1] + b"x", stored[:-9], b"nothing", b""):
        store.put(key, changed)
        with pytest.raises(RestoreError, match=r"not what was stored|cannot be decompressed"):
            restore_files(store, record, tmp_path / "env.tar", ignore)
        assert [path.name for path in tmp_path.iterdir() if "env" in path.name] == []


def test_backup_of_an_external_server_has_none(tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="not an embedded one"):
        restore_files(DirectoryStore(tmp_path), manifest(), tmp_path / "env.tar", ignore)

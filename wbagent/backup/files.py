"""The embedded server's own files in a backup: fetched as a tar, proven whole, compressed, stored, read back."""

from __future__ import annotations

import hashlib
import os
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import zstandard

from wbagent.backup.layout import files_key
from wbagent.backup.manifest import FilesRecord, Manifest, StoredObject
from wbagent.backup.pipeline import prove
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Store
from wbagent.errors import BackupError, RestoreError

_CHUNK: Final = 1 << 20
# More than this goes to disk on its way.
_IN_MEMORY: Final = 8 << 20
_SILENCE_S: Final = 120.0
# A tar ends with two empty blocks; an archive that broke off has none, whatever else can be read of it.
_END: Final = bytes(1024)


@dataclass(frozen=True, slots=True)
class Archive:
    """A whole tar; `members` are its files and directories."""

    data: IO[bytes]
    members: int


@contextmanager
def fetched(path: Path) -> Iterator[Archive]:
    """The tar that is behind this socket, read to its end; raises BackupError unless it is whole."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as data:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_SILENCE_S)
                connection.connect(str(path))
                while chunk := connection.recv(_CHUNK):
                    data.write(chunk)
        except OSError as error:
            raise BackupError(
                f"the embedded server's files cannot be read through {path}: {error.strerror or error}",
                hint="the embedded server must run during its backup: systemctl status wandb-local",
            ) from None
        yield Archive(data, _members(data))


def _members(data: IO[bytes]) -> int:
    """How many a whole tar has; raises BackupError for what is none."""
    size = data.seek(0, os.SEEK_END)
    data.seek(max(size - len(_END), 0))
    whole = size % 512 == 0 and data.read() == _END
    data.seek(0)
    try:
        with tarfile.open(fileobj=data, mode="r:") as archive:
            count = sum(1 for _ in archive)
    except (tarfile.TarError, OSError):
        count = 0
    data.seek(0)
    if not whole or not count:
        raise BackupError(
            f"the archive of the embedded server's files broke off after {size} bytes",
            hint="journalctl -u 'wandb-local-files@*' says why; then: wbagent backup run",
        )
    return count


def store_files(archive: Archive, store: Store, owner: str, name: str, level: int, meter: Meter) -> FilesRecord:
    """Store it compressed under backup `name`, read it back and compare; raises BackupError, BucketError."""
    key, plain, stored = files_key(owner, name), hashlib.sha256(), hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    plain_size = size = 0
    with store.writer(key, largest=archive.data.seek(0, os.SEEK_END)) as writer:
        archive.data.seek(0)
        while chunk := archive.data.read(_CHUNK):
            plain.update(chunk)
            plain_size += len(chunk)
            packed = compressor.compress(chunk)
            stored.update(packed)
            size += len(packed)
            if packed:
                writer.write(packed)
        packed = compressor.flush()
        stored.update(packed)
        size += len(packed)
        writer.write(packed)
        writer.commit()
    record = StoredObject(size=size, sha256=stored.hexdigest(), plain_size=plain_size, plain_sha256=plain.hexdigest())
    prove(store, key, record, meter)
    return FilesRecord(members=archive.members, object=record)


def restore_files(store: Store, manifest: Manifest, target: Path) -> FilesRecord:
    """Write the tar of a backup to a new file that only its owner can read; raises RestoreError, BucketError.

    The checksums of what is stored and of the tar are proven before the file gets its name.
    """
    files = manifest.files
    if files is None:
        raise RestoreError(
            f"backup {manifest.id} holds no files: its server was not an embedded one",
            hint="restore its database alone: wbagent restore ID --into DSN",
        )
    fresh = target.with_name(f"{target.name}.unfinished")
    digest = hashlib.sha256()
    try:
        if target.exists():
            raise RestoreError(f"{target} exists already; nothing was touched", hint="name another file in --files")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in _plain(store, manifest, files):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != files.object.plain_sha256:
            raise _differs(manifest)
        fresh.rename(target)
    except OSError as error:
        raise RestoreError(
            f"{target} cannot be written: {error.strerror}", hint="name a file in a directory that you may write to"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
    return files


def _plain(store: Store, manifest: Manifest, files: FilesRecord) -> Iterator[bytes]:
    """The tar out of what is stored; raises RestoreError at the end when that is not what was stored."""
    digest = hashlib.sha256()
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    for chunk in store.get(files_key(manifest.owner, manifest.id)):
        digest.update(chunk)
        try:
            yield decompressor.decompress(chunk)
        except zstandard.ZstdError:
            raise _differs(manifest) from None
    if digest.hexdigest() != files.object.sha256:
        raise _differs(manifest)


def _differs(manifest: Manifest) -> RestoreError:
    return RestoreError(
        f"the files of backup {manifest.id} are not what was stored: their SHA-256 differs from the commit record's",
        hint="use another backup (wbagent backup list), and find out who or what changed this one",
    )

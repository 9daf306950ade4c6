"""The embedded server's own files in a backup: fetched as a tar, proven whole, compressed, stored, read back."""

from __future__ import annotations

import os
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from wbagent.age import Identity
from wbagent.backup.layout import FILES
from wbagent.backup.manifest import FilesRecord, Manifest, StoredObject
from wbagent.backup.pipeline import Packing, packed
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.reading import plain, require_identity
from wbagent.backup.storing import Storing
from wbagent.bucket.store import Store
from wbagent.chunk import CHUNK
from wbagent.config.model import BackupSettings
from wbagent.durable import new_file
from wbagent.errors import BackupError, RestoreError

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
                while chunk := connection.recv(CHUNK):
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


def store_files(
    archive: Archive,
    store: Store,
    backup: tuple[str, str],
    packing: Packing,
    settings: BackupSettings,
    report: Reporter,
) -> StoredObject:
    """Store it packed as part of the backup of this owner and id, and prove it; raises BackupError, BucketError."""
    with Storing(store, backup, FILES + packing.suffix, settings.object_size, read_back=settings.read_back) as storing:
        with packed(packing, storing, Meter("storing files", report)) as pipeline:
            while chunk := archive.data.read(CHUNK):
                pipeline.write(chunk)
            plain_archive = pipeline.finish()
        storing.commit()
        return storing.proven(plain_archive, report, "reading files back")


def restore_files(
    store: Store, manifest: Manifest, target: Path, report: Reporter, identity: Identity | None = None
) -> FilesRecord:
    """Write the tar of a backup to a new file that only its owner can read; raises RestoreError, BucketError.

    The tar's checksum is proven before the file gets its name.
    """
    files = manifest.files
    if files is None:
        raise RestoreError(
            f"backup {manifest.id} holds no files: its server was not an embedded one",
            hint="restore its database alone: wbagent restore ID --into DSN",
        )
    stored = manifest.object(files.file)
    require_identity(manifest, identity)
    fresh = target.with_name(f"{target.name}.unfinished")
    untouched = "nothing was written"
    try:
        if target.exists():
            raise RestoreError(f"{target} exists already; nothing was touched", hint="name another file in --files")
        fresh.unlink(missing_ok=True)
        with new_file(fresh, 0o600) as file:
            for chunk in plain(store, manifest, stored, Meter("writing files", report), untouched, identity):
                file.write(chunk)
        fresh.rename(target)
    except OSError as error:
        raise RestoreError(
            f"{target} cannot be written: {error.strerror}", hint="name a file in a directory that you may write to"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
    return files

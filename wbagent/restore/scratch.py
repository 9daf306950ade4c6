"""Room on the disk for what a restore has in between; what a killed one left there is removed by the next."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wbagent.backup.manifest import Manifest
from wbagent.database.process import Account, account_for
from wbagent.errors import RestoreError
from wbagent.quantities import format_size

_PREFIX: Final = "restoring-"
# A new server's own files, and what a load has in logs and temporary files.
_MARGIN: Final = 512 << 20
# Indexes are not in a dump; long values are in it twice as long (--hex-blob).
_GROWTH: Final = 1.3
# mydumper's files are compressed; of records that do not tell how large the tables were.
_UNPACKED: Final = 4


@contextmanager
def scratch(parent: Path, *, for_mysqld: bool = True) -> Iterator[tuple[Path, Account | None]]:
    """A directory below `parent`, gone at the end, and who mysqld is to run as in it, if it is `for_mysqld`.

    `parent` is made when missing. Raises RestoreError, DatabaseError.
    """
    try:
        if not parent.exists():
            parent.mkdir(mode=0o750)
            above = parent.parent.stat()
            if os.geteuid() == 0:
                os.chown(parent, above.st_uid, above.st_gid)
        account = account_for(parent) if for_mysqld else None
        with _locked(parent):
            _sweep(parent)
            directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            # Held until this process ends, by whatever cause; no child inherits it.
            owner = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(owner, fcntl.LOCK_EX)
        if account is not None:
            os.chown(directory, account.uid, account.gid)
    except OSError as error:
        raise RestoreError(f"{parent} cannot be used: {error.strerror}", hint="run as root or user wbagent") from None
    try:
        yield directory, account
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(owner)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keeps another process from sweeping away what is being made."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # Removed meanwhile by the restore that has ended, or nothing that a restore has left.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(descriptor)


def data_size(manifest: Manifest) -> int:
    """Bytes that a data directory made from this backup may take, at most about."""
    plain = manifest.data.plain_size
    match manifest.engine:
        case "clone":
            return _MARGIN + plain
        case "mysqldump":
            return _MARGIN + int(plain * _GROWTH)
        case "mydumper":
            return _MARGIN + (manifest.database.data_bytes or plain * _UNPACKED)


def unpacked_size(manifest: Manifest) -> int:
    """Bytes that have to be there before the first of them is loaded: a clone's server, mydumper's files, no dump."""
    return 0 if manifest.engine == "mysqldump" else _MARGIN + manifest.data.plain_size


def room_needed(manifest: Manifest) -> int:
    """Bytes that a server of its own on this backup takes, with what it is loaded from."""
    return data_size(manifest) + (manifest.data.plain_size if manifest.engine == "mydumper" else 0)


def check_room(directory: Path, needed: int) -> None:
    """Raise RestoreError unless so many bytes are free on the directory's file system for this user."""
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise RestoreError(
            f"{directory} has {format_size(free)} free and the restore needs about {format_size(needed)};"
            " nothing was touched",
            hint=f"make room on that disk: df {mount_point(directory)}",
        )


def mount_point(directory: Path) -> Path:
    """Where its file system is mounted: what a person can look at, also when the directory is gone again by then."""
    return next((path for path in (directory, *directory.parents) if path.is_mount()), directory)

"""Files and renames that outlast a power cut: the directory has to reach the disk as well (fsync(2), NOTES)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def new_file(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A file that is made here: what lies under its name already, a link too, is never followed or written into.

    Readable for its owner alone until the block has ended; then it has its mode and is on the disk. Raises OSError.
    """
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield file
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


@contextmanager
def whole_file(path: Path, mode: int) -> Iterator[BinaryIO]:
    """What `path` is to hold: when the block has ended it does, with this mode, and on the disk; or it is as it was.

    What is written is readable for its owner alone until then. Raises OSError.
    """
    fresh = path.with_name(f".{path.name}.new")
    # Whoever may write to the directory may have put a link there.
    fresh.unlink(missing_ok=True)
    try:
        with new_file(fresh, mode) as file:
            yield file
        fresh.rename(path)
    finally:
        with suppress(OSError):
            fresh.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Return when the names in this directory are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A small file system in memory in the place of a directory, and what fills it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.testbed.command import run


@contextmanager
def memory_disk(directory: Path, size: str, *options: str) -> Iterator[Path]:
    """Mount one of this size ("60m"), with further options of tmpfs, on the directory, which is made when missing."""
    directory.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(directory)])
    try:
        yield directory
    finally:
        run(["umount", "--lazy", str(directory)])


def fill_up(directory: Path) -> Path:
    """Take all the room that there is, with one file."""
    path = directory / "filler"
    with path.open("wb") as file, suppress(OSError):
        while True:
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), 1 << 20)
            file.seek(0, os.SEEK_END)
    return path

"""Unpacks the tar of a data directory while it streams in: plain files and directories only, and only a whole tar."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from wbagent.chunk import CHUNK
from wbagent.database.process import Account
from wbagent.errors import DamagedError, RestoreError
from wbagent.restore.scratch import mount_point

# A tar ends with two empty blocks. One that lacks them broke off, however well its last member looks.
_END: Final = bytes(1024)


def unpack(chunks: Iterator[bytes], target: Path, account: Account | None) -> int:
    """Write the members below the existing directory `target` for `account`; returns how many there were.

    Raises DamagedError for what is no whole tar of plain files, RestoreError when it cannot be written; and what
    `chunks` raises, to whose end it reads, so that their own proof at the end is heard.
    """
    stream = _Stream(chunks)
    count = 0
    try:
        # "r|": nothing is sought back for. The filter refuses every name that leads out of `target`.
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", bufsize=CHUNK) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise DamagedError(
                        f"the archive holds {member.name!r}, which is no plain file: no data directory does",
                        hint="use another backup (wbagent backup list), and find out who made this one",
                    )
                archive.extract(member, target, filter="data")
                if member.isdir():
                    # The filter leaves a directory's mode to the umask, which may let everybody in.
                    (target / member.name).chmod(0o750)
                if account is not None:
                    os.chown(target / member.name, account.uid, account.gid, follow_symlinks=False)
                count += 1
        stream.drain()
    except tarfile.TarError as error:
        # What the stream itself is found to be explains more than what tar could make of it.
        stream.drain()
        raise DamagedError(f"the archive is broken: {error}", hint="use another backup: wbagent backup list") from None
    except OSError as error:
        raise RestoreError(
            f"{target} cannot be written: {error.strerror}",
            hint=f"make room or mend the disk: df {mount_point(target)}",
        ) from None
    if not stream.whole:
        raise DamagedError("the archive broke off: it has no end", hint="use another backup: wbagent backup list")
    return count


def sync_tree(directory: Path) -> None:
    """Return when everything below the directory is on the disk. Raises OSError."""
    for path, _, names in os.walk(directory):
        for name in (*names, ""):
            descriptor = os.open(Path(path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class _Stream:
    """Chunks as the file that tarfile reads from; remembers how they ended."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._tail = b""
        self._left = b""

    def read(self, size: int) -> bytes:
        if not self._left:
            self._left = next(self._chunks, b"")
            self._tail = (self._tail + self._left)[-len(_END) :]
        data, self._left = self._left[:size], self._left[size:]
        return data

    def drain(self) -> None:
        while self.read(CHUNK):
            pass

    @property
    def whole(self) -> bool:
        return self._tail == _END

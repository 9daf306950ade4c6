"""A directory as one tar stream, in order of names, without pushing the server's own pages out of memory."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wbagent.chunk import CHUNK
from wbagent.errors import BackupError

_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)


def tar_stream(root: Path, owner: str = "") -> Iterator[bytes]:
    """All of `root`'s files and directories, named relative to it; raises BackupError when one changes under it.

    `owner`: the user and group that root's tar gives them to when it unpacks.

    Python's own tarfile copies each file in 16 KiB pieces through three buffers; only its headers are used.
    """
    for path in sorted(root.rglob("*")):
        member = tarfile.TarInfo(str(path.relative_to(root)))
        found = path.lstat()
        member.mode, member.mtime = found.st_mode & 0o7777, int(found.st_mtime)
        member.uname = member.gname = owner
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise BackupError(f"{path} is neither a file nor a directory", hint="look who else writes there")
        if path.is_dir():
            member.type = tarfile.DIRTYPE
            yield member.tobuf(tarfile.PAX_FORMAT)
            continue
        member.size = found.st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from _content(path, member.size)
        yield bytes(-member.size % _BLOCK)
    yield _END


def _content(path: Path, size: int) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        done = 0
        while data := os.read(descriptor, CHUNK):
            done += len(data)
            yield data
            # Read once: what the server keeps in the page cache for its users shall stay there.
            os.posix_fadvise(descriptor, 0, done, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    if done != size:
        raise BackupError(f"{path} changed while it was read", hint="look who else writes there, and run it again")

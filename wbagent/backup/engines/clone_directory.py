"""The directory that MySQL clones into: of group wbagent, which reads there, while the files are mysqld's.

MySQL makes every file of a clone 0640 and every directory 2750, with the group of a set-group-ID parent. So the agent
reads a clone without any privilege, and cannot remove it: a privileged line of the backup's unit does.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wbagent.errors import StateError

_MODE = 0o2770


@dataclass(frozen=True, slots=True)
class Place:
    """A directory for clones as it was found; `why_not` says what keeps one from being read there, or is ""."""

    path: Path
    free_bytes: int
    why_not: str = ""


def look_at(path: Path) -> Place:
    """Whether a clone made there could be read by this process, and how much room there is."""
    try:
        found = path.stat()
        free = os.statvfs(path)
    except OSError as error:
        return Place(path, 0, f"{path}: {error.strerror}")
    room = free.f_bavail * free.f_frsize
    readable = found.st_gid in {os.getegid(), *os.getgroups()} and found.st_mode & stat.S_ISGID
    if os.geteuid() != 0 and not readable:
        return Place(path, room, f"{path} is not of this user's group with the set-group-ID bit")
    return Place(path, room)


def prepare(path: Path, owner: str, group: str) -> None:
    """Make the directory, and empty it of what a killed run left; needs root. Raises StateError.

    Without a user `owner` there is no MySQL on this host, and nothing to prepare.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(path, owner, group)
        path.chmod(_MODE)
    except LookupError:
        return
    except OSError as error:
        raise StateError(f"{path} cannot be made: {error.strerror}", hint="see [backup] clone_directory") from None
    clear(path)


def clear(path: Path) -> None:
    """Remove everything in it that may be removed; what stays is told by the next look at the space."""
    for entry in _entries(path):
        # Does not follow links, at the top or below: others of the group may write here, and root comes by.
        shutil.rmtree(entry, ignore_errors=True)


def _entries(path: Path) -> Iterator[Path]:
    try:
        yield from sorted(path.iterdir())
    except OSError:
        return

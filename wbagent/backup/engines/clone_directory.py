"""The directory that MySQL clones into: of group wbagent, which reads there, while the files are mysqld's.

MySQL makes every file of a clone 0640 and every directory 2750, with the group of a set-group-ID parent. So the agent
reads a clone without any privilege, and cannot remove it: a privileged line of the backup's unit does.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.errors import StateError

_MODE: Final = 0o2770
_MADE: Final = 0o700
_CLONE: Final = re.compile("clone-[0-9a-f]{32}")


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


def fresh_name() -> str:
    """The name of a clone that is to be made there."""
    return f"clone-{uuid.uuid4().hex}"


def prepare(path: Path, owner: str, group: str) -> None:
    """Make the directory, and remove the clones that a killed run left there; needs root. Raises StateError.

    Invariant: of a directory that is there already nothing is changed, unless it was made by this function, and nothing
    in it but clones is removed: a mistaken path, MySQL's own data directory above all, must cost nothing. Without a
    user `owner` there is no MySQL on this host, and nothing to prepare.
    """
    try:
        user, members = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        return
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=_MADE, parents=True)
        if _interrupted(path):
            os.chown(path, user, members)
            path.chmod(_MODE)
        found = path.lstat()
    except OSError as error:
        raise StateError(f"{path} cannot be made: {error.strerror}", hint="see [backup] clone_directory") from None
    if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (user, members, _MODE):
        _remove(entry for entry in _entries(path) if _CLONE.fullmatch(entry.name))


def clear(path: Path) -> None:
    """Remove everything in a directory of our own that may be removed; the next look at the space tells what stays."""
    _remove(_entries(path))


def _remove(entries: Iterable[Path]) -> None:
    for entry in entries:
        # Does not follow links, at the top or below: others of the group may write here, and root comes by.
        shutil.rmtree(entry, ignore_errors=True)


def _interrupted(path: Path) -> bool:
    """Whether it was just made by root, or by an earlier run that did not get further."""
    found = path.lstat()
    fresh = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == _MADE and found.st_uid == os.geteuid()
    return fresh and not any(_entries(path))


def _entries(path: Path) -> Iterator[Path]:
    try:
        yield from sorted(path.iterdir())
    except OSError:
        return
